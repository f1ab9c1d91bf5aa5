//! The choice of boxes: by falling score, each that overlaps no chosen one too much.

use std::cmp::Ordering;

use dormouse_value::{DType, Element};

use crate::kernel::with_float;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// What boxes and scores are of.
trait Float: Element + Copy + PartialOrd + std::fmt::Debug {
    fn to(self) -> f64;
    /// How much of two boxes together they have in common; nothing of a box without area.
    fn overlap(a: &[Self], b: &[Self]) -> Self;
}

macro_rules! floats {
    ($($t:ty),*) => { $(
        impl Float for $t {
            fn to(self) -> f64 {
                f64::from(self)
            }

            fn overlap(a: &[$t], b: &[$t]) -> $t {
                let edges = |x: &[$t]| [x[0].min(x[2]), x[1].min(x[3]), x[0].max(x[2]), x[1].max(x[3])];
                let (a, b) = (edges(a), edges(b));
                let area = |x: [$t; 4]| (x[2] - x[0]) * (x[3] - x[1]);
                if area(a) <= 0.0 || area(b) <= 0.0 {
                    return 0.0;
                }
                let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
                let common = side(0) * side(1);
                common / (area(a) + area(b) - common)
            }
        }
    )* };
}
floats!(f32, f64);

/// `(boxes [n, 4], scores [n]) → (indices [size], how many of them are chosen)`, the indices after those being 0.
pub(crate) fn suppress(
    size: u32,
    overlap: f64,
    score: f64,
    inputs: &[Spec],
    outputs: &[Spec],
) -> Result<Kernel, KernelError> {
    const OP: &str = "non_max_suppression";
    let ([boxes, scores], [indices, count]) = (inputs, outputs) else {
        return Err(KernelError::new(format!("{OP}: takes boxes and scores")));
    };
    let n = scores.len();
    let suits = boxes.dims.as_slice() == [n, 4]
        && scores.dims.len() == 1
        && boxes.dtype == scores.dtype
        && indices.dims.as_slice() == [size as usize]
        && [indices.dtype, count.dtype] == [DType::I32; 2]
        && count.dims.is_empty()
        && i32::try_from(n).is_ok();
    if !suits {
        return Err(KernelError::new(format!("{OP}: boxes {boxes} with scores {scores} do not give {indices}")));
    }
    let work = n as f64 * (20.0 + 5.0 * f64::from(size).min(n as f64));
    let cost = Cost { flops: 15.0 * work, bytes: boxes.bytes() as f64, nanos: work };
    let local = n * size_of::<u32>();
    let chosen = Chosen { boxes: n, size: size as usize, overlap, score };
    let kernel = with_float!(
        boxes.dtype,
        T => Kernel::new(1, cost, Suppression::<T> { chosen, element: std::marker::PhantomData }),
        else return Err(KernelError::new(format!("{OP}: boxes are floats, not {boxes}")))
    );
    Ok(Kernel { local, ..kernel })
}

#[derive(Debug)]
struct Chosen {
    boxes: usize,
    size: usize,
    overlap: f64,
    score: f64,
}

#[derive(Debug)]
struct Suppression<T> {
    chosen: Chosen,
    element: std::marker::PhantomData<fn() -> T>,
}

impl<T: Float> Body for Suppression<T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, _tile: usize) -> Result<(), KernelError> {
        let Chosen { boxes: n, size, overlap, score } = self.chosen;
        // SAFETY: operand 0 holds four edges a box.
        let boxes = unsafe { args.input::<T>(0, 4 * n) };
        // SAFETY: operand 1 holds a score a box.
        let scores = unsafe { args.input::<T>(1, n) };
        // SAFETY: the one tile writes both results, which are no operand's buffer.
        let indices = unsafe { args.output::<i32>(0, 0, size) };
        // SAFETY: as above.
        let count = unsafe { args.output::<i32>(1, 0, 1) };
        #[allow(clippy::cast_ptr_alignment, reason = "scratch is aligned to 64")]
        // SAFETY: this worker's scratch has room for an index a box.
        let order = unsafe { std::slice::from_raw_parts_mut(args.local.cast::<u32>(), n) };
        let mut candidates = 0;
        for (i, own) in scores.iter().enumerate() {
            if own.to() > score {
                order[candidates] = i as u32;
                candidates += 1;
            }
        }
        let order = &mut order[..candidates];
        let own = |i: u32| scores[i as usize].to();
        order.sort_unstable_by(|a, b| own(*b).partial_cmp(&own(*a)).unwrap_or(Ordering::Equal).then(a.cmp(b)));
        indices.fill(0);
        let mut chosen = 0;
        for &candidate in order.iter() {
            if chosen == size {
                break;
            }
            let of = |i: usize| &boxes[4 * i..4 * i + 4];
            let own = of(candidate as usize);
            let hidden =
                indices[..chosen].iter().rev().any(|other| T::overlap(own, of(*other as usize)).to() > overlap);
            if !hidden {
                indices[chosen] = candidate as i32;
                chosen += 1;
            }
        }
        count[0] = chosen as i32;
        Ok(())
    }
}
