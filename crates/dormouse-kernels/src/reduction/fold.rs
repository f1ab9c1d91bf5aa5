//! What a reduction accumulates: the element as a lane takes it, how lanes combine, and how blocks of lanes do.
//!
//! Apart from the walk over memory, so that one walk serves every operation and dtype. Lanes hold the element's own
//! type, so that vectors are full; blocks are combined in a wider one where rounding would add up.

use std::fmt::Debug;
use std::marker::PhantomData;

use dormouse_value::Element;

/// An associative operation on elements, with its identity.
pub(crate) trait Fold: Copy + Debug + Send + Sync + 'static {
    /// The operand's element.
    type In: Element;
    /// What a lane accumulates.
    type Lane: Copy;
    /// What the blocks' results are combined in.
    type Wide: Copy;
    /// The result's element.
    type Out: Element;
    /// The lane of no elements.
    const EMPTY: Self::Lane;
    /// The result of no blocks.
    const NONE: Self::Wide;
    /// An element as a lane takes it.
    fn load(x: Self::In) -> Self::Lane;
    /// Two lanes.
    fn combine(a: Self::Lane, b: Self::Lane) -> Self::Lane;
    /// A block's result.
    fn widen(a: Self::Lane) -> Self::Wide;
    /// Two blocks.
    fn combine_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The result of `n` elements.
    fn finish(total: Self::Wide, n: usize) -> Self::Out;
}

/// The type parameter makes one fold a dtype; it holds nothing.
macro_rules! folds {
    ($($(#[$doc:meta])* $name:ident),*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<T>(PhantomData<T>);
    )* };
}
folds!(
    /// Σx.
    Sum,
    /// Σx / n.
    Mean,
    /// Πx.
    Prod,
    /// The largest; NaN where any is.
    Max,
    /// The smallest; NaN where any is.
    Min,
    /// Σx² / 2.
    SquareSum
);

/// `combine` serves lanes and blocks; the types tell which.
macro_rules! fold {
    ($name:ty, $in:ty => $lane:ty => $wide:ty, $empty:expr,
     |$x:ident| $load:expr, |$a:ident, $b:ident| $combine:expr, |$w:ident, $n:pat_param| $finish:expr) => {
        impl Fold for $name {
            type In = $in;
            type Lane = $lane;
            type Wide = $wide;
            type Out = $in;
            const EMPTY: $lane = $empty;
            const NONE: $wide = $empty;
            #[inline(always)]
            fn load($x: $in) -> $lane {
                $load
            }
            #[inline(always)]
            fn combine($a: $lane, $b: $lane) -> $lane {
                $combine
            }
            #[inline(always)]
            fn widen(a: $lane) -> $wide {
                a as $wide
            }
            #[inline(always)]
            fn combine_wide($a: $wide, $b: $wide) -> $wide {
                $combine
            }
            #[inline(always)]
            fn finish($w: $wide, $n: usize) -> $in {
                $finish
            }
        }
    };
}

// A NaN operand is taken over and then kept, since nothing compares with it.
macro_rules! float_folds {
    ($($t:ty),*) => { $(
        fold!(Sum<$t>, $t => $t => f64, 0.0, |x| x, |a, b| a + b, |w, _| w as $t);
        fold!(Mean<$t>, $t => $t => f64, 0.0, |x| x, |a, b| a + b, |w, n| w as $t / n as $t);
        fold!(Prod<$t>, $t => $t => f64, 1.0, |x| x, |a, b| a * b, |w, _| w as $t);
        fold!(Max<$t>, $t => $t => $t, <$t>::NEG_INFINITY, |x| x, |a, b| if b > a || b.is_nan() { b } else { a }, |w, _| w);
        fold!(Min<$t>, $t => $t => $t, <$t>::INFINITY, |x| x, |a, b| if b < a || b.is_nan() { b } else { a }, |w, _| w);
        fold!(SquareSum<$t>, $t => $t => f64, 0.0, |x| x * x, |a, b| a + b, |w, _| (w * 0.5) as $t);
    )* };
}
float_folds!(f32, f64);

// TensorFlow's integer mean is of an i64 sum (of u64 its own), and 0 of none.
macro_rules! integer_folds {
    ($($t:ty, $sum:ty);*) => { $(
        fold!(Sum<$t>, $t => $t => $t, 0, |x| x, |a, b| a.wrapping_add(b), |w, _| w);
        fold!(Mean<$t>, $t => $sum => $sum, 0, |x| x as $sum, |a, b| a.wrapping_add(b),
            |w, n| if n == 0 { 0 } else { (w / n as $sum) as $t });
        fold!(Prod<$t>, $t => $t => $t, 1, |x| x, |a, b| a.wrapping_mul(b), |w, _| w);
        fold!(Max<$t>, $t => $t => $t, <$t>::MIN, |x| x, |a, b| a.max(b), |w, _| w);
        fold!(Min<$t>, $t => $t => $t, <$t>::MAX, |x| x, |a, b| a.min(b), |w, _| w);
    )* };
}
integer_folds!(i32, i64; i64, i64; u8, i64; u64, u64);

/// ∨ of booleans.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Any;

/// ∧ of booleans.
#[derive(Clone, Copy, Debug)]
pub(crate) struct All;

fold!(Any, bool => bool => bool, false, |x| x, |a, b| a | b, |w, _| w);
fold!(All, bool => bool => bool, true, |x| x, |a, b| a & b, |w, _| w);
