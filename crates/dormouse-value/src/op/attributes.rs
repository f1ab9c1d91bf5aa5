//! What operations are told apart by: the functions of a family, and the attributes that several of them have. Every list here
//! is append only, as [`Op`](super::Op) is, since files hold them by position.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A float attribute: equal and hashed by its bits, so that `-0.0` and `0.0` differ and a NaN equals itself.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Element-wise operations of one operand; the result has its dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnaryOp {
    /// −x.
    Neg,
    /// |x|.
    Abs,
    /// −1, 0 or 1; NaN of NaN.
    Sign,
    /// x².
    Square,
    /// √x.
    Sqrt,
    /// 1/√x.
    Rsqrt,
    /// 1/x; of integers, truncated.
    Reciprocal,
    /// eˣ.
    Exp,
    /// eˣ − 1, exact near 0.
    Expm1,
    /// Natural logarithm.
    Log,
    /// ln(1 + x), exact near 0.
    Log1p,
    /// Sine, radians.
    Sin,
    /// Cosine, radians.
    Cos,
    /// Tangent, radians.
    Tan,
    /// Hyperbolic tangent.
    Tanh,
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// ln(1 + eˣ).
    Softplus,
    /// max(x, 0), which is 0 of −0; NaN of NaN.
    Relu,
    /// x where positive, eˣ − 1 elsewhere.
    Elu,
    /// The largest whole number not above x.
    Floor,
    /// The smallest whole number not below x.
    Ceil,
    /// The nearest whole number, halves to even.
    Round,
    /// Boolean negation.
    LogicalNot,
    /// The angle of a sine; NaN beyond ±1.
    Asin,
    /// The angle of a cosine; NaN beyond ±1.
    Acos,
    /// The angle of a tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine; NaN below 1.
    Acosh,
    /// Inverse hyperbolic tangent; NaN beyond ±1.
    Atanh,
    /// 2/√π ∫ e^(−t²) dt from 0 to x, the error function.
    Erf,
    /// 1 − erf x, exact where that is small.
    Erfc,
    /// ln |Γ(x)|; ∞ at poles.
    Lgamma,
    /// (ln Γ)′(x); NaN at poles.
    Digamma,
    /// x / (1 + |x|).
    Softsign,
    /// min(max(x, 0), 6), which is 0 of −0; NaN of NaN.
    Relu6,
    /// 1.0507… · x where positive, 1.7581… · (eˣ − 1) elsewhere.
    Selu,
    /// ¬x, bit by bit, of integers.
    Invert,
    /// The number whose error function is x; NaN beyond ±1. F32 or F64.
    Erfinv,
    /// The number below which a normal one is with probability x; NaN beyond 0 and 1. F32 or F64.
    Ndtri,
    /// x / (1 + e⁻ˣ).
    Swish,
    /// x times the chance that a normal number is below x.
    Gelu,
    /// The modified Bessel function of the first kind, of order 0.
    BesselI0,
    /// The modified Bessel function of the first kind, of order 0, by e^(−|x|).
    BesselI0e,
    /// The modified Bessel function of the first kind, of order 1.
    BesselI1,
    /// The modified Bessel function of the first kind, of order 1, by e^(−|x|).
    BesselI1e,
}

/// Element-wise operations of two operands of one dtype, broadcast as numpy does; the result has their dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    /// a + b; integers wrap.
    Add,
    /// a − b; integers wrap.
    Sub,
    /// a · b; integers wrap.
    Mul,
    /// a / b of floats.
    Div,
    /// ⌊a / b⌋; an integer division by zero fails the run.
    FloorDiv,
    /// a − b·⌊a / b⌋, with the sign of b; an integer division by zero fails the run.
    FloorMod,
    /// aᵇ; a negative exponent of integers fails the run.
    Pow,
    /// The larger; NaN where either is.
    Maximum,
    /// The smaller; NaN where either is.
    Minimum,
    /// (a − b)².
    SquaredDifference,
    /// a where b > 0, else 0: the gradient of relu, of dy and either x or y.
    ReluGrad,
    /// The angle of the point (b, a), in −π ..= π, of floats.
    Atan2,
    /// a / b without its fraction, as C's; an integer division by zero fails the run.
    TruncateDiv,
    /// a − b·(a / b without its fraction), with the sign of a; an integer division by zero fails the run.
    TruncateMod,
    /// a ∧ b, bit by bit, of integers.
    BitwiseAnd,
    /// a ∨ b, bit by bit, of integers.
    BitwiseOr,
    /// a ⊕ b, bit by bit, of integers.
    BitwiseXor,
    /// The bits of a moved up by b places, at least 0 and at most all but one; of integers.
    LeftShift,
    /// The bits of a moved down by b places, at least 0 and at most all but one, the sign kept; of integers.
    RightShift,
    /// Σ (b + k)⁻ᵃ over k ≥ 0, Hurwitz's zeta function, of floats.
    Zeta,
    /// The a-th derivative of digamma at b, of floats; NaN where a is not a whole number from 0 on.
    Polygamma,
    /// P(a, b) = 1/Γ(a) ∫ tᵃ⁻¹ e⁻ᵗ dt from 0 to b; NaN for a ≤ 0 or b < 0. F32 or F64.
    Igamma,
    /// 1 − P(a, b), exact where that is small. F32 or F64.
    Igammac,
    /// ∂P(a, b)/∂a. F32 or F64.
    IgammaGradA,
    /// How a draw b from the gamma distribution of shape a changes with a: −∂P/∂a / ∂P/∂b. F32 or F64.
    RandomGammaGrad,
}

/// Comparisons of two operands of one dtype, broadcast; the result is boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CompareOp {
    /// a = b.
    Equal,
    /// a ≠ b.
    NotEqual,
    /// a < b.
    Less,
    /// a ≤ b.
    LessEqual,
    /// a > b.
    Greater,
    /// a ≥ b.
    GreaterEqual,
}

/// Boolean operations of two operands, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogicalOp {
    /// a ∧ b.
    And,
    /// a ∨ b.
    Or,
    /// a ⊕ b.
    Xor,
}

/// What a reduction does with the elements along its axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReduceOp {
    /// Σx; 0 of none.
    Sum,
    /// Σx / n; NaN of none, for integers truncated.
    Mean,
    /// Πx; 1 of none.
    Prod,
    /// The largest; of none −∞, of no integers the lowest; NaN where any is.
    Max,
    /// The smallest; of none ∞, of no integers the highest; NaN where any is.
    Min,
    /// ∨ of booleans.
    Any,
    /// ∧ of booleans.
    All,
}

/// What a cumulative operation does along its axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CumulativeOp {
    /// Running sum.
    Sum,
    /// Running product.
    Prod,
    /// ln of the running sum of exponentials, −∞ of none. Floats.
    LogSumExp,
}

/// What a reduction by segments does with the elements of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SegmentOp {
    /// Σx in the elements' order; 0 of none; integers wrap.
    Sum,
    /// Πx in the elements' order; 1 of none; integers wrap.
    Prod,
    /// The largest; of a NaN and what follows it the latter, as in TensorFlow.
    Max,
    /// The smallest; of a NaN and what follows it the latter, as in TensorFlow.
    Min,
}

/// How a window meets the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Padding {
    /// ⌈n / stride⌉ outputs, the odd cell of padding after, as TensorFlow.
    Same,
    /// Only whole windows.
    Valid,
    /// Whole windows over the input with so many cells around it, `[[above, below], [left, right]]`.
    Explicit([[u32; 2]; 2]),
}

/// Strides, dilations and padding of a window over the two inner axes of an NHWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window2d {
    /// Steps between windows, `[height, width]`, at least 1.
    pub strides: [u32; 2],
    /// Steps between a window's taps, `[height, width]`, at least 1.
    pub dilations: [u32; 2],
    /// How the window meets the border.
    pub padding: Padding,
}

/// Strides, dilations and padding of a window over the three inner axes of an NDHWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window3d {
    /// Steps between windows, `[depth, height, width]`, at least 1.
    pub strides: [u32; 3],
    /// Steps between a window's taps, `[depth, height, width]`, at least 1.
    pub dilations: [u32; 3],
    /// How the window meets the border; not `Explicit`.
    pub padding: Padding,
}

/// What pooling takes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PoolOp {
    /// The largest; the first of equals.
    Max,
    /// The mean of the cells inside the input.
    Average,
}

/// What the cells of resized images are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Interpolation {
    /// The nearest cell.
    Nearest,
    /// The four around, by their distance.
    Bilinear,
    /// The sixteen around, by cubics.
    Bicubic,
    /// All that it covers, by how much of each.
    Area,
}

/// Where the cells of resized images lie in the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sampling {
    /// Corner by corner, the first at the first: TensorFlow 1's default.
    Corner,
    /// The first at the first, and the last at the last: TensorFlow's `align_corners`.
    AlignedCorners,
    /// Center by center: TensorFlow's `half_pixel_centers`.
    HalfPixel,
}

/// How images are resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize {
    /// What a cell is made of.
    pub interpolation: Interpolation,
    /// Where cells lie.
    pub sampling: Sampling,
    /// Cells, `[height, width]`, at least 1.
    pub size: [u32; 2],
}

/// What a scatter does with an element that an update meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScatterOp {
    /// The update takes its place; of several updates of one element the last.
    Update,
    /// The update is added; integers wrap.
    Add,
    /// The update is subtracted; integers wrap.
    Sub,
    /// The element is multiplied by the update; integers wrap.
    Mul,
    /// The element is divided by the update. Floats.
    Div,
    /// The larger stays; NaN where either is.
    Max,
    /// The smaller stays; NaN where either is.
    Min,
}

/// What a random node draws from. Not an [`Op`](super::Op): it has a state, the counter of its generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Distribution {
    /// Uniform over [0, 1).
    Uniform,
    /// Normal of mean 0 and deviation 1.
    Normal,
    /// The same, drawn again where it falls beyond 2 deviations.
    TruncatedNormal,
    /// Whole numbers from `low` on, before `high`, each as likely. I32 or I64.
    UniformInt {
        /// The least.
        low: i64,
        /// One beyond the largest.
        high: i64,
    },
    /// (shape): gamma numbers of these shapes and rate 1, `samples` of each: `[..] → [samples, ..]`. Floats.
    Gamma {
        /// How many of each.
        samples: u32,
    },
    /// (rate): counts of events that come at these rates, `samples` of each: `[..] → [samples, ..]`; none at rates below 0. Rates
    /// are floats, counts any dtype of numbers but U8.
    Poisson {
        /// How many of each.
        samples: u32,
    },
    /// (logits `[n, c]`): classes with probabilities softmax(logits), `[n, samples]`. I32 or I64.
    Categorical {
        /// How many of each row.
        samples: u32,
    },
    /// (x): the numbers below x's first extent in random order, `[n, ..] → [n]`. I64.
    Permutation,
    /// (image size `[3]` of I32 or I64, boxes `[.., 4]` of F32 in parts of the image): where a random part of the image
    /// lies that covers enough of a box, `[4]`: top, left, height, width. I32. The whole image where none is found.
    DistortedBox {
        /// The least part of a box that is covered.
        covered: Real,
        /// The least and the largest width in heights.
        aspect_ratio: [Real; 2],
        /// The least and the largest part of the image.
        area: [Real; 2],
        /// How often it is tried.
        attempts: u32,
        /// Whether no boxes mean the whole image, and not an error.
        whole_image: bool,
    },
}

impl Distribution {
    /// Whether the numbers of its operands matter; a distribution without parameters has at most a shape to fill.
    pub fn has_parameters(self) -> bool {
        match self {
            Distribution::Uniform
            | Distribution::Normal
            | Distribution::TruncatedNormal
            | Distribution::UniformInt { .. }
            | Distribution::Permutation => false,
            Distribution::Gamma { .. }
            | Distribution::Poisson { .. }
            | Distribution::Categorical { .. }
            | Distribution::DistortedBox { .. } => true,
        }
    }
}
