//! Element-wise operations: local derivatives, summed back over what was broadcast.

use dormouse_graph::{Elementwise, Tensor};
use dormouse_value::{BinaryOp, CompareOp, LogicalOp, Op, UnaryOp};
use smallvec::smallvec;

use super::{Found, Site};

pub(super) fn unary(op: UnaryOp, s: &Site<'_>) -> Found {
    let (Some(dy), x, y) = (s.dy[0], s.x[0], s.y) else { return Found::new() };
    let u = |op, x| s.unary(op, x);
    let gradient = s.of(0, || match op {
        UnaryOp::Neg => -dy,
        UnaryOp::Abs => dy * u(UnaryOp::Sign, x),
        UnaryOp::Square => dy * (x * 2.0),
        UnaryOp::Sqrt => none_of_none(s, dy, y.equal(0.0), dy * 0.5 / y),
        UnaryOp::Rsqrt => none_of_none(s, dy, u(UnaryOp::Abs, y).equal(f64::INFINITY), dy * (y * y * y) * -0.5),
        UnaryOp::Reciprocal => none_of_none(s, dy, u(UnaryOp::Abs, y).equal(f64::INFINITY), -dy * (y * y)),
        UnaryOp::Exp => dy * y,
        UnaryOp::Expm1 => dy * u(UnaryOp::Exp, x),
        UnaryOp::Log => dy / x,
        UnaryOp::Log1p => dy / (x + 1.0),
        UnaryOp::Sin => dy * u(UnaryOp::Cos, x),
        UnaryOp::Cos => -dy * u(UnaryOp::Sin, x),
        UnaryOp::Tan => dy / u(UnaryOp::Square, u(UnaryOp::Cos, x)),
        UnaryOp::Tanh => dy * (1.0 - u(UnaryOp::Square, y)),
        UnaryOp::Sigmoid => dy * y * (1.0 - y),
        UnaryOp::Softplus => dy * u(UnaryOp::Sigmoid, x),
        UnaryOp::Relu => s.graph.apply(Op::Binary(BinaryOp::ReluGrad), &[dy, y]),
        UnaryOp::Elu => y.zeros_like().select_where(s, CompareOp::Greater, y, dy * (y + 1.0), dy),
        UnaryOp::Asin => dy / (1.0 - u(UnaryOp::Square, x)).sqrt(),
        UnaryOp::Acos => -dy / (1.0 - u(UnaryOp::Square, x)).sqrt(),
        UnaryOp::Atan => dy / (u(UnaryOp::Square, x) + 1.0),
        UnaryOp::Sinh => dy * u(UnaryOp::Cosh, x),
        UnaryOp::Cosh => dy * u(UnaryOp::Sinh, x),
        // sinh y = x ⇒ dx/dy = cosh y, which no square of a large x overflows
        UnaryOp::Asinh => dy / u(UnaryOp::Cosh, y),
        UnaryOp::Acosh => dy / u(UnaryOp::Sinh, y),
        UnaryOp::Atanh => dy / (1.0 - u(UnaryOp::Square, x)),
        UnaryOp::Erf => dy * (u(UnaryOp::Exp, -u(UnaryOp::Square, x)) * std::f64::consts::FRAC_2_SQRT_PI),
        UnaryOp::Erfc => dy * (u(UnaryOp::Exp, -u(UnaryOp::Square, x)) * -std::f64::consts::FRAC_2_SQRT_PI),
        UnaryOp::Lgamma => dy * u(UnaryOp::Digamma, x),
        UnaryOp::Digamma => dy * s.graph.apply(Op::Binary(BinaryOp::Polygamma), &[x.ones_like(), x]),
        // erf y = x ⇒ dx/dy = 2/√π e^(−y²)
        UnaryOp::Erfinv => dy * (u(UnaryOp::Exp, u(UnaryOp::Square, y)) / std::f64::consts::FRAC_2_SQRT_PI),
        // Φ(y) = x ⇒ dx/dy = e^(−y²/2) / √(2π)
        UnaryOp::Ndtri => dy * (u(UnaryOp::Exp, u(UnaryOp::Square, y) * 0.5) * 2.506_628_274_631_000_7),
        // y = x·σ(x) ⇒ dy/dx = σ(x)·(1 + x·(1 − σ(x)))
        UnaryOp::Swish => {
            let sigmoid = u(UnaryOp::Sigmoid, x);
            dy * (sigmoid * (x * (1.0 - sigmoid) + 1.0))
        }
        // y = x·Φ(x) ⇒ dy/dx = Φ(x) + x·e^(−x²/2)/√(2π)
        UnaryOp::Gelu => {
            let chance = u(UnaryOp::Erfc, x * -std::f64::consts::FRAC_1_SQRT_2) * 0.5;
            let density = u(UnaryOp::Exp, u(UnaryOp::Square, x) * -0.5) * 0.398_942_280_401_432_7;
            dy * (chance + x * density)
        }
        UnaryOp::BesselI0 => dy * u(UnaryOp::BesselI1, x),
        UnaryOp::BesselI0e => dy * (u(UnaryOp::BesselI1e, x) - u(UnaryOp::Sign, x) * y),
        // I₁′ = I₀ − I₁/x, which is ½ at 0
        UnaryOp::BesselI1 => dy * half_at_zero(s, |x| u(UnaryOp::BesselI0, x) - u(UnaryOp::BesselI1, x) / x),
        UnaryOp::BesselI1e => {
            let slope = |x| u(UnaryOp::BesselI0e, x) - u(UnaryOp::BesselI1e, x) * (u(UnaryOp::Sign, x) + 1.0 / x);
            dy * half_at_zero(s, slope)
        }
        UnaryOp::Softsign => dy / u(UnaryOp::Square, u(UnaryOp::Abs, x) + 1.0),
        // With 6 in y's stead where it is 6, the gradient of relu gives 0 at both ends.
        UnaryOp::Relu6 => {
            let inside = s.graph.apply(Op::Compare(CompareOp::Less), &[y, y.zeros_like() + 6.0]);
            let dy = s.graph.apply(Op::Select, &[inside, dy, dy.zeros_like()]);
            s.graph.apply(Op::Binary(BinaryOp::ReluGrad), &[dy, y])
        }
        UnaryOp::Selu => {
            y.select_where(s, CompareOp::Less, y.zeros_like(), dy * (y + SELU_SCALE_ALPHA), dy * SELU_SCALE)
        }
        UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::LogicalNot | UnaryOp::Invert => {
            x.zeros_like()
        }
    });
    // Steps have no gradient at all, as in TensorFlow; only the sign's is zero.
    let none = matches!(op, UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::LogicalNot | UnaryOp::Invert);
    smallvec![gradient.filter(|_| !none)]
}

/// The slope of selu above 0, and what it is below, far out, with its sign turned: TensorFlow's.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_SCALE_ALPHA: f64 = 1.758_099_340_847_376_9;

/// A gradient, and 0 where the slope is not finite but nothing reaches it, as in TensorFlow: so what is chosen from elsewhere there is
/// not spoiled.
fn none_of_none(s: &Site<'_>, dy: Tensor, steep: Tensor, gradient: Tensor) -> Tensor {
    let spoiled = s.graph.apply(Op::Logical(LogicalOp::And), &[steep, dy.equal(0.0)]);
    s.graph.apply(Op::Select, &[spoiled, dy.zeros_like(), gradient])
}

/// A function of x where it is not 0, and ½ where it is.
fn half_at_zero(s: &Site<'_>, f: impl Fn(Tensor) -> Tensor) -> Tensor {
    let x = s.x[0];
    let zeros = x.zeros_like();
    let safe = x.select_where(s, CompareOp::Equal, zeros, x.ones_like(), x);
    x.select_where(s, CompareOp::Equal, zeros, zeros + 0.5, f(safe))
}

trait SelectWhere {
    fn select_where(self, s: &Site<'_>, compare: CompareOp, other: Tensor, then: Tensor, otherwise: Tensor) -> Tensor;
}

impl SelectWhere for Tensor {
    /// `then` where the comparison with `other` holds.
    fn select_where(self, s: &Site<'_>, compare: CompareOp, other: Tensor, then: Tensor, otherwise: Tensor) -> Tensor {
        let condition = s.graph.apply(Op::Compare(compare), &[self, other]);
        s.graph.apply(Op::Select, &[condition, then, otherwise])
    }
}

pub(super) fn binary(op: BinaryOp, s: &Site<'_>) -> Found {
    let (Some(dy), a, b, y) = (s.dy[0], s.x[0], s.x[1], s.y) else { return Found::new() };
    let zeros = || dy.zeros_like();
    let apply = |op, a, b| s.graph.apply(Op::Binary(op), &[a, b]);
    let of_a = || match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::FloorMod | BinaryOp::TruncateMod => Some(dy),
        BinaryOp::Mul => Some(dy * b),
        BinaryOp::Div => Some(dy / b),
        BinaryOp::FloorDiv
        | BinaryOp::TruncateDiv
        | BinaryOp::BitwiseAnd
        | BinaryOp::BitwiseOr
        | BinaryOp::BitwiseXor
        | BinaryOp::LeftShift
        | BinaryOp::RightShift
        | BinaryOp::Zeta
        | BinaryOp::Polygamma => None,
        BinaryOp::Igamma => Some(dy * apply(BinaryOp::IgammaGradA, a, b)),
        BinaryOp::Igammac => Some(-dy * apply(BinaryOp::IgammaGradA, a, b)),
        BinaryOp::IgammaGradA => {
            Some(s.graph.mistake("igamma_grad_a: has no gradient by its first operand".to_owned()))
        }
        BinaryOp::RandomGammaGrad => Some(s.graph.mistake("random_gamma_grad: has no gradient".to_owned())),
        BinaryOp::Atan2 => Some(dy / (a.square() + b.square()) * b),
        BinaryOp::Pow => Some(dy * b * apply(BinaryOp::Pow, a, b - 1.0)),
        BinaryOp::Maximum => Some(a.select_where(s, CompareOp::GreaterEqual, b, dy, zeros())),
        BinaryOp::Minimum => Some(a.select_where(s, CompareOp::LessEqual, b, dy, zeros())),
        BinaryOp::SquaredDifference => Some(dy * 2.0 * (a - b)),
        BinaryOp::ReluGrad => Some(apply(BinaryOp::ReluGrad, dy, b)),
    };
    let of_b = || match op {
        BinaryOp::Add => Some(dy),
        BinaryOp::Sub => Some(-dy),
        BinaryOp::Mul => Some(dy * a),
        BinaryOp::Div => Some(dy * (-a / b / b)),
        BinaryOp::FloorDiv
        | BinaryOp::TruncateDiv
        | BinaryOp::BitwiseAnd
        | BinaryOp::BitwiseOr
        | BinaryOp::BitwiseXor
        | BinaryOp::LeftShift
        | BinaryOp::RightShift => None,
        BinaryOp::Atan2 => Some(dy / (a.square() + b.square()) * -a),
        // ∂ζ(s, q)/∂q = −s ζ(s + 1, q)
        BinaryOp::Zeta => Some(-dy * a * apply(BinaryOp::Zeta, a + 1.0, b)),
        BinaryOp::Polygamma => Some(dy * apply(BinaryOp::Polygamma, a + 1.0, b)),
        BinaryOp::Igamma => Some(dy * density(s, a, b)),
        BinaryOp::Igammac => Some(-dy * density(s, a, b)),
        // ∂²P/∂a∂x = p(x)·(ln x − ψ(a))
        BinaryOp::IgammaGradA => {
            Some(dy * density(s, a, b) * (s.unary(UnaryOp::Log, b) - s.unary(UnaryOp::Digamma, a)))
        }
        BinaryOp::RandomGammaGrad => Some(s.graph.mistake("random_gamma_grad: has no gradient".to_owned())),
        BinaryOp::TruncateMod => Some(-dy * apply(BinaryOp::TruncateDiv, a, b)),
        BinaryOp::FloorMod => Some(-dy * apply(BinaryOp::FloorDiv, a, b)),
        BinaryOp::Pow => {
            // The logarithm sees only positive bases, so that no NaN is made where its gradient is 0.
            let safe = a.select_where(s, CompareOp::Greater, a.zeros_like(), a, a.ones_like());
            Some(dy * y * s.unary(UnaryOp::Log, safe))
        }
        BinaryOp::Maximum => Some(a.select_where(s, CompareOp::GreaterEqual, b, zeros(), dy)),
        BinaryOp::Minimum => Some(a.select_where(s, CompareOp::LessEqual, b, zeros(), dy)),
        BinaryOp::SquaredDifference => Some(dy * -2.0 * (a - b)),
        BinaryOp::ReluGrad => Some(zeros()),
    };
    let of = |i: usize, f: &dyn Fn() -> Option<Tensor>| {
        if s.wanted[i] && s.x[i].dtype().is_float() { f().map(|g| s.sum_like(g, i)) } else { None }
    };
    smallvec![of(0, &of_a), of(1, &of_b)]
}

/// The density of the gamma distribution of shape a at x: xᵃ⁻¹ e⁻ˣ / Γ(a).
fn density(s: &Site<'_>, a: Tensor, x: Tensor) -> Tensor {
    let powers = (a - 1.0) * s.unary(UnaryOp::Log, x) - x;
    s.unary(UnaryOp::Exp, powers - s.unary(UnaryOp::Lgamma, a))
}

// dIₓ(a, b)/dx = xᵃ⁻¹ (1 − x)ᵇ⁻¹ / B(a, b); by a and b there is none, as in TensorFlow
pub(super) fn betainc(s: &Site<'_>) -> Found {
    let Some(dy) = s.dy[0] else { return Found::new() };
    let (a, b, x) = (s.x[0], s.x[1], s.x[2]);
    let slope = s.of(2, || {
        let gamma = |x| s.unary(UnaryOp::Lgamma, x);
        let beta = gamma(a) + gamma(b) - gamma(a + b);
        let powers = (b - 1.0) * s.unary(UnaryOp::Log1p, -x) + (a - 1.0) * s.unary(UnaryOp::Log, x);
        s.sum_like(dy * s.unary(UnaryOp::Exp, powers - beta), 2)
    });
    smallvec![None, None, slope]
}

pub(super) fn select(s: &Site<'_>) -> Found {
    let Some(dy) = s.dy[0] else { return Found::new() };
    let part = |then, otherwise| s.graph.apply(Op::Select, &[s.x[0], then, otherwise]);
    let a = s.of(1, || s.sum_like(part(dy, dy.zeros_like()), 1));
    let b = s.of(2, || s.sum_like(part(dy.zeros_like(), dy), 2));
    smallvec![None, a, b]
}
