//! Whether symbolic gradients are right: held against differences of numbers.

use std::fmt;

use dormouse_gradient::{Gradients, Results, Source, Sources};
use dormouse_graph::{Symbol, Tensor};
use dormouse_session::{FeedKey, Feeds, Result, Session, Target};
use dormouse_value::{DType, Value, bf16, f16};

/// The element of a gradient whose symbolic and numeric values are furthest apart.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientCheck {
    /// |symbolic − numeric| / max(1, |symbolic|, |numeric|), the largest of all elements; infinite where one is NaN.
    pub error: f64,
    /// The name of the tensor or variable whose element it is.
    pub source: String,
    /// Which of its elements, in row-major order.
    pub element: usize,
    /// What the gradient says.
    pub symbolic: f64,
    /// What the difference says.
    pub numeric: f64,
}

impl fmt::Display for GradientCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GradientCheck { error, source, element, symbolic, numeric } = self;
        write!(f, "error {error:.3e}, at element {element} of {source}: {symbolic} by rule, {numeric} by differences")
    }
}

/// Holds the gradients of the sum of the ys with respect to the xs against central differences, element by element, at
/// the values that the xs have in a run with these feeds.
///
/// The gradients are added to the graph and the session is extended by them; no variable changes. Differences are good
/// to about 1e-8 in f64 and 1e-3 in f32: check in f64 where that can be. Random nodes draw anew in every run, so what
/// depends on them cannot be checked. Each element of the xs takes two runs.
///
/// ```
/// # use dormouse_graph::{Elementwise, Graph};
/// # use dormouse_session::{Session, feeds};
/// # use dormouse_train::check_gradients;
/// # use dormouse_value::{DType, shape};
/// let graph = Graph::new();
/// let x = graph.placeholder(DType::F64, shape![3]);
/// let mut session = Session::new(&graph)?;
/// let found = check_gradients(&mut session, x.tanh(), [x], &feeds![x => [0.1, -0.5, 2.0]])?;
/// assert!(found.error < 1e-8, "{found}");
/// # Ok::<(), dormouse_session::Error>(())
/// ```
///
/// # Errors
/// Those of building the gradients, as [`gradients`](dormouse_gradient::gradients) has them, and of the runs.
#[track_caller]
pub fn check_gradients<S: Sources>(
    session: &mut Session,
    ys: impl Results,
    xs: S,
    feeds: &Feeds<'_>,
) -> Result<GradientCheck> {
    let mut found = GradientCheck { error: 0.0, source: String::new(), element: 0, symbolic: 0.0, numeric: 0.0 };
    let (ys, sources) = (ys.results(), xs.sources());
    let Some(y) = ys.first() else { return Ok(found) };
    let gradients = y.graph().located(|| Gradients::of(ys.clone()).with_respect_to(sources.clone()));
    session.extend(y.graph())?;
    let tensors: Vec<Tensor> = sources
        .iter()
        .map(|source| match source {
            Source::Tensor(x) => *x,
            Source::Variable(x) => x.tensor(),
        })
        .collect();
    let run = |fetches: &[Tensor], feeds: Feeds<'_>| session.run(fetches, feeds);
    let (values, gradients) = (run(&tensors, feeds.clone())?, run(&gradients, feeds.clone())?);
    for (((tensor, source), value), gradient) in tensors.iter().zip(&sources).zip(values).zip(gradients) {
        let step = step_of(value.dtype());
        let (at, slopes) = (floats(&value)?, floats(&gradient)?);
        for (element, &symbolic) in slopes.iter().enumerate() {
            let step = step * at[element].abs().max(1.0);
            let total = |change: f64| -> Result<f64> {
                let mut moved = at.clone();
                moved[element] += change;
                let moved = rounded(&value, &moved)?;
                let mut sum = 0.0;
                for y in run(&ys, fed_instead(feeds, *tensor, moved))? {
                    sum += floats(&y)?.iter().sum::<f64>();
                }
                Ok(sum)
            };
            let numeric = (total(step)? - total(-step)?) / (2.0 * step);
            let error = (symbolic - numeric).abs() / symbolic.abs().max(numeric.abs()).max(1.0);
            let error = if error.is_nan() { f64::INFINITY } else { error };
            if error >= found.error {
                found = GradientCheck { error, source: name(*source), element, symbolic, numeric };
            }
        }
    }
    Ok(found)
}

/// The feeds, with one tensor fed another value, or fed at all.
fn fed_instead<'a>(feeds: &Feeds<'a>, tensor: Tensor, value: Value) -> Feeds<'a> {
    let (key, name) = (tensor.key(), tensor.name());
    let node = name.strip_suffix(":0").map(str::to_owned);
    let same = |target: &Target| match target {
        Target::Name(told) => **told == *name || node.as_deref().is_some_and(|node| **told == *node),
        Target::Tensor(_) | Target::Operation(_) | Target::OperationName(_) => *target == key,
    };
    let others = feeds.clone().into_iter().filter(|(target, _)| !same(target));
    others.fold(Feeds::new(), |feeds, (target, feed)| feeds.with(target, feed)).with(tensor, value)
}

/// About the cube root of what the dtype tells from 1, where rounding and the curve err as much.
fn step_of(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 6e-6,
        DType::F16 => 8e-2,
        DType::Bf16 => 0.16,
        DType::F32
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::Bool => 5e-3,
    }
}

fn floats(value: &Value) -> Result<Vec<f64>> {
    Ok(match value {
        Value::F32(x) => x.iter().copied().map(f64::from).collect(),
        Value::F16(x) => x.iter().copied().map(f64::from).collect(),
        Value::Bf16(x) => x.iter().copied().map(f64::from).collect(),
        Value::F64(_)
        | Value::I8(_)
        | Value::I16(_)
        | Value::I32(_)
        | Value::I64(_)
        | Value::U8(_)
        | Value::U16(_)
        | Value::U32(_)
        | Value::U64(_)
        | Value::Bool(_) => value.to_vec::<f64>()?,
    })
}

/// Numbers in the shape and the float dtype of a value.
fn rounded(like: &Value, numbers: &[f64]) -> Result<Value> {
    let dims = like.shape();
    Ok(match like.dtype() {
        DType::F64 => Value::from_elements(dims, numbers.to_vec())?,
        DType::F16 => Value::from_elements(dims, numbers.iter().map(|x| f16::from_f64(*x)).collect())?,
        DType::Bf16 => Value::from_elements(dims, numbers.iter().map(|x| bf16::from_f64(*x)).collect())?,
        DType::F32
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::Bool => Value::from_elements(dims, numbers.iter().map(|x| *x as f32).collect())?,
    })
}

fn name(source: Source) -> String {
    match source {
        Source::Tensor(x) => x.name(),
        Source::Variable(x) => x.name(),
    }
}
