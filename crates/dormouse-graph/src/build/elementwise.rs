//! Element-wise methods: arithmetic beyond the operators, functions, comparisons, selection, casts.

use std::panic::Location;

use dormouse_value::{BinaryOp, CompareOp, DType, LogicalOp, Op, Shape, UnaryOp, Value, Weak, bf16, f16};

use crate::build::slices::IndexedSlices;
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
        /// ¬x. Booleans.
        logical_not LogicalNot;
        /// The angle of a sine, in −π/2 ..= π/2; NaN beyond ±1. Floats.
        asin Asin;
        /// The angle of a cosine, in 0 ..= π; NaN beyond ±1. Floats.
        acos Acos;
        /// The angle of a tangent, in −π/2 ..= π/2. Floats.
        atan Atan;
        /// Hyperbolic sine. Floats.
        sinh Sinh;
        /// Hyperbolic cosine. Floats.
        cosh Cosh;
        /// Inverse hyperbolic sine. Floats.
        asinh Asinh;
        /// Inverse hyperbolic cosine; NaN below 1. Floats.
        acosh Acosh;
        /// Inverse hyperbolic tangent; NaN beyond ±1. Floats.
        atanh Atanh;
        /// 2/√π ∫ e^(−t²) dt from 0 to x. Floats.
        erf Erf;
        /// 1 − erf x, exact where that is small. Floats.
        erfc Erfc;
        /// ln |Γ(x)|; ∞ at poles. Floats.
        lgamma Lgamma;
        /// (ln Γ)′(x); NaN at poles. Floats.
        digamma Digamma;
        /// The number whose error function is x; NaN beyond ±1. F32 or f64.
        erfinv Erfinv;
        /// The number below which a normal one is with probability x; NaN beyond 0 and 1. F32 or f64.
        ndtri Ndtri;
        /// The modified Bessel function of the first kind, of order 0. Floats but bf16.
        bessel_i0 BesselI0;
        /// The modified Bessel function of the first kind, of order 0, by e^(−|x|). Floats but bf16.
        bessel_i0e BesselI0e;
        /// The modified Bessel function of the first kind, of order 1. Floats but bf16.
        bessel_i1 BesselI1;
        /// The modified Bessel function of the first kind, of order 1, by e^(−|x|). Floats but bf16.
        bessel_i1e BesselI1e;
        /// x / (1 + e⁻ˣ), also called silu. Floats.
        swish Swish;
        /// x times the chance that a normal number is below x: x/2 · (1 + erf(x/√2)). Floats.
        gelu Gelu;
        /// x / (1 + |x|). Floats.
        softsign Softsign;
        /// 1.0507… · x where positive, 1.7581… · (eˣ − 1) elsewhere. Floats.
        selu Selu;
        /// ¬x, bit by bit. Integers.
        invert Invert;
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
        /// The angle of the point (y, x), of which this is y, in −π ..= π. Floats.
        atan2 Op::Binary(BinaryOp::Atan2);
        /// x / y without its fraction, as C's `/`.
        truncate_div Op::Binary(BinaryOp::TruncateDiv);
        /// x − y·(x / y without its fraction), with the sign of x, as C's `%`.
        truncate_mod Op::Binary(BinaryOp::TruncateMod);
        /// x ∧ y, bit by bit. Integers; `&` does the same.
        bitwise_and Op::Binary(BinaryOp::BitwiseAnd);
        /// x ∨ y, bit by bit. Integers; `|` does the same.
        bitwise_or Op::Binary(BinaryOp::BitwiseOr);
        /// x ⊕ y, bit by bit. Integers; `^` does the same.
        bitwise_xor Op::Binary(BinaryOp::BitwiseXor);
        /// The bits of x moved up by y places, at least 0 and at most all but one. Integers.
        left_shift Op::Binary(BinaryOp::LeftShift);
        /// The bits of x moved down by y places, at least 0 and at most all but one, the sign kept. Integers.
        right_shift Op::Binary(BinaryOp::RightShift);
        /// Σ (y + k)⁻ˣ over k ≥ 0: Hurwitz's zeta function, differentiable by y. Floats.
        zeta Op::Binary(BinaryOp::Zeta);
        /// The x-th derivative of digamma at y, differentiable by y; NaN where x is not a whole number from 0 on. Floats.
        polygamma Op::Binary(BinaryOp::Polygamma);
        /// The share of Γ(x) that lies below y: 1/Γ(x) ∫ tˣ⁻¹ e⁻ᵗ dt from 0 to y; NaN for x ≤ 0 or y < 0. F32 or f64.
        igamma Op::Binary(BinaryOp::Igamma);
        /// 1 − igamma, exact where that is small. F32 or f64.
        igammac Op::Binary(BinaryOp::Igammac);
        /// How a draw y from the gamma distribution of shape x changes with x. F32 or f64, not differentiable.
        random_gamma_grad Op::Binary(BinaryOp::RandomGammaGrad);
    }

    /// x / y in floats: i32, i64, u32 and u64 become f64 first, smaller integers f32, as in TensorFlow's `truediv`.
    #[track_caller]
    fn true_div(self, other: impl Operand) -> Tensor {
        let x = self.tensor();
        let float = |t: Tensor| match t.dtype() {
            DType::I32 | DType::I64 | DType::U32 | DType::U64 => t.cast(DType::F64),
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => t.cast(DType::F32),
            DType::F32 | DType::F64 | DType::F16 | DType::Bf16 | DType::Bool => t,
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

    /// The nearest whole number, halves to even; of integers themselves.
    #[track_caller]
    fn round(self) -> Tensor {
        let x = self.tensor();
        let op = if x.dtype().is_integer() { Op::Identity } else { Op::Unary(UnaryOp::Round) };
        x.graph().apply(op, &[x])
    }

    /// min(max(x, 0), 6).
    #[track_caller]
    fn relu6(self) -> Tensor {
        let x = self.tensor();
        let graph = x.graph();
        if !x.dtype().is_integer() {
            return graph.apply(Op::Unary(UnaryOp::Relu6), &[x]);
        }
        graph.located(|| graph.name_scope("Relu6", || x.relu().minimum(6)))
    }

    /// The share of the beta function B(this, b) that lies below x: 1/B(a, b) ∫ tᵃ⁻¹ (1 − t)ᵇ⁻¹ dt from 0 to x; NaN for a ≤ 0, b
    /// ≤ 0, x < 0 or x > 1. F32 or f64, differentiable by x. All three broadcast.
    #[track_caller]
    fn betainc(self, b: impl Operand, x: impl Operand) -> Tensor {
        let a = self.tensor();
        let (b, x) = (b.tensor_like(a), x.tensor_like(a));
        a.graph().apply(Op::Betainc, &[a, b, x])
    }

    /// The bits of the elements as elements of another dtype of numbers. Of smaller elements there is one more axis, the last;
    /// of larger ones the last axis goes, which must be as long as one of them takes. Lower bits come first.
    #[track_caller]
    fn bitcast(self, to: DType) -> Tensor {
        let x = self.tensor();
        x.graph().apply(Op::Bitcast { to }, &[x])
    }

    /// The elements as another dtype: floats to integers truncate and saturate, numbers to booleans are x ≠ 0.
    #[track_caller]
    fn cast(self, to: DType) -> Tensor {
        let x = self.tensor();
        if x.dtype() == to && !x.is_dead() { x } else { x.graph().apply(Op::Cast { to }, &[x]) }
    }

    /// As [`Elementwise::cast`], with numbers below and above what both dtypes hold made the least and the greatest that both
    /// do.
    #[track_caller]
    fn saturate_cast(self, to: DType) -> Tensor {
        let x = self.tensor();
        let from = x.dtype();
        if from == to || from == DType::Bool || to == DType::Bool || x.is_dead() {
            return x.cast(to);
        }
        x.graph().located(|| {
            x.graph().name_scope("saturate_cast", || {
                let ([low, high], [lowest, highest]) = (to.limits(), from.limits());
                // The greatest number of 64 bits is no float, and floats have infinities.
                let high = if matches!(to, DType::I64 | DType::U64) { high.next_down() } else { high };
                let end = |number: f64| x.graph().constant(toward_zero(number, from));
                let float = from.is_float();
                let below = if float || low > lowest { x.maximum(end(low.max(lowest))) } else { x };
                let within = if float || high < highest { below.minimum(end(high.min(highest))) } else { below };
                within.cast(to)
            })
        })
    }

    /// max(min(x, high), low), as TensorFlow's `clip_by_value`; of [slices](crate::IndexedSlices) that of each row.
    #[track_caller]
    fn clip_by_value(self, low: impl Operand, high: impl Operand) -> Tensor {
        let at = Location::caller();
        let x = self.tensor();
        let graph = x.graph();
        if let Some(slices) = IndexedSlices::of(x) {
            return graph.located(|| slices.with_values(slices.values().clip_by_value(low, high)).dense());
        }
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
        x.graph().apply(Op::EnsureShape { shape: Box::new(shape.into()) }, &[x])
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

/// A number of a dtype, of two next to a float that it does not hold the one nearer to 0.
fn toward_zero(number: f64, dtype: DType) -> Value {
    macro_rules! of {
        ($near:expr, $of_bits:expr) => {{
            let near = $near;
            let beyond = f64::from(near).abs() > number.abs();
            Value::from(if beyond { $of_bits(near.to_bits() - 1) } else { near })
        }};
    }
    match dtype {
        DType::F16 => of!(f16::from_f64(number), f16::from_bits),
        DType::Bf16 => of!(bf16::from_f64(number), bf16::from_bits),
        DType::F32 => of!(number as f32, f32::from_bits),
        DType::F64
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::Bool => Value::of_number(number, dtype),
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $op:expr;)*) => { $(
        impl<R: Operand> std::ops::$trait<R> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor { self.with_operand($op(self), rhs) }
        }
        impl<R: Operand> std::ops::$trait<R> for Variable {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor { self.value().with_operand($op(self.value()), rhs) }
        }
    )* };
}
operators! {
    BitAnd bitand |x: Tensor| of_bits(x, LogicalOp::And, BinaryOp::BitwiseAnd);
    BitOr bitor |x: Tensor| of_bits(x, LogicalOp::Or, BinaryOp::BitwiseOr);
    BitXor bitxor |x: Tensor| of_bits(x, LogicalOp::Xor, BinaryOp::BitwiseXor);
    Rem rem |_: Tensor| Op::Binary(BinaryOp::FloorMod);
}

/// What an operator does: with truths, or with the bits of integers.
fn of_bits(x: Tensor, truths: LogicalOp, bits: BinaryOp) -> Op {
    if x.dtype().is_integer() { Op::Binary(bits) } else { Op::Logical(truths) }
}

impl std::ops::Not for Tensor {
    type Output = Tensor;

    #[track_caller]
    fn not(self) -> Tensor {
        self.unary(if self.dtype().is_integer() { UnaryOp::Invert } else { UnaryOp::LogicalNot })
    }
}
