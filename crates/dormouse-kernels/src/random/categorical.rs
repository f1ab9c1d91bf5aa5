//! Classes drawn by their logits: a number below the sum of all likelihoods, and the class that it falls to.
//!
//! TensorFlow hands rows to its threads in parts and starts each part's words anew, so that what it draws depends on how
//! many threads it has. Here, as there with one thread, numbers are taken row after row.

use std::marker::PhantomData;

use dormouse_value::{DType, Element};

use super::sample::unit_f64;
use super::{RandomKey, refused, stream_of};
use crate::math;
use crate::{Args, Body, Cost, Kernel, KernelError, Spec};

/// `samples` classes of each row of logits.
pub(super) fn compile(samples: u32, key: RandomKey, logits: &Spec, output: &Spec) -> Result<Kernel, KernelError> {
    let &[rows, classes] = logits.dims.as_slice() else {
        return Err(KernelError::new(format!("logits are rows of classes, not {logits}")));
    };
    let shape = (rows, classes, samples as usize);
    match (logits.dtype, output.dtype) {
        (DType::F32, DType::I32) => Ok(Categorical::<f32, i32>::kernel(key, shape, output)),
        (DType::F32, DType::I64) => Ok(Categorical::<f32, i64>::kernel(key, shape, output)),
        (DType::F64, DType::I32) => Ok(Categorical::<f64, i32>::kernel(key, shape, output)),
        (DType::F64, DType::I64) => Ok(Categorical::<f64, i64>::kernel(key, shape, output)),
        _ => Err(refused(output)),
    }
}

#[derive(Debug)]
struct Categorical<L, T> {
    key: RandomKey,
    classes: usize,
    samples: usize,
    types: PhantomData<fn(L) -> T>,
}

/// A float as f64, and a class as an integer.
trait Logit: Element + Copy {
    fn to(self) -> f64;
}

trait Class: Element + Copy {
    fn of(class: usize) -> Self;
}

macro_rules! conversions {
    ($($float:ty)*; $($integer:ty)*) => {
        $(impl Logit for $float {
            fn to(self) -> f64 {
                f64::from(self)
            }
        })*
        $(impl Class for $integer {
            fn of(class: usize) -> Self {
                class as $integer
            }
        })*
    };
}
conversions!(f32 f64; i32 i64);

impl<L: Logit, T: Class> Categorical<L, T> {
    fn kernel(key: RandomKey, (rows, classes, samples): (usize, usize, usize), output: &Spec) -> Kernel {
        let nanos = (rows * classes) as f64 * 10.0 + output.len() as f64 * 30.0;
        let cost = Cost { flops: 0.0, bytes: output.bytes() as f64, nanos };
        let body = Categorical::<L, T> { key, classes, samples, types: PhantomData };
        let local = classes.saturating_mul(size_of::<f64>());
        let mut kernel = Kernel { local, ..Kernel::new(rows, cost, body) };
        if output.is_empty() {
            kernel.phases.clear();
        }
        kernel
    }
}

impl<L: Logit, T: Class> Body for Categorical<L, T> {
    unsafe fn run(&self, args: &Args<'_>, _phase: usize, row: usize) -> Result<(), KernelError> {
        // SAFETY: operand 1 holds the logits, of which this is one row.
        let logits = unsafe { &args.input::<L>(1, (row + 1) * self.classes)[row * self.classes..] };
        // SAFETY: the row's own part of the result; neither operand is in it.
        let out = unsafe { args.output::<T>(0, row * self.samples, self.samples) };
        #[allow(clippy::cast_ptr_alignment, reason = "scratch is aligned to 64")]
        // SAFETY: the scratch of this worker has room for one row.
        let sums = unsafe { std::slice::from_raw_parts_mut(args.local.cast::<f64>(), self.classes) };
        let finite = || logits.iter().map(|logit| logit.to()).filter(|logit| logit.is_finite());
        let largest = finite().fold(f64::MIN, f64::max);
        let mut total = 0.0;
        for (sum, logit) in sums.iter_mut().zip(logits) {
            let logit = logit.to();
            if logit.is_finite() {
                total += math::exp(logit - largest);
            }
            *sum = total;
        }
        let stream = stream_of(self.key, args);
        let mut held = (u64::MAX, [0; 4]);
        for (sample, out) in out.iter_mut().enumerate() {
            let number = (row * self.samples + sample) as u64;
            if held.0 != number / 2 {
                held = (number / 2, stream.block(number / 2));
            }
            let [a, b, c, d] = held.1;
            let unit = if number.is_multiple_of(2) { unit_f64(a, b) } else { unit_f64(c, d) };
            let wanted = unit * total;
            *out = T::of(sums.partition_point(|sum| *sum <= wanted));
        }
        Ok(())
    }
}
