//! Inference of what is computed element by element.

use dormouse_value::{BinaryOp, CompareOp, DType, Dim, Shape, UnaryOp};

use super::{Facts, one, same_dtype, unified};
use crate::node::Fact;

pub(super) fn ensure_shape(shape: &Shape, x: &Fact) -> Facts {
    let shape = unified("the shape is not what is ensured", &x.shape, shape)?;
    one(Fact { dtype: x.dtype, shape })
}

pub(super) fn floats(x: &Fact) -> Facts {
    if x.dtype.is_float() { one(x.clone()) } else { Err(format!("takes floats, not {}; cast it first", x.dtype)) }
}

/// Floats that are computed with all their digits: what TensorFlow has no half-precision kernel of.
pub(super) fn single_or_double(x: &Fact) -> Facts {
    if matches!(x.dtype, DType::F32 | DType::F64) {
        one(x.clone())
    } else {
        Err(format!("takes f32 or f64, not {}; cast it first", x.dtype))
    }
}

fn not_bf16(x: &Fact) -> Facts {
    if x.dtype == DType::Bf16 { Err("takes f16, f32 or f64, not bf16; cast it first".to_owned()) } else { floats(x) }
}

fn numbers(x: &Fact) -> Facts {
    if x.dtype == DType::Bool { Err("takes numbers, not bool; cast it first".to_owned()) } else { one(x.clone()) }
}

fn signed(x: &Fact) -> Facts {
    if x.dtype.is_unsigned() {
        Err(format!("takes signed numbers, not {}; cast it first", x.dtype))
    } else {
        numbers(x)
    }
}

fn integers(x: &Fact) -> Facts {
    if x.dtype.is_integer() { one(x.clone()) } else { Err(format!("takes integers, not {}", x.dtype)) }
}

pub(super) fn unary(op: UnaryOp, x: &Fact) -> Facts {
    match op {
        UnaryOp::LogicalNot => {
            if x.dtype == DType::Bool {
                one(x.clone())
            } else {
                Err(format!("takes bool, not {}", x.dtype))
            }
        }
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign => signed(x),
        UnaryOp::Square | UnaryOp::Relu => numbers(x),
        UnaryOp::Reciprocal
        | UnaryOp::Sqrt
        | UnaryOp::Rsqrt
        | UnaryOp::Exp
        | UnaryOp::Expm1
        | UnaryOp::Log
        | UnaryOp::Log1p
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tan
        | UnaryOp::Tanh
        | UnaryOp::Sigmoid
        | UnaryOp::Softplus
        | UnaryOp::Elu
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh
        | UnaryOp::Erf
        | UnaryOp::Erfc
        | UnaryOp::Softsign
        | UnaryOp::Relu6
        | UnaryOp::Selu
        | UnaryOp::Swish
        | UnaryOp::Gelu => floats(x),
        UnaryOp::Lgamma
        | UnaryOp::Digamma
        | UnaryOp::BesselI0
        | UnaryOp::BesselI0e
        | UnaryOp::BesselI1
        | UnaryOp::BesselI1e => not_bf16(x),
        UnaryOp::Erfinv | UnaryOp::Ndtri => single_or_double(x),
        UnaryOp::Invert => integers(x),
    }
}

fn broadcast(a: &Fact, b: &Fact) -> Result<Shape, String> {
    a.shape.broadcast(&b.shape).ok_or_else(|| format!("shapes do not broadcast: {} and {}", a.shape, b.shape))
}

pub(super) fn binary(op: BinaryOp, a: &Fact, b: &Fact) -> Facts {
    same_dtype(a, b)?;
    if a.dtype == DType::Bool {
        return Err("takes numbers, not bool; cast them first".to_owned());
    }
    if op == BinaryOp::Pow {
        signed(a)?;
    }
    match op {
        BinaryOp::Atan2 => {
            floats(a)?;
        }
        // TensorFlow has these in f32 and f64 only, and in f16 what their derivatives come of.
        BinaryOp::Zeta | BinaryOp::Polygamma => {
            not_bf16(a)?;
        }
        BinaryOp::Igamma | BinaryOp::Igammac | BinaryOp::IgammaGradA | BinaryOp::RandomGammaGrad => {
            single_or_double(a)?;
        }
        BinaryOp::SquaredDifference | BinaryOp::TruncateMod
            if matches!(a.dtype, DType::I8 | DType::I16 | DType::U16 | DType::U32 | DType::U64) =>
        {
            return Err(format!("takes floats, i32, i64 or u8, not {}; cast them first", a.dtype));
        }
        BinaryOp::BitwiseAnd
        | BinaryOp::BitwiseOr
        | BinaryOp::BitwiseXor
        | BinaryOp::LeftShift
        | BinaryOp::RightShift => {
            integers(a)?;
        }
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::FloorDiv
        | BinaryOp::FloorMod
        | BinaryOp::Pow
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::SquaredDifference
        | BinaryOp::ReluGrad
        | BinaryOp::TruncateDiv
        | BinaryOp::TruncateMod => {}
    }
    if op == BinaryOp::Div && !a.dtype.is_float() {
        return Err(format!(
            "integers ({}) are divided by floor_div, which rounds down, or by true_div, which gives floats",
            a.dtype
        ));
    }
    one(Fact { dtype: a.dtype, shape: broadcast(a, b)? })
}

pub(super) fn compare(op: CompareOp, a: &Fact, b: &Fact) -> Facts {
    same_dtype(a, b)?;
    if a.dtype == DType::Bool && !matches!(op, CompareOp::Equal | CompareOp::NotEqual) {
        return Err("bool has no order; cast it first".to_owned());
    }
    one(Fact { dtype: DType::Bool, shape: broadcast(a, b)? })
}

pub(super) fn logical(a: &Fact, b: &Fact) -> Facts {
    same_dtype(a, b)?;
    if a.dtype != DType::Bool {
        return Err(format!("takes bool, not {}; compare it first", a.dtype));
    }
    one(Fact { dtype: DType::Bool, shape: broadcast(a, b)? })
}

pub(super) fn select(condition: &Fact, a: &Fact, b: &Fact) -> Facts {
    if condition.dtype != DType::Bool {
        return Err(format!("the condition is {}, not bool; compare it first", condition.dtype));
    }
    same_dtype(a, b)?;
    let values = Fact { dtype: a.dtype, shape: broadcast(a, b)? };
    let shape = broadcast(condition, &values)?;
    one(Fact { dtype: a.dtype, shape })
}

pub(super) fn betainc(a: &Fact, b: &Fact, x: &Fact) -> Facts {
    single_or_double(a)?;
    same_dtype(a, b)?;
    same_dtype(a, x)?;
    let both = Fact { dtype: a.dtype, shape: broadcast(a, b)? };
    one(Fact { dtype: a.dtype, shape: broadcast(&both, x)? })
}

/// Bits taken for those of another dtype: a last axis goes or comes where its elements are larger or smaller.
pub(super) fn bitcast(to: DType, x: &Fact) -> Facts {
    for dtype in [x.dtype, to] {
        if dtype == DType::Bool {
            return Err("takes bits of numbers, not of bool; cast it".to_owned());
        }
    }
    let (from, into) = (x.dtype.size(), to.size());
    let shape = match x.shape.dims() {
        _ if from == into => x.shape.clone(),
        None => Shape::unknown(),
        Some(dims) if from > into => dims.iter().copied().chain([Dim::from(from / into)]).collect(),
        Some(dims) => {
            let parts = into / from;
            let told =
                || format!("{} of {} do not make elements of {to}: the last extent must be {parts}", x.shape, x.dtype);
            let (last, before) = dims.split_last().ok_or_else(told)?;
            last.unify(Dim::from(parts)).ok_or_else(told)?;
            before.iter().copied().collect()
        }
    };
    one(Fact { dtype: to, shape })
}

pub(super) fn add_n(x: &[Fact]) -> Facts {
    numbers(&x[0])?;
    let mut sum = x[0].clone();
    for fact in &x[1..] {
        same_dtype(&sum, fact)?;
        sum.shape = unified("shapes differ", &sum.shape, &fact.shape)?;
    }
    one(sum)
}
