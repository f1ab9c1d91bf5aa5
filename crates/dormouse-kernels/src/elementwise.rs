//! Element-wise operations: the table from an operation and a dtype to the code for one tile of elements.
//!
//! A node on its own is a [`fused`](crate::fused) loop of one step, so the bits are the same fused or not.

mod binary;
mod cast;
mod micro;
mod numerics;
mod pair;
mod unary;

use dormouse_value::{CompareOp, DType, LogicalOp, Op};
use smallvec::SmallVec;

pub use cast::path as cast_path;
pub(crate) use micro::Micro;
pub(crate) use numerics::check_numerics;
pub(crate) use pair::pair;

use crate::math;
use crate::{Kernel, KernelError, Loop, Spec, Step, compile_loop};

const DIVISION_BY_ZERO: &str = "integer division by zero";

/// The code of an operation for one tile, and what it costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// The code.
    pub(crate) run: Micro,
    /// What went wrong where the code says that there is no result.
    pub(crate) fault: Option<&'static str>,
    /// Floating-point operations of one element.
    pub(crate) flops: f64,
    /// Nanoseconds of one element, on one core with its operands near.
    pub(crate) nanos: f64,
}

impl Operation {
    /// One floating-point operation that cannot fail, of a usual cost for the dtype.
    fn simple(run: Micro, dtype: DType) -> Self {
        Operation { run, fault: None, flops: 1.0, nanos: 0.015 * dtype.size() as f64 }
    }

    /// The same at another cost.
    fn costing(self, flops: f64, nanos: f64) -> Self {
        Operation { flops, nanos, ..self }
    }
}

/// The code of an element-wise `op` of at most three operands; `None` for other operations or dtypes.
///
/// `AddN` is its addition, to be chained in operand order.
pub(crate) fn operation(op: &Op, operand: DType, result: DType) -> Option<Operation> {
    if let Op::Unary(op) = op {
        unary::operation(*op, operand)
    } else if let Op::Binary(op) = op {
        binary::operation(*op, operand)
    } else if let Op::Compare(op) = op {
        compare(*op, operand)
    } else if let Op::Logical(op) = op {
        (operand == DType::Bool).then(|| logical(*op))
    } else if matches!(op, Op::Select) {
        Some(select(result))
    } else if matches!(op, Op::Betainc) {
        betainc(result)
    } else if matches!(op, Op::Cast { .. }) {
        cast::operation(operand, result)
    } else if matches!(op, Op::AddN) {
        binary::operation(dormouse_value::BinaryOp::Add, operand)
    } else {
        None
    }
}

fn compare(op: CompareOp, dtype: DType) -> Option<Operation> {
    macro_rules! of {
        ($T:ty) => {
            match op {
                CompareOp::Equal => micro::binary!(|a, b: $T| -> u8 { u8::from(a == b) }),
                CompareOp::NotEqual => micro::binary!(|a, b: $T| -> u8 { u8::from(a != b) }),
                CompareOp::Less => micro::binary!(|a, b: $T| -> u8 { u8::from(a < b) }),
                CompareOp::LessEqual => micro::binary!(|a, b: $T| -> u8 { u8::from(a <= b) }),
                CompareOp::Greater => micro::binary!(|a, b: $T| -> u8 { u8::from(a > b) }),
                CompareOp::GreaterEqual => micro::binary!(|a, b: $T| -> u8 { u8::from(a >= b) }),
            }
        };
    }
    let run = match dtype {
        DType::F32 => of!(f32),
        DType::F64 => of!(f64),
        DType::I32 => of!(i32),
        DType::I64 => of!(i64),
        DType::U8 => of!(u8),
        DType::U64 => of!(u64),
        DType::Bool => {
            if !matches!(op, CompareOp::Equal | CompareOp::NotEqual) {
                return None;
            }
            of!(u8)
        }
        DType::F16 | DType::Bf16 | DType::I8 | DType::I16 | DType::U16 | DType::U32 => return None,
    };
    Some(Operation::simple(run, dtype))
}

fn logical(op: LogicalOp) -> Operation {
    let run = match op {
        LogicalOp::And => micro::binary!(|a, b: u8| -> u8 { a & b }),
        LogicalOp::Or => micro::binary!(|a, b: u8| -> u8 { a | b }),
        LogicalOp::Xor => micro::binary!(|a, b: u8| -> u8 { a ^ b }),
    };
    Operation::simple(run, DType::Bool)
}

fn betainc(dtype: DType) -> Option<Operation> {
    let run = if dtype == DType::F32 {
        micro::ternary!(|a, b, x: f32| { math::betainc(a, b, x) })
    } else if dtype == DType::F64 {
        micro::ternary!(|a, b, x: f64| { math::betainc(a, b, x) })
    } else {
        return None;
    };
    Some(Operation::simple(run, dtype).costing(2000.0, 1500.0))
}

fn select(dtype: DType) -> Operation {
    let run = match dtype.size() {
        8 => micro::select::<u64>(),
        4 => micro::select::<u32>(),
        2 => micro::select::<u16>(),
        _ => micro::select::<u8>(),
    };
    Operation::simple(run, dtype)
}

/// The code that hands its operand on.
pub(crate) fn duplicate(dtype: DType) -> Operation {
    let run = match dtype.size() {
        8 => micro::unary!(|x: u64| -> u64 { x }),
        4 => micro::unary!(|x: u32| -> u32 { x }),
        2 => micro::unary!(|x: u16| -> u16 { x }),
        _ => micro::unary!(|x: u8| -> u8 { x }),
    };
    Operation::simple(run, dtype).costing(0.0, 0.01 * dtype.size() as f64)
}

/// The kernel of one element-wise node, a loop of one step.
///
/// # Errors
/// When the op is not element-wise, or its dtypes or shapes do not fit.
pub(crate) fn compile(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let [output] = outputs else {
        return Err(KernelError::new(format!("{op:?} has one result, not {}", outputs.len())));
    };
    compile_loop(&Loop {
        dims: output.dims.clone(),
        inputs: inputs.to_vec(),
        steps: vec![Step {
            op: op.clone(),
            operands: (0..inputs.len()).collect::<SmallVec<[usize; 3]>>(),
            dtype: output.dtype,
        }],
        outputs: vec![inputs.len()],
    })
}

/// The kernel that hands on its operand, repeated where it is broadcast to the result's shape.
///
/// # Errors
/// When the operand cannot be broadcast to the result, or has another dtype.
pub(crate) fn broadcast(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([input, ..], [output]) = (inputs, outputs) else {
        return Err(KernelError::new(format!("{op:?} needs an operand and one result")));
    };
    if input.dtype != output.dtype {
        return Err(KernelError::new(format!("{op:?} keeps the dtype: {input} cannot become {output}")));
    }
    // A shape-only operand has no buffer, and the loop does not know of it.
    compile_loop(&Loop { dims: output.dims.clone(), inputs: vec![input.clone()], steps: vec![], outputs: vec![0] })
}

/// The kernel of an operation that copies its operand.
///
/// # Errors
/// When the shapes differ, or are not what the op accepts.
pub(crate) fn copy(op: &Op, inputs: &[Spec], outputs: &[Spec]) -> Result<Kernel, KernelError> {
    let ([input], [output]) = (inputs, outputs) else {
        return Err(KernelError::new(format!("{op:?} needs one operand and one result")));
    };
    if let Op::EnsureShape { shape } = op
        && !shape.accepts(&input.dims)
    {
        return Err(KernelError::new(format!(
            "ensure_shape: the operand has shape {:?}, which {shape} does not accept",
            input.dims.as_slice()
        )));
    }
    if input.dims != output.dims {
        return Err(KernelError::new(format!("{op:?} keeps the shape: {input} cannot become {output}")));
    }
    broadcast(op, inputs, outputs)
}

#[cfg(test)]
mod tests;
