//! What a row of the table is: an operation, its operands, and a function of f64 arrays that defines its results.

use std::fmt;
use std::rc::Rc;

use dormouse::prelude::*;
use dormouse::value::Op;
use ndarray::{ArrayD, IxDyn};

/// The arrays that references compute with; booleans are 0 and 1.
pub(crate) type Numbers = ArrayD<f64>;

/// A function of the operands.
type Reference<R> = dyn Fn(&[Numbers]) -> R;

/// The dtypes that carry gradients.
pub(crate) const FLOATS: [DType; 4] = [DType::F64, DType::F32, DType::F16, DType::Bf16];
/// Floats of 16 bits.
pub(crate) const HALVES: [DType; 2] = [DType::F16, DType::Bf16];
/// Integers.
pub(crate) const INTEGERS: [DType; 8] =
    [DType::I32, DType::I64, DType::U8, DType::I8, DType::I16, DType::U16, DType::U32, DType::U64];
/// Integers with a sign.
pub(crate) const SIGNED: [DType; 4] = [DType::I32, DType::I64, DType::I8, DType::I16];
/// What may be any dtype, beyond floats.
pub(crate) const ANY: [DType; 9] =
    [DType::I32, DType::I64, DType::U8, DType::I8, DType::I16, DType::U16, DType::U32, DType::U64, DType::Bool];

/// One operation with operands, and what it gives.
pub(crate) struct Row {
    pub(crate) op: Op,
    pub(crate) operands: Vec<Operand>,
    /// The dtypes that the operands of no dtype of their own take; others are mistakes.
    pub(crate) dtypes: Vec<DType>,
    /// The results' dtype, where it is not the operands'.
    pub(crate) gives: Option<DType>,
    pub(crate) gradient: Gradient,
    reference: Box<Reference<Vec<Numbers>>>,
}

/// What is held of a row's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradient {
    /// It is that of the reference, and so is its own.
    Smooth,
    /// It is that of the reference; its own is not held.
    Fixed,
    /// It is the gradient, but the results are too coarse for differences.
    Coarse,
    /// There is none, and asking for it is a mistake.
    None,
}

/// One result, or several.
pub(crate) trait Results {
    fn list(self) -> Vec<Numbers>;
}

impl Results for Numbers {
    fn list(self) -> Vec<Numbers> {
        vec![self]
    }
}

impl<const N: usize> Results for [Numbers; N] {
    fn list(self) -> Vec<Numbers> {
        self.into()
    }
}

/// A row of floats that is differentiable.
pub(crate) fn row<R: Results>(
    op: Op,
    operands: impl Into<Vec<Operand>>,
    reference: impl Fn(&[Numbers]) -> R + 'static,
) -> Row {
    let reference = Box::new(move |x: &[Numbers]| reference(x).list());
    Row { op, operands: operands.into(), dtypes: FLOATS.to_vec(), gives: None, gradient: Gradient::Smooth, reference }
}

impl Row {
    /// Dtypes beside the floats.
    pub(crate) fn also(mut self, dtypes: &[DType]) -> Self {
        self.dtypes.extend(dtypes);
        self
    }

    /// All dtypes but these.
    pub(crate) fn without(mut self, dtypes: &[DType]) -> Self {
        self.dtypes.retain(|dtype| !dtypes.contains(dtype));
        self
    }

    /// Dtypes instead of the floats.
    pub(crate) fn only(self, dtypes: &[DType]) -> Self {
        Row { dtypes: dtypes.to_vec(), ..self }.steps()
    }

    pub(crate) fn gives(self, dtype: DType) -> Self {
        Row { gives: Some(dtype), ..self }
    }

    /// Without a gradient.
    pub(crate) fn steps(self) -> Self {
        self.gradient(Gradient::None)
    }

    pub(crate) fn gradient(self, gradient: Gradient) -> Self {
        Row { gradient, ..self }
    }

    /// The results, by the reference.
    pub(crate) fn results(&self, operands: &[Numbers]) -> Vec<Numbers> {
        (self.reference)(operands)
    }

    /// The operands' numbers in a dtype, already rounded to it.
    pub(crate) fn numbers(&self, dtype: DType) -> Vec<Numbers> {
        let mut all: Vec<Numbers> = Vec::new();
        for (index, operand) in self.operands.iter().enumerate() {
            let numbers = operand.numbers(index, operand.dtype.unwrap_or(dtype), &all);
            all.push(numbers);
        }
        all
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<_> = self.operands.iter().map(|o| &o.dims).collect();
        write!(f, "{:?} of {dims:?}", self.op)
    }
}

/// An operand: its extents, and which numbers it holds.
#[derive(Clone)]
pub(crate) struct Operand {
    pub(crate) dims: Vec<usize>,
    /// Its own dtype, where it does not follow the row's.
    pub(crate) dtype: Option<DType>,
    varied: bool,
    content: Content,
}

#[derive(Clone)]
enum Content {
    /// In (−2, 2), integers in −5 ..= 5, bytes in 0 ..= 10; floats are neither equal nor whole.
    Signed,
    /// In (0.3, 1.2), integers in 1 ..= 7.
    Positive,
    /// These.
    Given(Vec<f64>),
    /// Made of the operands before.
    Made(Rc<Reference<Numbers>>),
}

fn operand(dims: &[usize], content: Content) -> Operand {
    Operand { dims: dims.to_vec(), dtype: None, varied: true, content }
}

/// Numbers of both signs.
pub(crate) fn signed<const N: usize>(dims: [usize; N]) -> Operand {
    operand(&dims, Content::Signed)
}

/// As [`signed`], of extents that are made.
pub(crate) fn signed_of(dims: &[usize]) -> Operand {
    operand(dims, Content::Signed)
}

/// Numbers above 0.
pub(crate) fn positive<const N: usize>(dims: [usize; N]) -> Operand {
    operand(&dims, Content::Positive)
}

/// An operand that gives its shape only.
pub(crate) fn like<const N: usize>(dims: [usize; N]) -> Operand {
    signed(dims).held()
}

/// Truths.
pub(crate) fn truths<const N: usize>(dims: [usize; N]) -> Operand {
    Operand { dtype: Some(DType::Bool), ..signed(dims) }
}

/// These numbers.
pub(crate) fn given<const N: usize>(dims: [usize; N], numbers: &[f64]) -> Operand {
    operand(&dims, Content::Given(numbers.to_vec()))
}

/// Indices, in i64.
pub(crate) fn indices<const N: usize>(dims: [usize; N], numbers: &[usize]) -> Operand {
    let numbers = numbers.iter().map(|n| *n as f64).collect();
    Operand { dtype: Some(DType::I64), ..operand(&dims, Content::Given(numbers)) }
}

/// Whole numbers, in i64.
pub(crate) fn whole<const N: usize>(dims: [usize; N], numbers: &[i64]) -> Operand {
    let numbers = numbers.iter().map(|n| *n as f64).collect();
    Operand { dtype: Some(DType::I64), ..operand(&dims, Content::Given(numbers)) }
}

/// What a function makes of the operands before; its extents are told.
pub(crate) fn made<const N: usize>(dims: [usize; N], f: impl Fn(&[Numbers]) -> Numbers + 'static) -> Operand {
    operand(&dims, Content::Made(Rc::new(f))).held()
}

/// What numbers an operand may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Signed,
    Positive,
}

impl Operand {
    /// The numbers that it may be of; `None` where these are given.
    pub(crate) fn domain(&self) -> Option<Domain> {
        match self.content {
            Content::Signed => Some(Domain::Signed),
            Content::Positive => Some(Domain::Positive),
            Content::Given(_) | Content::Made(_) => None,
        }
    }

    /// Not one that gradients are taken by.
    pub(crate) fn held(self) -> Self {
        Operand { varied: false, ..self }
    }

    /// Whether gradients are taken by it.
    pub(crate) fn varies(&self) -> bool {
        self.varied && self.dtype.is_none()
    }

    fn numbers(&self, index: usize, dtype: DType, before: &[Numbers]) -> Numbers {
        let n: usize = self.dims.iter().product();
        let numbers: Vec<f64> = match &self.content {
            Content::Given(numbers) => numbers.iter().map(|x| rounded(*x, dtype)).collect(),
            Content::Made(f) => return f(before),
            Content::Signed | Content::Positive => {
                let signed = matches!(self.content, Content::Signed);
                (0..n).map(|i| number(fraction(i, n, index), signed, dtype)).collect()
            }
        };
        ArrayD::from_shape_vec(IxDyn(&self.dims), numbers).unwrap()
    }
}

/// A number as an element of a float dtype.
fn rounded(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16::from_f64(x).into(),
        DType::Bf16 => bf16::from_f64(x).into(),
        DType::F32
        | DType::F64
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::Bool => x,
    }
}

/// Element i of n without a pattern: in (0, 1), each another, and other ones in each operand.
fn fraction(i: usize, n: usize, operand: usize) -> f64 {
    let step = [7, 11, 13, 17].into_iter().find(|s| !n.is_multiple_of(*s)).unwrap_or(1);
    let place = (i * step + 3 * operand + 2) % n;
    (place as f64 + 0.37 + 0.06 * operand as f64) / n as f64
}

fn number(u: f64, signed: bool, dtype: DType) -> f64 {
    match (dtype, signed) {
        (DType::F64, true) => 4.0 * u - 2.0,
        (DType::F64, false) => 0.3 + 0.9 * u,
        (DType::F32, _) => f64::from(number(u, signed, DType::F64) as f32),
        (DType::F16 | DType::Bf16, _) => rounded(number(u, signed, DType::F64), dtype),
        (DType::I8 | DType::I16 | DType::I32 | DType::I64, true) => (11.0 * u).floor() - 5.0,
        (DType::U8 | DType::U16 | DType::U32 | DType::U64, true) => (11.0 * u).floor(),
        (
            DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::U8 | DType::U16 | DType::U32 | DType::U64,
            false,
        ) => (7.0 * u).floor() + 1.0,
        (DType::Bool, _) => f64::from(u8::from(u < 0.5)),
    }
}
