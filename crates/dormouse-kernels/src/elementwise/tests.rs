//! Every operation on every dtype against a plain scalar reference, bit for bit.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

use dormouse_value::{BinaryOp, Element, Shape, UnaryOp, bf16, f16, with_dtype};

use super::*;
use crate::fused::tests::{Buffer, run_kernel};
use crate::math::{self, Float};

const UNARY: [UnaryOp; 47] = [
    UnaryOp::Neg,
    UnaryOp::Abs,
    UnaryOp::Sign,
    UnaryOp::Square,
    UnaryOp::Sqrt,
    UnaryOp::Rsqrt,
    UnaryOp::Reciprocal,
    UnaryOp::Exp,
    UnaryOp::Expm1,
    UnaryOp::Log,
    UnaryOp::Log1p,
    UnaryOp::Sin,
    UnaryOp::Cos,
    UnaryOp::Tan,
    UnaryOp::Tanh,
    UnaryOp::Sigmoid,
    UnaryOp::Softplus,
    UnaryOp::Relu,
    UnaryOp::Elu,
    UnaryOp::Floor,
    UnaryOp::Ceil,
    UnaryOp::Round,
    UnaryOp::LogicalNot,
    UnaryOp::Asin,
    UnaryOp::Acos,
    UnaryOp::Atan,
    UnaryOp::Sinh,
    UnaryOp::Cosh,
    UnaryOp::Asinh,
    UnaryOp::Acosh,
    UnaryOp::Atanh,
    UnaryOp::Erf,
    UnaryOp::Erfc,
    UnaryOp::Lgamma,
    UnaryOp::Digamma,
    UnaryOp::Softsign,
    UnaryOp::Relu6,
    UnaryOp::Selu,
    UnaryOp::Invert,
    UnaryOp::Erfinv,
    UnaryOp::Ndtri,
    UnaryOp::Swish,
    UnaryOp::Gelu,
    UnaryOp::BesselI0,
    UnaryOp::BesselI0e,
    UnaryOp::BesselI1,
    UnaryOp::BesselI1e,
];
const BINARY: [BinaryOp; 25] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::FloorDiv,
    BinaryOp::FloorMod,
    BinaryOp::Pow,
    BinaryOp::Maximum,
    BinaryOp::Minimum,
    BinaryOp::SquaredDifference,
    BinaryOp::ReluGrad,
    BinaryOp::Atan2,
    BinaryOp::TruncateDiv,
    BinaryOp::TruncateMod,
    BinaryOp::BitwiseAnd,
    BinaryOp::BitwiseOr,
    BinaryOp::BitwiseXor,
    BinaryOp::LeftShift,
    BinaryOp::RightShift,
    BinaryOp::Zeta,
    BinaryOp::Polygamma,
    BinaryOp::Igamma,
    BinaryOp::Igammac,
    BinaryOp::IgammaGradA,
    BinaryOp::RandomGammaGrad,
];
const COMPARE: [CompareOp; 6] = [
    CompareOp::Equal,
    CompareOp::NotEqual,
    CompareOp::Less,
    CompareOp::LessEqual,
    CompareOp::Greater,
    CompareOp::GreaterEqual,
];

/// The types that have kernels of their own.
const COMPUTED: [DType; 6] = [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::Bool];

/// [`with_dtype`] of [`COMPUTED`] alone.
macro_rules! with_computed {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            DType::I32 => {
                type $T = i32;
                $body
            }
            DType::I64 => {
                type $T = i64;
                $body
            }
            DType::U8 => {
                type $T = u8;
                $body
            }
            _ => {
                type $T = bool;
                $body
            }
        }
    };
}

/// Numbers of each dtype that hold its corners, and enough of them for whole vectors and a rest.
trait Samples: Element {
    fn corners() -> Vec<Self>;
    fn samples() -> Vec<Self> {
        Self::corners().into_iter().cycle().take(301).collect()
    }
}

macro_rules! float_samples {
    ($($T:ident)*) => { $(
        impl Samples for $T {
            fn corners() -> Vec<$T> {
                let mut all: Vec<$T> = (-30..30).map(|i| i as $T * 0.37).collect();
                all.extend([0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 1e-40, -1e-40, 1e5, -1e10, 3e38, -88.0, 89.0, 700.0]);
                all.extend([$T::NAN, $T::INFINITY, $T::NEG_INFINITY, $T::MAX, $T::MIN_POSITIVE, -$T::MIN_POSITIVE]);
                all
            }
        }
    )* };
}
float_samples!(f32 f64);

macro_rules! integer_samples {
    ($($T:ident: $($corner:expr),*;)*) => { $(
        impl Samples for $T {
            fn corners() -> Vec<$T> {
                let mut all: Vec<$T> = (0..40).collect();
                all.extend([$($corner),*]);
                all
            }
        }
    )* };
}
integer_samples! {
    i32: -1, -2, -3, -7, 1000, -1000, i32::MAX, i32::MIN;
    i64: -1, -2, -3, -7, 1000, -1000, i64::MAX, i64::MIN, 1 << 40;
    u8: 40, 127, 128, 200, 254, 255;
    i8: -1, -2, -7, -40, i8::MAX, i8::MIN;
    i16: -1, -2, -7, 1000, -1000, 128, 255, 256, i16::MAX, i16::MIN;
    u16: 1000, 128, 255, 256, 0x7fff, 0x8000, u16::MAX;
    u32: 1000, 255, 256, 0x7fff, 0x8000, 0xffff, 1 << 16, (1 << 24) + 1, i32::MAX as u32, 1 << 31, u32::MAX;
    u64: 1000, 255, 256, 0xffff, (1 << 24) + 1, 1 << 32, (1 << 53) + 1, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX;
}
macro_rules! half_samples {
    ($($T:ident)*) => { $(
        impl Samples for $T {
            fn corners() -> Vec<$T> {
                <f64 as Samples>::corners().into_iter().map($T::from_f64).chain([$T::MAX, $T::MIN_POSITIVE]).collect()
            }
        }
    )* };
}
half_samples!(f16 bf16);
impl Samples for bool {
    fn corners() -> Vec<bool> {
        vec![true, false, false, true, true]
    }
}

/// The reference, one number at a time; `None` where the operation has no code, `Err` where it has no result.
trait Reference: Samples {
    fn unary(op: UnaryOp, x: Self) -> Option<Result<Self, &'static str>>;
    fn binary(op: BinaryOp, a: Self, b: Self) -> Option<Result<Self, &'static str>>;
}

macro_rules! float_reference {
    ($($T:ident)*) => { $(
        impl Reference for $T {
            fn unary(op: UnaryOp, x: $T) -> Option<Result<$T, &'static str>> {
                Some(Ok(match op {
                    UnaryOp::Neg => -x,
                    UnaryOp::Abs => x.abs(),
                    UnaryOp::Sign => if x == 0.0 { 0.0 } else if x.is_nan() { x } else { x.signum() },
                    UnaryOp::Square => x * x,
                    UnaryOp::Sqrt => x.sqrt(),
                    UnaryOp::Rsqrt => 1.0 / x.sqrt(),
                    UnaryOp::Reciprocal => 1.0 / x,
                    UnaryOp::Exp => math::exp(x),
                    UnaryOp::Expm1 => math::expm1(x),
                    UnaryOp::Log => math::ln(x),
                    UnaryOp::Log1p => math::ln_1p(x),
                    UnaryOp::Sin => Float::sin(x),
                    UnaryOp::Cos => Float::cos(x),
                    UnaryOp::Tan => Float::tan(x),
                    UnaryOp::Tanh => math::tanh(x),
                    UnaryOp::Sigmoid => math::sigmoid(x),
                    UnaryOp::Softplus => math::softplus(x),
                    UnaryOp::Relu => if x <= 0.0 { 0.0 } else { x },
                    UnaryOp::Elu => if x > 0.0 { x } else { math::expm1(x) },
                    UnaryOp::Floor => x.floor(),
                    UnaryOp::Ceil => x.ceil(),
                    UnaryOp::Round => x.round_ties_even(),
                    UnaryOp::Asin => math::asin(x),
                    UnaryOp::Acos => math::acos(x),
                    UnaryOp::Atan => math::atan(x),
                    UnaryOp::Sinh => math::sinh(x),
                    UnaryOp::Cosh => math::cosh(x),
                    UnaryOp::Asinh => math::asinh(x),
                    UnaryOp::Acosh => math::acosh(x),
                    UnaryOp::Atanh => math::atanh(x),
                    UnaryOp::Erf => math::erf(x),
                    UnaryOp::Erfc => math::erfc(x),
                    UnaryOp::Lgamma => math::lgamma(x),
                    UnaryOp::Digamma => math::digamma(x),
                    UnaryOp::Erfinv => math::erfinv(x),
                    UnaryOp::Ndtri => math::ndtri(x),
                    UnaryOp::Swish => math::swish(x),
                    UnaryOp::Gelu => math::gelu(x),
                    UnaryOp::BesselI0 => math::bessel_i0(x),
                    UnaryOp::BesselI0e => math::bessel_i0e(x),
                    UnaryOp::BesselI1 => math::bessel_i1(x),
                    UnaryOp::BesselI1e => math::bessel_i1e(x),
                    UnaryOp::Softsign => x / (1.0 + x.abs()),
                    UnaryOp::Relu6 => if x.is_nan() { x } else if x <= 0.0 { 0.0 } else { x.min(6.0) },
                    UnaryOp::Selu if x > 0.0 => 1.050_700_987_355_480_5_f64 as $T * x,
                    UnaryOp::Selu => 1.758_099_340_847_376_9_f64 as $T * math::expm1(x),
                    UnaryOp::LogicalNot | UnaryOp::Invert => return None,
                }))
            }
            fn binary(op: BinaryOp, a: $T, b: $T) -> Option<Result<$T, &'static str>> {
                let nan = a.is_nan() || b.is_nan();
                Some(Ok(match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    BinaryOp::FloorDiv => (a / b).floor(),
                    BinaryOp::FloorMod => {
                        let rest = a % b;
                        if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
                    }
                    BinaryOp::Pow => math::pow(a, b),
                    BinaryOp::Maximum => if nan { $T::NAN } else if a > b { a } else { b },
                    BinaryOp::Minimum => if nan { $T::NAN } else if a < b { a } else { b },
                    BinaryOp::SquaredDifference => (a - b) * (a - b),
                    BinaryOp::ReluGrad => if b > 0.0 { a } else { 0.0 },
                    BinaryOp::Atan2 => math::atan2(a, b),
                    BinaryOp::TruncateDiv => (a / b).trunc(),
                    BinaryOp::TruncateMod => a % b,
                    BinaryOp::Zeta => math::zeta(a, b),
                    BinaryOp::Polygamma => math::polygamma(a, b),
                    BinaryOp::Igamma => math::igamma(a, b),
                    BinaryOp::Igammac => math::igammac(a, b),
                    BinaryOp::IgammaGradA => math::igamma_grad_a(a, b),
                    BinaryOp::RandomGammaGrad => math::random_gamma_grad(a, b),
                    BinaryOp::BitwiseAnd | BinaryOp::BitwiseOr | BinaryOp::BitwiseXor | BinaryOp::LeftShift | BinaryOp::RightShift => return None,
                }))
            }
        }
    )* };
}
float_reference!(f32 f64);

/// aᵇ modulo 2⁶⁴.
fn power(a: i128, b: i128) -> i128 {
    if b < 100 {
        return (0..b).fold(1, |power, _| i128::from((power * a) as i64));
    }
    let root = i128::from(power(a, b / 2) as i64);
    i128::from((root * root) as i64) * power(a, b % 2)
}

macro_rules! integer_reference {
    ($($T:ident, $signed:expr;)*) => { $(
        impl Reference for $T {
            #[allow(unused_comparisons, reason = "one reference for signed and unsigned integers")]
            fn unary(op: UnaryOp, x: $T) -> Option<Result<$T, &'static str>> {
                let wide = i128::from(x);
                let y = match op {
                    UnaryOp::Square => x.wrapping_mul(x),
                    UnaryOp::Relu => if x < 0 { 0 } else { x },
                    UnaryOp::Round => x,
                    UnaryOp::Invert => (-1 - wide) as $T,
                    UnaryOp::Neg if $signed => (-wide) as $T,
                    UnaryOp::Abs if $signed => (wide * wide.signum()) as $T,
                    UnaryOp::Sign if $signed => wide.signum() as $T,
                    UnaryOp::Reciprocal if $signed => {
                        return Some(if x == 0 { Err("integer division by zero") } else { Ok((1 / wide) as $T) });
                    }
                    _ => return None,
                };
                Some(Ok(y))
            }
            fn binary(op: BinaryOp, a: $T, b: $T) -> Option<Result<$T, &'static str>> {
                let (wide_a, wide_b) = (i128::from(a), i128::from(b));
                let y = match op {
                    BinaryOp::Add => (wide_a + wide_b) as $T,
                    BinaryOp::Sub => (wide_a - wide_b) as $T,
                    BinaryOp::Mul => (wide_a * wide_b) as $T,
                    BinaryOp::SquaredDifference => (wide_a.wrapping_sub(wide_b) as $T).wrapping_mul((wide_a - wide_b) as $T),
                    BinaryOp::Maximum => a.max(b),
                    BinaryOp::Minimum => a.min(b),
                    BinaryOp::ReluGrad => if b > 0 { a } else { 0 },
                    BinaryOp::FloorDiv | BinaryOp::FloorMod if b == 0 => return Some(Err("integer division by zero")),
                    // Euclid's division, brought to the sign of b.
                    BinaryOp::FloorDiv => {
                        let rest = wide_a.rem_euclid(wide_b);
                        let rest = if wide_b < 0 && rest != 0 { rest + wide_b } else { rest };
                        ((wide_a - rest) / wide_b) as $T
                    }
                    BinaryOp::FloorMod => {
                        let rest = wide_a.rem_euclid(wide_b);
                        (if wide_b < 0 && rest != 0 { rest + wide_b } else { rest }) as $T
                    }
                    BinaryOp::TruncateDiv | BinaryOp::TruncateMod if b == 0 => return Some(Err("integer division by zero")),
                    BinaryOp::TruncateDiv => (wide_a / wide_b) as $T,
                    BinaryOp::TruncateMod => (wide_a % wide_b) as $T,
                    BinaryOp::BitwiseAnd => (wide_a & wide_b) as $T,
                    BinaryOp::BitwiseOr => (wide_a | wide_b) as $T,
                    BinaryOp::BitwiseXor => (wide_a ^ wide_b) as $T,
                    // As TensorFlow has it: places beyond are the nearest there is.
                    BinaryOp::LeftShift => (wide_a << wide_b.clamp(0, i128::from($T::BITS - 1))) as $T,
                    BinaryOp::RightShift => (wide_a >> wide_b.clamp(0, i128::from($T::BITS - 1))) as $T,
                    BinaryOp::Pow if $signed && wide_b < 0 => return Some(Err("negative integer powers")),
                    BinaryOp::Pow if $signed => power(wide_a, wide_b) as $T,
                    _ => return None,
                };
                Some(Ok(y))
            }
        }
    )* };
}
integer_reference! { i32, true; i64, true; u8, false; }

impl Reference for bool {
    fn unary(op: UnaryOp, x: bool) -> Option<Result<bool, &'static str>> {
        (op == UnaryOp::LogicalNot).then_some(Ok(!x))
    }
    fn binary(_: BinaryOp, _: bool, _: bool) -> Option<Result<bool, &'static str>> {
        None
    }
}

fn kernel(op: &Op, inputs: &[Buffer], dtype: DType) -> Result<Kernel, KernelError> {
    let specs: Vec<Spec> = inputs.iter().map(|buffer| buffer.spec.clone()).collect();
    let output = Spec::new(dtype, &specs[specs.len() - 1].dims);
    crate::compile(op, &specs, &[output])
}

fn run(op: &Op, inputs: &[Buffer], dtype: DType) -> Result<Buffer, KernelError> {
    let kernel = kernel(op, inputs, dtype)?;
    let output = Spec::new(dtype, &inputs[inputs.len() - 1].spec.dims);
    Ok(run_kernel(&kernel, inputs, &[output])?.swap_remove(0))
}

/// All results, or what the first failing element says.
fn expect<T: Element>(results: Vec<Option<Result<T, &'static str>>>) -> Option<Result<Buffer, &'static str>> {
    let n = results.len();
    let results: Vec<Result<T, &'static str>> = results.into_iter().collect::<Option<_>>()?;
    Some(results.into_iter().collect::<Result<Vec<T>, _>>().map(|all| Buffer::of(&[n], &all)))
}

#[track_caller]
fn agree(what: &dyn std::fmt::Debug, got: Result<Buffer, KernelError>, want: Option<Result<Buffer, &'static str>>) {
    match (got, want) {
        (Ok(got), Some(Ok(want))) => got.assert_same(&want, what),
        (Err(error), Some(Err(part))) => assert!(error.to_string().contains(part), "{what:?}: {error}"),
        (Err(error), None) => assert!(error.to_string().contains("has no kernel for"), "{what:?}: {error}"),
        (got, want) => panic!("{what:?}: {got:?}, not {want:?}"),
    }
}

#[test]
fn unary_operations_match_the_reference() {
    for op in UNARY {
        for dtype in COMPUTED {
            with_computed!(dtype, T => {
                let x = T::samples();
                let want = expect(x.iter().map(|&x| T::unary(op, x)).collect());
                agree(&(op, dtype), run(&Op::Unary(op), &[Buffer::of(&[x.len()], &x)], dtype), want);
                // Without the numbers that have no result.
                let x: Vec<T> = x.into_iter().filter(|&x| !matches!(T::unary(op, x), Some(Err(_)))).collect();
                let want = expect(x.iter().map(|&x| T::unary(op, x)).collect());
                agree(&(op, dtype), run(&Op::Unary(op), &[Buffer::of(&[x.len()], &x)], dtype), want);
            });
        }
    }
}

#[test]
fn binary_operations_match_the_reference() {
    for op in BINARY {
        for dtype in COMPUTED {
            with_computed!(dtype, T => {
                let corners = T::corners();
                let pairs: Vec<(T, T)> = corners.iter().flat_map(|&a| corners.iter().map(move |&b| (a, b))).collect();
                for faults in [true, false] {
                    let (a, b): (Vec<T>, Vec<T>) = pairs
                        .iter()
                        .filter(|&&(a, b)| faults || !matches!(T::binary(op, a, b), Some(Err(_))))
                        .copied()
                        .unzip();
                    let want = expect(a.iter().zip(&b).map(|(&a, &b)| T::binary(op, a, b)).collect());
                    let operands = [Buffer::of(&[a.len()], &a), Buffer::of(&[a.len()], &b)];
                    agree(&(op, dtype, faults), run(&Op::Binary(op), &operands, dtype), want);
                }
            });
        }
    }
}

#[test]
fn comparisons_match_the_reference() {
    for op in COMPARE {
        for dtype in COMPUTED {
            with_computed!(dtype, T => {
                let corners = T::corners();
                let (a, b): (Vec<T>, Vec<T>) = corners.iter().flat_map(|&a| corners.iter().map(move |&b| (a, b))).unzip();
                let want: Vec<bool> = a.iter().zip(&b).map(|(a, b)| match op {
                    CompareOp::Equal => a == b,
                    CompareOp::NotEqual => a != b,
                    CompareOp::Less => a < b,
                    CompareOp::LessEqual => a <= b,
                    CompareOp::Greater => a > b,
                    CompareOp::GreaterEqual => a >= b,
                }).collect();
                let ordered = !matches!(op, CompareOp::Equal | CompareOp::NotEqual);
                let want = (dtype != DType::Bool || !ordered).then(|| Ok(Buffer::of(&[want.len()], &want)));
                let operands = [Buffer::of(&[a.len()], &a), Buffer::of(&[a.len()], &b)];
                agree(&(op, dtype), run(&Op::Compare(op), &operands, DType::Bool), want);
            });
        }
    }
}

#[test]
fn boolean_operations_match_their_tables() {
    let a = Buffer::of(&[4], &[false, false, true, true]);
    let b = Buffer::of(&[4], &[false, true, false, true]);
    for (op, want) in [
        (LogicalOp::And, [false, false, false, true]),
        (LogicalOp::Or, [false, true, true, true]),
        (LogicalOp::Xor, [false, true, true, false]),
    ] {
        let got = run(&Op::Logical(op), &[a.clone(), b.clone()], DType::Bool);
        agree(&op, got, Some(Ok(Buffer::of(&[4], &want))));
    }
    let numbers = Buffer::of(&[1], &[1_u8]);
    agree(&"numbers", run(&Op::Logical(LogicalOp::And), &[numbers.clone(), numbers], DType::Bool), None);
}

#[test]
fn select_takes_bits_unchanged() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => {
            let (a, mut b) = (T::samples(), T::samples());
            b.reverse();
            let condition: Vec<bool> = (0..a.len()).map(|i| i % 3 == 0).collect();
            let want: Vec<T> = (0..a.len()).map(|i| if condition[i] { a[i] } else { b[i] }).collect();
            let n = a.len();
            let operands = [Buffer::of(&[n], &condition), Buffer::of(&[n], &a), Buffer::of(&[n], &b)];
            agree(&dtype, run(&Op::Select, &operands, dtype), Some(Ok(Buffer::of(&[n], &want))));
        });
    }
}

/// A number as any other, as the op's documentation says.
trait Castable: Samples {
    fn to_f64(self) -> f64;
    fn to_i128(self) -> i128;
}
macro_rules! castable {
    ($($T:ident)*) => { $(
        impl Castable for $T {
            fn to_f64(self) -> f64 { self as f64 }
            fn to_i128(self) -> i128 { self as i128 }
        }
    )* };
}
castable!(f32 f64 i32 i64 u8 i8 i16 u16 u32 u64);
macro_rules! castable_halves {
    ($($T:ident)*) => { $(
        impl Castable for $T {
            fn to_f64(self) -> f64 { f64::from(self) }
            fn to_i128(self) -> i128 { f64::from(self) as i128 }
        }
    )* };
}
castable_halves!(f16 bf16);
impl Castable for bool {
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn to_i128(self) -> i128 {
        i128::from(self)
    }
}

#[test]
fn casts_truncate_saturate_and_wrap() {
    for from in DType::ALL {
        for to in DType::ALL {
            with_dtype!(from, T => {
                let x = T::samples();
                let (n, float) = (x.len(), from.is_float());
                // An i64 to f32 is rounded once; halves are rounded from there.
                let single = |x: T| if float { x.to_f64() as f32 } else { x.to_i128() as f32 };
                macro_rules! of {
                    ($value:expr) => { Buffer::of(&[n], &x.iter().map(|&x| $value(x)).collect::<Vec<_>>()) };
                }
                macro_rules! whole {
                    ($to:ident) => {
                        of!(|x: T| {
                            let whole = x.to_i128();
                            (if float { whole.clamp($to::MIN.into(), $to::MAX.into()) } else { whole }) as $to
                        })
                    };
                }
                let want = match to {
                    DType::F32 => of!(single),
                    DType::F64 => of!(|x: T| x.to_f64()),
                    DType::F16 => of!(|x: T| if from == to { f16::from_f64(x.to_f64()) } else { f16::from_f32(single(x)) }),
                    DType::Bf16 => of!(|x: T| if from == to { bf16::from_f64(x.to_f64()) } else { bf16::from_f32(single(x)) }),
                    DType::I8 => whole!(i8),
                    DType::I16 => whole!(i16),
                    DType::I32 => whole!(i32),
                    DType::I64 => whole!(i64),
                    DType::U8 => whole!(u8),
                    DType::U16 => whole!(u16),
                    DType::U32 => whole!(u32),
                    DType::U64 => whole!(u64),
                    DType::Bool => of!(|x: T| x.to_f64() != 0.0),
                };
                let mut got = Buffer::of(&[n], &x);
                for next in super::cast_path(from, to) {
                    got = run(&Op::Cast { to: next }, &[got], next).unwrap();
                }
                agree(&(from, to), Ok(got), Some(Ok(want)));
            });
        }
    }
}

#[test]
fn add_n_sums_in_operand_order() {
    // In another order the sum would not be 0.
    let operands = [[1e30_f32], [1.0], [-1e30], [0.0]].map(|x| Buffer::of(&[1], &x));
    agree(&"add_n", run(&Op::AddN, &operands, DType::F32), Some(Ok(Buffer::of(&[1], &[0.0_f32]))));
    let bytes = [[250_u8], [10], [1]].map(|x| Buffer::of(&[1], &x));
    agree(&"add_n", run(&Op::AddN, &bytes, DType::U8), Some(Ok(Buffer::of(&[1], &[5_u8]))));
    agree(&"one", run(&Op::AddN, &bytes[..1], DType::U8), Some(Ok(Buffer::of(&[1], &[250_u8]))));
}

#[test]
fn copies_hand_on_every_dtype_and_check_shapes() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => {
            let x = T::samples();
            let x = Buffer::of(&[x.len()], &x);
            let shape = Shape::of_rank(1);
            for op in [Op::Identity, Op::StopGradient, Op::EnsureShape { shape: Box::new(shape) }] {
                agree(&op, run(&op, std::slice::from_ref(&x), dtype), Some(Ok(x.clone())));
            }
        });
    }
    let x = Buffer::of(&[2], &[1.0_f32, 2.0]);
    let error = kernel(&Op::EnsureShape { shape: Box::new(Shape::from([3_i32])) }, &[x], DType::F32).unwrap_err();
    assert_eq!(error.to_string(), "ensure_shape: the operand has shape [2], which [3] does not accept");
}

#[test]
fn broadcasts_repeat_their_operand() {
    let x = Buffer::of(&[2, 1], &[1_i64, 2]);
    let out = Spec::new(DType::I64, &[2, 2, 3]);
    let want = Buffer::of(&[2, 2, 3], &[1_i64, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
    let specs = [x.spec.clone(), out.clone()];
    let to =
        crate::compile(&Op::BroadcastTo { dims: SmallVec::from_slice(&[2, 2, 3]) }, &specs[..1], &specs[1..]).unwrap();
    run_kernel(&to, std::slice::from_ref(&x), &specs[1..]).unwrap()[0].assert_same(&want, &"to");
    let like = crate::compile(&Op::BroadcastLike, &specs, &specs[1..]).unwrap();
    let unread = Buffer::of(&[2, 2, 3], &[0_i64; 12]);
    run_kernel(&like, &[x, unread], &specs[1..]).unwrap()[0].assert_same(&want, &"like");
}

#[test]
fn check_numerics_says_what_it_found() {
    let check = |x: &[f64]| {
        let op = Op::CheckNumerics { message: "loss".to_owned() };
        run(&op, &[Buffer::of(&[x.len()], x)], DType::F64).map_err(|error| error.to_string())
    };
    check(&[1.0, -1e300]).unwrap().assert_same(&Buffer::of(&[2], &[1.0, -1e300]), &"finite");
    check(&[]).unwrap();
    assert_eq!(check(&[1.0, f64::NAN]).unwrap_err(), "loss : Tensor had NaN values");
    assert_eq!(check(&[1.0, f64::NEG_INFINITY]).unwrap_err(), "loss : Tensor had Inf values");
    // The two kinds in different tiles.
    let mut long = vec![0.0; 300_000];
    long[299_999] = f64::INFINITY;
    long[5] = f64::NAN;
    assert_eq!(check(&long).unwrap_err(), "loss : Tensor had Inf and NaN values");
}
