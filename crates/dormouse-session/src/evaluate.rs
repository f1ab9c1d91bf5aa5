//! Evaluating one kernel on its own, on the calling thread: how constants are folded.

use dormouse_kernels::{Args, Kernel, KernelError, Spec, compile};
use dormouse_value::Value;

use crate::buffer::Buffer;
use crate::program::{Action, Instruction, Program};

/// The results of an instruction whose operands are constants; none where it is no mathematics, or fails: what fails here
/// fails in the run too, which says where.
pub(crate) fn of_constants(program: &Program, instruction: &Instruction) -> Option<Vec<Value>> {
    let Action::Op(op) = &instruction.action else { return None };
    let specs =
        |values: &[crate::program::ValueId]| values.iter().map(|v| program.spec(*v).clone()).collect::<Vec<_>>();
    let (inputs, outputs) = (specs(&instruction.operands), specs(&instruction.results));
    let bytes = |o: &crate::program::ValueId| program.constant(*o).and_then(Value::as_bytes).unwrap_or(&[]);
    let operands: Vec<&[u8]> = instruction.operands.iter().map(bytes).collect();
    compile(op, &inputs, &outputs).and_then(|kernel| evaluate(&kernel, &operands, &outputs)).ok()
}

/// The results of a kernel for operands given as bytes; a shape-only operand may be empty.
///
/// # Errors
/// The kernel's own, or that there is not enough memory.
pub(crate) fn evaluate(kernel: &Kernel, operands: &[&[u8]], outputs: &[Spec]) -> Result<Vec<Value>, KernelError> {
    let buffer = |bytes: usize| Buffer::new(bytes).map_err(|e| KernelError::new(e.to_string()));
    let results = outputs.iter().map(|s| buffer(s.bytes())).collect::<Result<Vec<_>, _>>()?;
    let (shared, local) = (buffer(kernel.shared)?, buffer(kernel.local)?);
    let inputs: Vec<*const u8> = operands.iter().map(|o| o.as_ptr()).collect();
    let outs: Vec<*mut u8> = results.iter().map(Buffer::as_ptr).collect();
    let args = Args { inputs: &inputs, outputs: &outs, shared: shared.as_ptr(), local: local.as_ptr() };
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        for tile in 0..tiles {
            // SAFETY: constants are whole values of the specs that the kernel was compiled for, results and scratch
            // are of the sizes it asks for, and phases and tiles run one after the other.
            unsafe { kernel.body.run(&args, phase, tile)? };
        }
    }
    // SAFETY: nobody else has these buffers, and the kernel has written all of them.
    Ok(results.iter().zip(outputs).map(|(b, spec)| unsafe { b.to_value(spec) }).collect())
}
