//! Micro-operations: one element-wise operation over up to a tile of elements, behind a plain function pointer.
//!
//! Apart from the table of operations, as all `unsafe` of the family is here: the table is expressions over
//! numbers, and this file makes of each a loop that is compiled for AVX-512, for AVX2 with FMA, and for any machine. The
//! expression is the same in all and nothing contracts it, so the bits are the same.

#![allow(
    clippy::inline_always,
    reason = "a loop is vectorized only with its body inside, compiled for the same machine"
)]

use std::marker::PhantomData;
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Computes `len` elements of the result at `out` from those at `operands`; whether the numbers allow no result.
///
/// # Safety
/// There are as many operands as the operation takes, each of `len` elements of its type, the result has room for
/// `len` elements and shares memory with no operand, and the machine is the one that [`compiled`] looked at.
pub(crate) type Micro = unsafe fn(operands: *const *const u8, out: *mut u8, len: usize) -> bool;

/// The code of a micro-operation, inlined into one function for each machine.
trait Body {
    /// # Safety
    /// As [`Micro`].
    unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool;
}

/// The micro-operation for this machine.
fn compiled<B: Body>() -> Micro {
    #[cfg(target_arch = "x86_64")]
    {
        let arch = pulp::Arch::new();
        if matches!(arch, pulp::Arch::V4(_)) {
            return with_avx512::<B>;
        } else if !matches!(arch, pulp::Arch::Scalar) {
            return with_avx2::<B>;
        }
    }
    anywhere::<B>
}

/// # Safety
/// As [`Micro`].
unsafe fn anywhere<B: Body>(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe { B::run(operands, out, len) }
}

/// # Safety
/// As [`Micro`], and the machine has these features: those of pulp's `V3`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,avx2,bmi1,bmi2,fma,lzcnt,popcnt,sse4.1,sse4.2")]
unsafe fn with_avx2<B: Body>(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe { B::run(operands, out, len) }
}

/// # Safety
/// As [`Micro`], and the machine has these features: those of pulp's `V4`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
#[target_feature(enable = "avx,avx2,bmi1,bmi2,fma,lzcnt,popcnt,sse4.1,sse4.2")]
unsafe fn with_avx512<B: Body>(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe { B::run(operands, out, len) }
}

/// A function of one number. Its code is inlined always, or it would be called for a machine without AVX2.
pub(super) trait Unary {
    type X: Copy;
    type Y;
    fn apply(x: Self::X) -> Self::Y;
}

/// A function of two numbers of one type.
pub(super) trait Binary {
    type X: Copy;
    type Z;
    fn apply(x: Self::X, y: Self::X) -> Self::Z;
}

/// A function of three numbers of one type.
pub(super) trait Ternary {
    type X: Copy;
    fn apply(a: Self::X, b: Self::X, c: Self::X) -> Self::X;
}

/// A function of two numbers, the second of which may be one that allows no result.
pub(super) trait Guarded: Binary<Z = <Self as Binary>::X> {
    /// Whether there is but one operand, which is both numbers.
    const UNARY: bool;
    fn refuses(y: Self::X) -> bool;
}

/// A function of one number with rare arguments that need a branch.
pub(super) trait Patched {
    type X: Copy;
    /// The function, but for rare arguments.
    fn near(x: Self::X) -> Self::X;
    /// Whether an argument is one of the rare.
    fn far(x: Self::X) -> bool;
    /// The function of rare arguments.
    fn exact(x: Self::X) -> Self::X;
}

/// The micro-operation of an expression: `unary!(|x: f32| -> f32 { -x })`.
macro_rules! unary {
    (|$x:ident: $X:ty| -> $Y:ty $body:block) => {{
        struct Code;
        impl $crate::elementwise::micro::Unary for Code {
            type X = $X;
            type Y = $Y;
            #[inline(always)]
            fn apply($x: $X) -> $Y $body
        }
        $crate::elementwise::micro::of_unary::<Code>()
    }};
}

/// The micro-operation of an expression: `binary!(|x, y: f32| -> f32 { x + y })`.
macro_rules! binary {
    (|$x:ident, $y:ident: $X:ty| -> $Z:ty $body:block) => {{
        struct Code;
        impl $crate::elementwise::micro::Binary for Code {
            type X = $X;
            type Z = $Z;
            #[inline(always)]
            fn apply($x: $X, $y: $X) -> $Z $body
        }
        $crate::elementwise::micro::of_binary::<Code>()
    }};
}

/// The micro-operation of an expression: `ternary!(|a, b, c: f32| { a * b + c })`.
macro_rules! ternary {
    (|$a:ident, $b:ident, $c:ident: $X:ty| $body:block) => {{
        struct Code;
        impl $crate::elementwise::micro::Ternary for Code {
            type X = $X;
            #[inline(always)]
            fn apply($a: $X, $b: $X, $c: $X) -> $X $body
        }
        $crate::elementwise::micro::of_ternary::<Code>()
    }};
}

/// The micro-operation of an expression and what it refuses: `guarded!(|x, y: i32| y == 0, { x / y })`; of a unary one
/// `guarded!(|x: i32| x == 0, { 1 / x })`.
macro_rules! guarded {
    (|$x:ident: $X:ty| $refuses:expr, $body:block) => {
        guarded!(@ true, _, $x, $X, $refuses, $body)
    };
    (|$x:ident, $y:ident: $X:ty| $refuses:expr, $body:block) => {
        guarded!(@ false, $x, $y, $X, $refuses, $body)
    };
    (@ $unary:literal, $x:pat, $y:ident, $X:ty, $refuses:expr, $body:block) => {{
        struct Code;
        impl $crate::elementwise::micro::Binary for Code {
            type X = $X;
            type Z = $X;
            #[inline(always)]
            fn apply($x: $X, $y: $X) -> $X $body
        }
        impl $crate::elementwise::micro::Guarded for Code {
            const UNARY: bool = $unary;
            #[inline(always)]
            fn refuses($y: $X) -> bool {
                $refuses
            }
        }
        $crate::elementwise::micro::of_guarded::<Code>()
    }};
}

pub(super) use {binary, guarded, ternary, unary};

/// Operand `index`.
///
/// # Safety
/// There is such an operand, and it holds `len` elements of `X`.
#[inline(always)]
unsafe fn operand<'a, X>(operands: *const *const u8, index: usize, len: usize) -> &'a [X] {
    // SAFETY: the caller's contract.
    unsafe { from_raw_parts((*operands.add(index)).cast::<X>(), len) }
}

/// # Safety
/// `out` has room for `len` elements of `Y`, which nothing else refers to.
#[inline(always)]
unsafe fn result<'a, Y>(out: *mut u8, len: usize) -> &'a mut [Y] {
    // SAFETY: the caller's contract; results are bytes of a buffer and so initialized.
    unsafe { from_raw_parts_mut(out.cast::<Y>(), len) }
}

/// yᵢ = f(xᵢ).
pub(super) fn of_unary<F: Unary>() -> Micro {
    struct Code<F>(PhantomData<F>);
    impl<F: Unary> Body for Code<F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            // SAFETY: the caller's contract: one operand of X, a result of Y.
            let (x, y) = unsafe { (operand::<F::X>(operands, 0, len), result::<F::Y>(out, len)) };
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F::apply(x);
            }
            false
        }
    }
    compiled::<Code<F>>()
}

/// yᵢ = near(xᵢ), but exact(xᵢ) where far(xᵢ): the rare elements that need a branch are done again one by one.
pub(super) fn patched<F: Patched>() -> Micro {
    struct Code<F>(PhantomData<F>);
    impl<F: Patched> Body for Code<F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            // SAFETY: the caller's contract: one operand and a result of X.
            let (x, y) = unsafe { (operand::<F::X>(operands, 0, len), result::<F::X>(out, len)) };
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F::near(x);
            }
            if x.iter().fold(false, |any, &x| any | F::far(x)) {
                for (y, &x) in y.iter_mut().zip(x) {
                    if F::far(x) {
                        *y = F::exact(x);
                    }
                }
            }
            false
        }
    }
    compiled::<Code<F>>()
}

/// zᵢ = f(xᵢ, yᵢ).
pub(super) fn of_binary<F: Binary>() -> Micro {
    struct Code<F>(PhantomData<F>);
    impl<F: Binary> Body for Code<F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            // SAFETY: the caller's contract: two operands of X, a result of Z.
            let (x, y, z) = unsafe {
                (operand::<F::X>(operands, 0, len), operand::<F::X>(operands, 1, len), result::<F::Z>(out, len))
            };
            for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
                *z = F::apply(x, y);
            }
            false
        }
    }
    compiled::<Code<F>>()
}

/// yᵢ = f(aᵢ, bᵢ, cᵢ).
pub(super) fn of_ternary<F: Ternary>() -> Micro {
    struct Code<F>(PhantomData<F>);
    impl<F: Ternary> Body for Code<F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            // SAFETY: the caller's contract: three operands and a result of X.
            let (a, b, c, y) = unsafe {
                (
                    operand::<F::X>(operands, 0, len),
                    operand::<F::X>(operands, 1, len),
                    operand::<F::X>(operands, 2, len),
                    result::<F::X>(out, len),
                )
            };
            for (((y, &a), &b), &c) in y.iter_mut().zip(a).zip(b).zip(c) {
                *y = F::apply(a, b, c);
            }
            false
        }
    }
    compiled::<Code<F>>()
}

/// zᵢ = f(xᵢ, yᵢ), unless a yᵢ is refused: then there is no result.
pub(super) fn of_guarded<F: Guarded>() -> Micro {
    struct Code<F>(PhantomData<F>);
    impl<F: Guarded> Body for Code<F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            let second = usize::from(!F::UNARY);
            // SAFETY: the caller's contract: one or two operands of X, a result of X.
            let (x, y, z) = unsafe {
                (operand::<F::X>(operands, 0, len), operand::<F::X>(operands, second, len), result::<F::X>(out, len))
            };
            if y.iter().fold(false, |any, &y| any | F::refuses(y)) {
                return true;
            }
            for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
                *z = F::apply(x, y);
            }
            false
        }
    }
    compiled::<Code<F>>()
}

/// aᵢ where the condition's byte is not 0, else bᵢ: numbers are bits here.
pub(super) fn select<T: Copy + 'static>() -> Micro {
    struct Select<T>(PhantomData<T>);
    impl<T: Copy> Body for Select<T> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            // SAFETY: the caller's contract: a boolean operand, two of T, a result of T.
            let (condition, a, b, y) = unsafe {
                (
                    operand::<u8>(operands, 0, len),
                    operand::<T>(operands, 1, len),
                    operand::<T>(operands, 2, len),
                    result::<T>(out, len),
                )
            };
            for (((y, &c), &a), &b) in y.iter_mut().zip(condition).zip(a).zip(b) {
                *y = if c == 0 { b } else { a };
            }
            false
        }
    }
    compiled::<Select<T>>()
}
