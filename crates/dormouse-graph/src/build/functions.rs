//! Element-wise functions that are made of others: each is a scope of nodes, the last of which has the scope's name.

use std::panic::Location;

use dormouse_value::{BinaryOp, CompareOp, DType, Op, UnaryOp};

use super::elementwise::Elementwise;
use super::reduction::Reduction;
use crate::node::Output;
use crate::tensor::{Operand, Symbol, Tensor};

const SQRT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// Element-wise functions of tensors and variables, beyond [`Elementwise`].
pub trait Functions: Symbol {
    /// ln(1/(1 + e⁻ˣ)), exact far below 0. Floats.
    #[track_caller]
    fn log_sigmoid(self) -> Tensor {
        let x = self.tensor();
        composed(x, "LogSigmoid", |own| own(Op::Unary(UnaryOp::Neg), &[(-x).softplus()]))
    }

    /// x where positive, `slope` · x elsewhere. Floats.
    #[track_caller]
    fn leaky_relu(self, slope: f64) -> Tensor {
        let x = self.tensor();
        composed(x, "LeakyRelu", |own| own(Op::Select, &[x.greater(0.0), x, x * slope]))
    }

    /// `gelu` by a hyperbolic tangent: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). Floats.
    #[track_caller]
    fn gelu_approximate(self) -> Tensor {
        let x = self.tensor();
        composed(x, "Gelu", |own| {
            let cubic = x + x * x.square() * 0.044_715;
            let chance = (cubic * 0.797_884_560_802_865_4).tanh() + 1.0;
            own(Op::Binary(BinaryOp::Mul), &[x * 0.5, chance])
        })
    }

    /// Where elements are not numbers, as booleans. Floats.
    #[track_caller]
    fn is_nan(self) -> Tensor {
        let x = self.tensor();
        of_floats(x, "is_nan")
            .unwrap_or_else(|| composed(x, "IsNan", |own| own(Op::Compare(CompareOp::NotEqual), &[x, x])))
    }

    /// Where elements are ∞ or −∞, as booleans. Floats.
    #[track_caller]
    fn is_inf(self) -> Tensor {
        let x = self.tensor();
        of_floats(x, "is_inf").unwrap_or_else(|| {
            composed(x, "IsInf", |own| {
                let infinity = f64::INFINITY.tensor_like(x);
                own(Op::Compare(CompareOp::Equal), &[x.abs(), infinity])
            })
        })
    }

    /// Where elements are neither NaN nor infinite, as booleans. Floats.
    #[track_caller]
    fn is_finite(self) -> Tensor {
        let x = self.tensor();
        of_floats(x, "is_finite").unwrap_or_else(|| {
            composed(x, "IsFinite", |own| {
                let infinity = f64::INFINITY.tensor_like(x);
                own(Op::Compare(CompareOp::Less), &[x.abs(), infinity])
            })
        })
    }

    /// x / y, and 0 where y is 0, with gradients of 0 there. Floats.
    #[track_caller]
    fn div_no_nan(self, other: impl Operand) -> Tensor {
        let x = self.tensor();
        let y = other.tensor_like(x);
        composed(x, "div_no_nan", |own| {
            // The quotient sees no zero, or its gradient would be 0 · ∞.
            let zero = y.equal(0.0);
            let quotient = x / zero.select(1.0, y);
            own(Op::Select, &[zero, quotient.zeros_like(), quotient])
        })
    }

    /// x · y, and 0 where y is 0 and x is NaN or infinite, with gradients of 0 there. Floats.
    #[track_caller]
    fn multiply_no_nan(self, other: impl Operand) -> Tensor {
        let x = self.tensor();
        let y = other.tensor_like(x);
        composed(x, "mul_no_nan", |own| {
            let hidden = y.equal(0.0) & !x.is_finite();
            own(Op::Binary(BinaryOp::Mul), &[hidden.select(0.0, x), y])
        })
    }

    /// 1 / x, and 0 where x is 0, with gradients of 0 there. Floats.
    #[track_caller]
    fn reciprocal_no_nan(self) -> Tensor {
        let x = self.tensor();
        composed(x, "reciprocal_no_nan", |own| {
            let zero = x.equal(0.0);
            let quotient = zero.select(1.0, x).reciprocal();
            own(Op::Select, &[zero, quotient.zeros_like(), quotient])
        })
    }

    /// x ln y, and 0 where x is 0, with gradients of 0 there. Floats.
    #[track_caller]
    fn xlogy(self, other: impl Operand) -> Tensor {
        absent(self.tensor(), other, "xlogy", 1.0, |x, y| x * y.log())
    }

    /// x ln(1 + y), and 0 where x is 0, with gradients of 0 there. Floats.
    #[track_caller]
    fn xlog1py(self, other: impl Operand) -> Tensor {
        absent(self.tensor(), other, "xlog1py", 0.0, |x, y| x * y.log1p())
    }

    /// x / y, and 0 where x is 0, with gradients of 0 there. Floats.
    #[track_caller]
    fn xdivy(self, other: impl Operand) -> Tensor {
        absent(self.tensor(), other, "xdivy", 1.0, |x, y| x / y)
    }

    /// The number whose complement of the error function is x; NaN beyond 0 and 2. F32 or f64.
    #[track_caller]
    fn erfcinv(self) -> Tensor {
        let x = self.tensor();
        composed(x, "erfcinv", |own| own(Op::Binary(BinaryOp::Mul), &[-(x * 0.5).ndtri(), SQRT_HALF.tensor_like(x)]))
    }

    /// The number next to x on the way to another; that itself where they are equal, NaN where either is. F32 or f64.
    #[track_caller]
    fn next_after(self, other: impl Operand) -> Tensor {
        let x = self.tensor();
        let to = other.tensor_like(x);
        if !matches!(x.dtype(), DType::F32 | DType::F64) {
            return x.poisoned_or(format!("next_after: takes f32 or f64, not {}", x.dtype()));
        }
        let bits = if x.dtype() == DType::F32 { DType::I32 } else { DType::I64 };
        composed(x, "NextAfter", |own| {
            let graph = x.graph();
            let number = |n: i64| graph.constant(n).cast(bits);
            // The bits of numbers of one sign are in their order.
            let up = to.greater(x);
            let away = up.equal(x.greater(0.0));
            let beside = (x.bitcast(bits) + away.select(number(1), number(-1))).bitcast(x.dtype());
            let lowest = if bits == DType::I32 { i64::from(i32::MIN) } else { i64::MIN };
            let [above, below] = [1, lowest + 1].map(|n| number(n).bitcast(x.dtype()));
            let from_zero = up.select(above, below);
            let moved = x.equal(0.0).select(from_zero, beside);
            let told = x.equal(x) & to.equal(to);
            let next = x.equal(to).select(to, moved);
            own(Op::Select, &[told, next, x + to])
        })
    }

    /// Whether |x − y| is `tolerance` at most, as booleans.
    #[track_caller]
    fn approximate_equal(self, other: impl Operand, tolerance: f64) -> Tensor {
        let x = self.tensor();
        composed(x, "ApproximateEqual", |own| {
            let distance = (x - other).abs();
            own(Op::Compare(CompareOp::LessEqual), &[distance, tolerance.tensor_like(x)])
        })
    }

    /// max(x, 0) and max(−x, 0), joined along the last axis. Floats.
    #[track_caller]
    fn crelu(self) -> Tensor {
        let x = self.tensor();
        composed(x, "CRelu", |own| own(Op::Unary(UnaryOp::Relu), &[x.graph().concat(&[x, -x], -1)]))
    }

    /// c₀xⁿ⁻¹ + c₁xⁿ⁻² + … + cₙ₋₁, by Horner's rule; the coefficients broadcast. A lone one is the result as it is, none
    /// give 0.
    #[track_caller]
    fn polyval(self, coefficients: &[Tensor]) -> Tensor {
        let x = self.tensor();
        let Some((first, rest)) = coefficients.split_first() else { return x.zeros_like() };
        let Some((last, between)) = rest.split_last() else { return *first };
        composed(x, "polyval", |own| {
            let sum = between.iter().fold(*first, |sum, c| sum * x + *c);
            own(Op::Binary(BinaryOp::Add), &[sum * x, *last])
        })
    }

    /// ln |B(x)| along the last axis, B the beta function of several numbers: Σ ln Γ(xᵢ) − ln Γ(Σ xᵢ). Floats.
    #[track_caller]
    fn lbeta(self) -> Tensor {
        let x = self.tensor();
        composed(x, "lbeta", |own| own(Op::Binary(BinaryOp::Sub), &[x.lgamma().sum_over(-1), x.sum_over(-1).lgamma()]))
    }
}

impl<S: Symbol> Functions for S {}

/// Nodes in a scope of their own, the last of which, made by what `build` is given, has the scope's name.
#[track_caller]
pub(super) fn composed(
    x: Tensor,
    name: &str,
    build: impl FnOnce(&dyn Fn(Op, &[Tensor]) -> Tensor) -> Tensor,
) -> Tensor {
    let at = Location::caller();
    let graph = x.graph();
    graph.located(|| {
        graph.composite(at, name, |own| {
            build(&|op, operands| {
                let node = graph.push_op(at, own, op, operands);
                Tensor::new(graph.handle(), Output { node, port: 0 })
            })
        })
    })
}

/// A mistake where a tensor is not of floats.
#[track_caller]
fn of_floats(x: Tensor, name: &str) -> Option<Tensor> {
    let dtype = x.dtype();
    let told = || x.poisoned_or(format!("{name}: takes floats, not {dtype}; cast it first"));
    (!dtype.is_float()).then(told)
}

/// A function of x and y that is 0 where x is, whatever y; `harmless` is a y that it and its gradients are finite at.
#[track_caller]
fn absent(x: Tensor, y: impl Operand, name: &str, harmless: f64, f: impl FnOnce(Tensor, Tensor) -> Tensor) -> Tensor {
    let y = y.tensor_like(x);
    composed(x, name, |own| {
        let none = x.equal(0.0);
        let value = f(x, none.select(harmless, y));
        own(Op::Select, &[none, value.zeros_like(), value])
    })
}
