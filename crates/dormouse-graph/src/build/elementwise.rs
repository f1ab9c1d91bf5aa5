//! Element-wise methods: arithmetic beyond the operators, functions, comparisons, selection, casts.

use std::panic::Location;

use dormouse_value::{BinaryOp, CompareOp, DType, LogicalOp, Op, Shape, UnaryOp, Weak};

use crate::graph::Naming;
use crate::node::Output;
use crate::tensor::{Operand, Symbol, Tensor, Variable};

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => { $(
        $(#[$doc])*
        #[track_caller]
        fn $name(self) -> Tensor { self.tensor().unary(UnaryOp::$op) }
    )* };
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $op:expr;)*) => { $(
        $(#[$doc])*
        #[track_caller]
        fn $name(self, other: impl Operand) -> Tensor { self.tensor().with_operand($op, other) }
    )* };
}

/// Element-wise methods of tensors and variables. Shapes broadcast as numpy's do; numbers take the tensor's dtype.
pub trait Elementwise: Symbol {
    unary! {
        /// |x|. Floats and signed integers.
        abs Abs;
        /// −1, 0 or 1.
        sign Sign;
        /// x².
        square Square;
        /// √x. Floats.
        sqrt Sqrt;
        /// 1/√x. Floats.
        rsqrt Rsqrt;
        /// 1/x. Floats.
        reciprocal Reciprocal;
        /// eˣ. Floats.
        exp Exp;
        /// eˣ − 1, exact near 0. Floats.
        expm1 Expm1;
        /// Natural logarithm. Floats.
        log Log;
        /// ln(1 + x), exact near 0. Floats.
        log1p Log1p;
        /// Sine, of radians. Floats.
        sin Sin;
        /// Cosine, of radians. Floats.
        cos Cos;
        /// Tangent, of radians. Floats.
        tan Tan;
        /// Hyperbolic tangent. Floats.
        tanh Tanh;
        /// 1/(1 + e⁻ˣ). Floats.
        sigmoid Sigmoid;
        /// ln(1 + eˣ). Floats.
        softplus Softplus;
        /// max(x, 0).
        relu Relu;
        /// x where positive, eˣ − 1 elsewhere. Floats.
        elu Elu;
        /// The largest whole number not above x. Floats.
        floor Floor;
        /// The smallest whole number not below x. Floats.
        ceil Ceil;
        /// The nearest whole number, halves to even. Floats.
        round Round;
        /// ¬x. Booleans.
        logical_not LogicalNot;
    }

    binary! {
        /// xʸ. Floats and signed integers.
        pow Op::Binary(BinaryOp::Pow);
        /// ⌊x / y⌋, as Python's `//`.
        floor_div Op::Binary(BinaryOp::FloorDiv);
        /// x − y·⌊x / y⌋, with the sign of y, as Python's `%`.
        floor_mod Op::Binary(BinaryOp::FloorMod);
        /// The larger; NaN where either is.
        maximum Op::Binary(BinaryOp::Maximum);
        /// The smaller; NaN where either is.
        minimum Op::Binary(BinaryOp::Minimum);
        /// (x − y)².
        squared_difference Op::Binary(BinaryOp::SquaredDifference);
        /// x = y, as booleans.
        equal Op::Compare(CompareOp::Equal);
        /// x ≠ y.
        not_equal Op::Compare(CompareOp::NotEqual);
        /// x < y.
        less Op::Compare(CompareOp::Less);
        /// x ≤ y.
        less_equal Op::Compare(CompareOp::LessEqual);
        /// x > y.
        greater Op::Compare(CompareOp::Greater);
        /// x ≥ y.
        greater_equal Op::Compare(CompareOp::GreaterEqual);
        /// x ∧ y. Booleans.
        logical_and Op::Logical(LogicalOp::And);
        /// x ∨ y. Booleans.
        logical_or Op::Logical(LogicalOp::Or);
        /// x ⊕ y. Booleans.
        logical_xor Op::Logical(LogicalOp::Xor);
    }

    /// x / y in floats: i32 and i64 become f64 first and u8 becomes f32, as in TensorFlow's `truediv`.
    #[track_caller]
    fn true_div(self, other: impl Operand) -> Tensor {
        let x = self.tensor();
        let float = |t: Tensor| match t.dtype() {
            DType::I32 | DType::I64 => t.cast(DType::F64),
            DType::U8 => t.cast(DType::F32),
            DType::F32 | DType::F64 | DType::Bool => t,
        };
        match other.weak() {
            Some(_) => float(x) / other,
            None => float(x) / float(other.tensor_like(x)),
        }
    }

    /// The first where this, a boolean, holds, and the second elsewhere: TensorFlow's `where` with three arguments. One of
    /// the two must be a tensor or a variable; a number takes its dtype. All three broadcast.
    #[track_caller]
    fn select(self, then: impl Operand, otherwise: impl Operand) -> Tensor {
        let condition = self.tensor();
        let (then, otherwise) = match (then.weak(), otherwise.weak()) {
            (Some(_), Some(_)) => {
                let told = "select: both sides are bare numbers; make one a constant, which has a dtype";
                return condition.poisoned_or(told.to_owned());
            }
            (Some(_), None) => {
                let b = otherwise.tensor_like(condition);
                (then.tensor_like(b), b)
            }
            (None, _) => {
                let a = then.tensor_like(condition);
                (a, otherwise.tensor_like(a))
            }
        };
        condition.graph().apply(Op::Select, &[condition, then, otherwise])
    }

    /// The elements as another dtype: floats to integers truncate and saturate, numbers to booleans are x ≠ 0.
    #[track_caller]
    fn cast(self, to: DType) -> Tensor {
        let x = self.tensor();
        if x.dtype() == to && !x.is_dead() { x } else { x.graph().apply(Op::Cast { to }, &[x]) }
    }

    /// max(min(x, high), low), as TensorFlow's `clip_by_value`.
    #[track_caller]
    fn clip_by_value(self, low: impl Operand, high: impl Operand) -> Tensor {
        let at = Location::caller();
        let x = self.tensor();
        let graph = x.graph();
        graph.composite(at, "clip_by_value", |own| {
            let low = low.tensor_like(x);
            let high = high.tensor_like(x);
            let binary = |naming, op, a, b| {
                let node = graph.push_op(at, naming, Op::Binary(op), &[a, b]);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            };
            let limited = binary(Naming::Scoped("Minimum"), BinaryOp::Minimum, x, high);
            binary(own, BinaryOp::Maximum, limited, low)
        })
    }

    /// The tensor; a run in which an element is NaN or infinite fails with this message.
    #[track_caller]
    fn check_numerics(self, message: &str) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::CheckNumerics { message: message.to_owned() }, &[x])
    }

    /// The tensor, where gradients end.
    #[track_caller]
    fn stop_gradient(self) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::StopGradient, &[x])
    }

    /// The tensor, as a node of its own.
    #[track_caller]
    fn identity(self) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::Identity, &[x])
    }

    /// The tensor, with what is known of its shape joined with `shape`; a run in which it has another fails.
    #[track_caller]
    fn ensure_shape(self, shape: impl Into<Shape>) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::EnsureShape { shape: shape.into() }, &[x])
    }

    /// Zeros in this tensor's shape and dtype.
    #[track_caller]
    fn zeros_like(self) -> Tensor {
        filled_like(self.tensor(), "zeros_like", 0)
    }

    /// Ones in this tensor's shape and dtype.
    #[track_caller]
    fn ones_like(self) -> Tensor {
        filled_like(self.tensor(), "ones_like", 1)
    }
}

impl<S: Symbol> Elementwise for S {}

#[track_caller]
fn filled_like(x: Tensor, name: &str, number: i64) -> Tensor {
    let scalar = match Weak::Int(number).to_value(x.dtype()) {
        Some(value) => value,
        None => (number != 0).into(),
    };
    let at = Location::caller();
    let graph = x.graph();
    graph.composite(at, name, |own| {
        let scalar = graph.constant_named(at, Naming::Scoped("Const"), scalar);
        let node = graph.push_op(at, own, Op::BroadcastLike, &[scalar, x]);
        Tensor::new(graph.handle(), Output { node, port: 0 })
    })
}

macro_rules! logical_operators {
    ($($trait:ident $method:ident $op:expr;)*) => { $(
        impl<R: Operand> std::ops::$trait<R> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor { self.with_operand($op, rhs) }
        }
        impl<R: Operand> std::ops::$trait<R> for Variable {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor { self.value().with_operand($op, rhs) }
        }
    )* };
}
logical_operators! {
    BitAnd bitand Op::Logical(LogicalOp::And);
    BitOr bitor Op::Logical(LogicalOp::Or);
    BitXor bitxor Op::Logical(LogicalOp::Xor);
    Rem rem Op::Binary(BinaryOp::FloorMod);
}

impl std::ops::Not for Tensor {
    type Output = Tensor;

    #[track_caller]
    fn not(self) -> Tensor {
        self.unary(UnaryOp::LogicalNot)
    }
}
