//! Operations of a program's own, as steps of a plan.
//!
//! One of the places of this crate that hold `unsafe` code: it reads operands and writes results where the plan has put
//! them.

use std::cell::RefCell;
use std::sync::Arc;

use dormouse_graph::CustomOp;
use dormouse_kernels::{Args, Body, Cost, Kernel, KernelError, Spec};
use dormouse_value::{Element, Value, ValueView, with_dtype};
use ndarray::{ArrayView, IxDyn};

/// What such an operation is taken to cost, as nobody knows: enough to be worth a thread of its own.
const NANOS: f64 = 20_000.0;

thread_local! {
    /// The sessions, by the address of their stores, of which this thread is computing an operation.
    static COMPUTING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread is computing an operation for a run of a session: another run of it would wait for itself.
pub(crate) fn is_computing(session: usize) -> bool {
    COMPUTING.with_borrow(|computing| computing.contains(&session))
}

/// Computes an operation for a session's run.
///
/// # Errors
/// What the operation says, and that what it gives is not what it said it would.
pub(crate) fn compute(op: &dyn CustomOp, session: usize, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            COMPUTING.with_borrow_mut(|computing| computing.truncate(computing.len() - 1));
        }
    }
    COMPUTING.with_borrow_mut(|computing| computing.push(session));
    let _leave = Leave;
    op.compute(operands)
}

/// The kernel of an operation for operands and results of these specs.
pub(crate) fn kernel(op: Arc<dyn CustomOp>, session: usize, inputs: Vec<Spec>, outputs: Vec<Spec>) -> Kernel {
    let bytes = inputs.iter().chain(&outputs).map(|s| s.bytes() as f64).sum();
    let cost = Cost { flops: 0.0, bytes, nanos: NANOS };
    let mut kernel = Kernel::new(1, cost, Call { op, session, inputs, outputs });
    kernel.fallible = true;
    kernel
}

#[derive(Debug)]
struct Call {
    op: Arc<dyn CustomOp>,
    session: usize,
    inputs: Vec<Spec>,
    outputs: Vec<Spec>,
}

impl Body for Call {
    unsafe fn run(&self, args: &Args<'_>, _: usize, _: usize) -> Result<(), KernelError> {
        let operands: Vec<ValueView<'_>> = self
            .inputs
            .iter()
            .zip(args.inputs)
            // SAFETY: the caller's contract: the operand is of this spec, and nobody writes it meanwhile.
            .map(|(spec, data)| unsafe { view(spec, *data) })
            .collect();
        let results = compute(&*self.op, self.session, &operands).map_err(KernelError::new)?;
        if results.len() != self.outputs.len() {
            return Err(KernelError::new(format!("it gives {} tensors, not {}", results.len(), self.outputs.len())));
        }
        for ((spec, to), value) in self.outputs.iter().zip(args.outputs).zip(results) {
            if value.dtype() != spec.dtype || value.shape() != spec.dims.as_slice() {
                let given = Spec::new(value.dtype(), value.shape());
                return Err(KernelError::new(format!("it gives {given}, and said {spec}")));
            }
            let value = value.to_standard_layout();
            let bytes = value.as_bytes().unwrap_or_default();
            // SAFETY: the result is of this spec, and this one tile alone writes it.
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        Ok(())
    }
}

/// The elements of a buffer.
///
/// # Safety
/// The buffer is of this spec, and nobody writes it while the view lives.
unsafe fn view<'a>(spec: &Spec, data: *const u8) -> ValueView<'a> {
    // SAFETY: the caller's contract, handed on.
    unsafe fn of<'a, T: Element>(spec: &Spec, data: *const u8) -> ValueView<'a> {
        // SAFETY: the caller's contract: as many elements of T, row-major without gaps.
        T::wrap_view(unsafe { ArrayView::from_shape_ptr(IxDyn(&spec.dims), data.cast::<T>()) })
    }
    // SAFETY: the caller's contract; the type is the spec's.
    with_dtype!(spec.dtype, T => unsafe { of::<T>(spec, data) })
}
