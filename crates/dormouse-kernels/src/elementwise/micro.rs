//! Micro-operations: one element-wise operation over up to a tile of elements, behind a plain function pointer.
//!
//! Apart from the table of operations, as all `unsafe` of the family is here: the table is closures over numbers, and
//! this file makes of each a loop that is compiled for AVX2 and FMA and once more for any machine. The closure is the
//! same in both and holds no contraction, so the bits are the same.

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
    if !matches!(pulp::Arch::new(), pulp::Arch::Scalar) {
        return with_avx2::<B>;
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

/// A closure of no size, out of its type alone.
#[inline(always)]
fn conjure<F: Copy + 'static>() -> &'static F {
    const { assert!(size_of::<F>() == 0, "micro-operations capture nothing") };
    // SAFETY: a reference to a type of no size reads no memory; a closure of this type exists, as the functions below
    // were given one, and being `Copy` it owns nothing.
    unsafe { std::ptr::NonNull::<F>::dangling().as_ref() }
}

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
pub(super) fn unary<X, Y, F>(_: F) -> Micro
where
    X: Copy + 'static,
    Y: 'static,
    F: Fn(X) -> Y + Copy + 'static,
{
    struct Unary<X, Y, F>(PhantomData<(X, Y, F)>);
    impl<X: Copy, Y, F: Fn(X) -> Y + Copy + 'static> Body for Unary<X, Y, F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            let f = conjure::<F>();
            // SAFETY: the caller's contract: one operand of X, a result of Y.
            let (x, y) = unsafe { (operand::<X>(operands, 0, len), result::<Y>(out, len)) };
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
            false
        }
    }
    compiled::<Unary<X, Y, F>>()
}

/// yᵢ = near(xᵢ), but exact(xᵢ) where far(xᵢ): the rare elements that need a branch are done again one by one.
pub(super) fn patched<X, F, P, G>(_near: F, _far: P, _exact: G) -> Micro
where
    X: Copy + 'static,
    F: Fn(X) -> X + Copy + 'static,
    P: Fn(X) -> bool + Copy + 'static,
    G: Fn(X) -> X + Copy + 'static,
{
    struct Patched<X, F, P, G>(PhantomData<(X, F, P, G)>);
    impl<X, F, P, G> Body for Patched<X, F, P, G>
    where
        X: Copy,
        F: Fn(X) -> X + Copy + 'static,
        P: Fn(X) -> bool + Copy + 'static,
        G: Fn(X) -> X + Copy + 'static,
    {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            let (near, far, exact) = (conjure::<F>(), conjure::<P>(), conjure::<G>());
            // SAFETY: the caller's contract: one operand and a result of X.
            let (x, y) = unsafe { (operand::<X>(operands, 0, len), result::<X>(out, len)) };
            for (y, &x) in y.iter_mut().zip(x) {
                *y = near(x);
            }
            if x.iter().fold(false, |any, &x| any | far(x)) {
                for (y, &x) in y.iter_mut().zip(x) {
                    if far(x) {
                        *y = exact(x);
                    }
                }
            }
            false
        }
    }
    compiled::<Patched<X, F, P, G>>()
}

/// zᵢ = f(xᵢ, yᵢ).
pub(super) fn binary<X, Z, F>(_: F) -> Micro
where
    X: Copy + 'static,
    Z: 'static,
    F: Fn(X, X) -> Z + Copy + 'static,
{
    struct Binary<X, Z, F>(PhantomData<(X, Z, F)>);
    impl<X: Copy, Z, F: Fn(X, X) -> Z + Copy + 'static> Body for Binary<X, Z, F> {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            let f = conjure::<F>();
            // SAFETY: the caller's contract: two operands of X, a result of Z.
            let (x, y, z) =
                unsafe { (operand::<X>(operands, 0, len), operand::<X>(operands, 1, len), result::<Z>(out, len)) };
            for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
                *z = f(x, y);
            }
            false
        }
    }
    compiled::<Binary<X, Z, F>>()
}

/// zᵢ = f(xᵢ, yᵢ), unless bad(yᵢ) for an i: then there is no result. A unary operation may name its operand twice.
pub(super) fn guarded<X, F, P, const UNARY: bool>(_bad: P, _f: F) -> Micro
where
    X: Copy + 'static,
    F: Fn(X, X) -> X + Copy + 'static,
    P: Fn(X) -> bool + Copy + 'static,
{
    struct Guarded<X, F, P, const UNARY: bool>(PhantomData<(X, F, P)>);
    impl<X, F, P, const UNARY: bool> Body for Guarded<X, F, P, UNARY>
    where
        X: Copy,
        F: Fn(X, X) -> X + Copy + 'static,
        P: Fn(X) -> bool + Copy + 'static,
    {
        #[inline(always)]
        unsafe fn run(operands: *const *const u8, out: *mut u8, len: usize) -> bool {
            let (bad, f) = (conjure::<P>(), conjure::<F>());
            let second = usize::from(!UNARY);
            // SAFETY: the caller's contract: one or two operands of X, a result of X.
            let (x, y, z) =
                unsafe { (operand::<X>(operands, 0, len), operand::<X>(operands, second, len), result::<X>(out, len)) };
            if y.iter().fold(false, |any, &y| any | bad(y)) {
                return true;
            }
            for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
                *z = f(x, y);
            }
            false
        }
    }
    compiled::<Guarded<X, F, P, UNARY>>()
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
