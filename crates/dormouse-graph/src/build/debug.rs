//! Looking into runs: printing, assertions, and the hunt for NaN.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dormouse_value::{DType, Op, Shape, Value, ValueView, with_array};

use super::array::Array;
use super::elementwise::Elementwise;
use super::indexing::Indexing;
use super::reduction::Reduction;
use crate::custom::{CustomOp, DecodeCustomOp, Differentiated};
use crate::graph::Graph;
use crate::node::{Fact, NodeId, NodeKind};
use crate::tensor::{Operand, Operation, Symbol, Tensor};

/// Elements that are shown of a tensor where nobody says otherwise.
const SHOWN: u32 = 3;

/// How [`Checks::print_with`] prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// What stands before the numbers.
    pub message: String,
    /// How often it prints in a process; `None` is in every run.
    pub first: Option<u64>,
    /// How many elements of each tensor.
    pub elements: u32,
}

impl Print {
    /// A message before three elements of each tensor, in every run.
    pub fn new(message: impl Into<String>) -> Print {
        Print { message: message.into(), first: None, elements: SHOWN }
    }
}

/// Debugging methods of tensors and variables.
///
/// An assertion is an operation that runs check when they are asked for it, or need what was built under
/// [`Graph::control_dependencies`] on it. One that does not hold fails the run with the message and the first elements of
/// what it is about; no variable has changed then.
pub trait Checks: Symbol {
    /// This, and prints its first elements to the standard error stream whenever a run needs it.
    #[track_caller]
    fn print(self, message: &str) -> Tensor {
        let x = self.tensor();
        x.print_with(Print::new(message), &[x])
    }

    /// This, and prints others whenever a run needs it.
    #[track_caller]
    fn print_with(self, options: Print, data: &[Tensor]) -> Tensor {
        let x = self.tensor();
        let graph = x.graph();
        graph.located(|| {
            let printed = graph.apply_custom(PrintOp { options, printed: AtomicU64::new(0) }, data);
            graph.control_dependencies(printed, || graph.apply(Op::Identity, &[x]))
        })
    }

    /// This; the run fails where an element is NaN or infinite, with the message first.
    #[track_caller]
    fn assert_all_finite(self, message: &str) -> Tensor {
        self.tensor().check_numerics(message)
    }

    /// That every element is greater than 0.
    #[track_caller]
    fn assert_positive(self, message: &str) -> Operation {
        holds(self.tensor(), message, "x > 0", |x| x.greater(0))
    }

    /// That every element is less than 0.
    #[track_caller]
    fn assert_negative(self, message: &str) -> Operation {
        holds(self.tensor(), message, "x < 0", |x| x.less(0))
    }

    /// That no element is less than 0.
    #[track_caller]
    fn assert_non_negative(self, message: &str) -> Operation {
        holds(self.tensor(), message, "x ≥ 0", |x| x.greater_equal(0))
    }

    /// That no element is greater than 0.
    #[track_caller]
    fn assert_non_positive(self, message: &str) -> Operation {
        holds(self.tensor(), message, "x ≤ 0", |x| x.less_equal(0))
    }

    /// That x = y, element by element, broadcast.
    #[track_caller]
    fn assert_equal(self, y: impl Operand, message: &str) -> Operation {
        hold(self.tensor(), y, message, "x = y", |x, y| x.equal(y))
    }

    /// That x ≠ y, element by element, broadcast.
    #[track_caller]
    fn assert_none_equal(self, y: impl Operand, message: &str) -> Operation {
        hold(self.tensor(), y, message, "x ≠ y", |x, y| x.not_equal(y))
    }

    /// That x < y, element by element, broadcast.
    #[track_caller]
    fn assert_less(self, y: impl Operand, message: &str) -> Operation {
        hold(self.tensor(), y, message, "x < y", |x, y| x.less(y))
    }

    /// That x ≤ y, element by element, broadcast.
    #[track_caller]
    fn assert_less_equal(self, y: impl Operand, message: &str) -> Operation {
        hold(self.tensor(), y, message, "x ≤ y", |x, y| x.less_equal(y))
    }

    /// That x > y, element by element, broadcast.
    #[track_caller]
    fn assert_greater(self, y: impl Operand, message: &str) -> Operation {
        hold(self.tensor(), y, message, "x > y", |x, y| x.greater(y))
    }

    /// That x ≥ y, element by element, broadcast.
    #[track_caller]
    fn assert_greater_equal(self, y: impl Operand, message: &str) -> Operation {
        hold(self.tensor(), y, message, "x ≥ y", |x, y| x.greater_equal(y))
    }

    /// That |x − y| ≤ absolute + relative · |y|, element by element, broadcast. Floats. TensorFlow takes 10 times the
    /// dtype's machine epsilon for both.
    #[track_caller]
    fn assert_near(self, y: impl Operand, relative: f64, absolute: f64, message: &str) -> Operation {
        hold(self.tensor(), y, message, "|x − y| ≤ absolute + relative · |y|", |x, y| {
            (x - y).abs().less_equal(y.abs() * relative + absolute)
        })
    }

    /// That it has this number of axes. What is known of it is checked at once, the rest by runs.
    #[track_caller]
    fn assert_rank(self, rank: usize, message: &str) -> Operation {
        let known = self.tensor().shape().rank().map(|own| own == rank);
        shaped(self.tensor(), known, message, &format!("its rank is {rank}"), |own| own.equal(rank as i32))
    }

    /// That it has this number of axes or more.
    #[track_caller]
    fn assert_rank_at_least(self, rank: usize, message: &str) -> Operation {
        let known = self.tensor().shape().rank().map(|own| own >= rank);
        let what = format!("its rank is {rank} at least");
        shaped(self.tensor(), known, message, &what, |own| own.greater_equal(rank as i32))
    }

    /// That its number of axes is one of these.
    #[track_caller]
    fn assert_rank_in(self, ranks: &[usize], message: &str) -> Operation {
        let known = self.tensor().shape().rank().map(|own| ranks.contains(&own));
        shaped(self.tensor(), known, message, &format!("its rank is one of {ranks:?}"), |own| {
            let ranks: Vec<i32> = ranks.iter().map(|rank| *rank as i32).collect();
            own.equal(own.graph().constant(ranks)).any()
        })
    }

    /// That it has no axes.
    #[track_caller]
    fn assert_scalar(self, message: &str) -> Operation {
        self.assert_rank(0, message)
    }

    /// That it has a shape that this one accepts. What is known of it is checked at once, the rest by runs.
    #[track_caller]
    fn assert_shape(self, shape: impl Into<Shape>, message: &str) -> Operation {
        let (x, shape) = (self.tensor(), shape.into());
        let graph = x.graph();
        graph.located(|| {
            if x.shape().unify(&shape).is_none() {
                return wrong(x, message, &format!("its shape, {}, is one that {shape} accepts", x.shape()));
            }
            let Some(dims) = shape.dims() else { return graph.no_op() };
            let rank = x.assert_rank(dims.len(), message);
            let known = dims.iter().enumerate().filter_map(|(i, dim)| Some((i as i32, dim.known()? as i32)));
            let (axes, extents): (Vec<i32>, Vec<i32>) = known.unzip();
            if axes.is_empty() || x.shape().dims().is_some_and(|own| own == dims) {
                return rank;
            }
            graph.control_dependencies(rank, || {
                let own = x.shape_of();
                let held = own.gather(graph.constant(axes)).equal(graph.constant(extents)).all();
                asserted(graph, held, message, &format!("its shape is one that {shape} accepts"), &[own])
            })
        })
    }

    /// That it is of this dtype: checked at once.
    #[track_caller]
    fn assert_type(self, dtype: DType, message: &str) -> Operation {
        let x = self.tensor();
        let known = Some(x.dtype() == dtype);
        shaped(x, known, message, &format!("it is {dtype}, not {}", x.dtype()), |own| own.equal(own))
    }

    /// That it is of whole numbers: checked at once.
    #[track_caller]
    fn assert_integer(self, message: &str) -> Operation {
        let x = self.tensor();
        let known = Some(x.dtype().is_integer());
        shaped(x, known, message, &format!("it is of whole numbers, not {}", x.dtype()), |own| own.equal(own))
    }
}

impl<S: Symbol> Checks for S {}

#[track_caller]
fn holds(x: Tensor, message: &str, what: &str, f: impl FnOnce(Tensor) -> Tensor) -> Operation {
    let graph = x.graph();
    graph.located(|| {
        let held = f(x).all();
        asserted(graph, held, message, what, &[x])
    })
}

#[track_caller]
fn hold(x: Tensor, y: impl Operand, message: &str, what: &str, f: impl FnOnce(Tensor, Tensor) -> Tensor) -> Operation {
    let graph = x.graph();
    graph.located(|| {
        let y = y.tensor_like(x);
        asserted(graph, f(x, y).all(), message, what, &[x, y])
    })
}

/// Something of a tensor's shape or dtype: known now, or left to runs.
#[track_caller]
fn shaped(x: Tensor, known: Option<bool>, message: &str, what: &str, f: impl FnOnce(Tensor) -> Tensor) -> Operation {
    let graph = x.graph();
    graph.located(|| match known {
        Some(true) => graph.no_op(),
        Some(false) => wrong(x, message, what),
        None => {
            let rank = x.rank_of();
            asserted(graph, f(rank), message, what, &[rank])
        }
    })
}

#[track_caller]
fn wrong(x: Tensor, message: &str, what: &str) -> Operation {
    let what = format!("assertion failed{}: not so for {}: {what}", told(message), x.name());
    x.poisoned_or(what).operation()
}

fn told(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[track_caller]
fn asserted(graph: &Graph, held: Tensor, message: &str, what: &str, data: &[Tensor]) -> Operation {
    let names: Vec<String> = data.iter().map(|t| t.name()).collect();
    let message = format!("{}{}not so: {what}", message, if message.is_empty() { "" } else { ": " });
    let operands: Vec<Tensor> = std::iter::once(held).chain(data.iter().copied()).collect();
    graph.apply_custom(AssertOp { message, names, elements: SHOWN }, &operands).operation()
}

impl Graph {
    /// That a boolean tensor is true throughout; else the run fails with the message and the first elements of the data.
    #[track_caller]
    pub fn assert(&self, condition: impl Symbol, data: &[Tensor], message: &str) -> Operation {
        let condition = condition.tensor();
        self.located(|| {
            let names = data.iter().map(|t| t.name()).collect();
            let operands: Vec<Tensor> = std::iter::once(condition).chain(data.iter().copied()).collect();
            let op = AssertOp { message: message.to_owned(), names, elements: SHOWN };
            self.apply_custom(op, &operands).operation()
        })
    }

    /// An operation that checks every float tensor built so far: a run of it with what it needs fails at the first
    /// that is NaN or infinite. A session's options can have every run checked instead.
    #[track_caller]
    pub fn add_check_numerics_ops(&self) -> Operation {
        self.located(|| {
            let mut checks = Vec::new();
            for i in 0..self.len() as u32 {
                let Some(node) = self.node(NodeId(i)) else { continue };
                let outside = node.branch.is_none();
                let computed = match node.kind {
                    NodeKind::Op(_) | NodeKind::Dynamic(_) | NodeKind::Custom(_) | NodeKind::Random { .. } => true,
                    NodeKind::Placeholder
                    | NodeKind::PlaceholderWithDefault
                    | NodeKind::Constant(_)
                    | NodeKind::Variable(_)
                    | NodeKind::Read(_)
                    | NodeKind::Initialized(_)
                    | NodeKind::Assign { .. }
                    | NodeKind::Choice
                    | NodeKind::Group
                    | NodeKind::Mistake => false,
                };
                let floats = (0..).zip(&node.facts).filter(|(_, fact)| fact.dtype.is_float());
                for (port, _) in floats.filter(|_| computed && outside) {
                    let tensor = self.output(crate::node::Output { node: NodeId(i), port });
                    checks.push(tensor.check_numerics(&format!("{} ({})", tensor.name(), node.source)));
                }
            }
            self.group(checks)
        })
    }
}

/// The first elements of a tensor, as `[1 2 3...]`.
fn shown(value: &ValueView<'_>, elements: u32) -> String {
    macro_rules! of {
        ($array:expr) => {{
            let mut text = String::from("[");
            for (i, x) in $array.iter().take(elements as usize).enumerate() {
                let _ = write!(text, "{}{x}", if i > 0 { " " } else { "" });
            }
            text + if $array.len() > elements as usize { "...]" } else { "]" }
        }};
    }
    with_array!(ValueView, value, a => of!(a))
}

fn boolean() -> Vec<Fact> {
    vec![Fact::new(DType::Bool, Shape::scalar())]
}

/// (data₀, …) → true, once it is printed.
#[derive(Debug)]
struct PrintOp {
    options: Print,
    printed: AtomicU64,
}

impl CustomOp for PrintOp {
    fn name(&self) -> &'static str {
        "Print"
    }

    fn attributes(&self) -> Vec<u8> {
        let Print { message, first, elements } = &self.options;
        let mut bytes = elements.to_le_bytes().to_vec();
        bytes.extend(first.unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend(message.as_bytes());
        bytes
    }

    fn infer(&self, _: &[Fact]) -> Result<Vec<Fact>, String> {
        Ok(boolean())
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        let so_far = self.printed.fetch_add(1, Ordering::Relaxed);
        if self.options.first.is_none_or(|first| so_far < first) {
            let parts: String = operands.iter().map(|x| shown(x, self.options.elements)).collect();
            eprintln!("{}{parts}", self.options.message);
        }
        Ok(vec![Value::from(true)])
    }

    fn has_effects(&self) -> bool {
        true
    }
}

/// (condition, data₀, …) → true; fails where the condition does not hold.
#[derive(Debug)]
struct AssertOp {
    message: String,
    names: Vec<String>,
    elements: u32,
}

impl CustomOp for AssertOp {
    fn name(&self) -> &'static str {
        "Assert"
    }

    fn attributes(&self) -> Vec<u8> {
        let mut bytes = self.elements.to_le_bytes().to_vec();
        let text: Vec<&str> = std::iter::once(&self.message).chain(&self.names).map(String::as_str).collect();
        bytes.extend(text.join("\u{1f}").as_bytes());
        bytes
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        match operands.first() {
            Some(condition) if condition.dtype == DType::Bool => Ok(boolean()),
            Some(condition) => Err(format!("the condition is boolean, not {}", condition.dtype)),
            None => Err("takes a condition".to_owned()),
        }
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        if let ValueView::Bool(condition) = &operands[0]
            && condition.iter().all(|held| *held)
        {
            return Ok(vec![Value::from(true)]);
        }
        let mut message = format!("assertion failed: {}", self.message);
        for (i, x) in operands[1..].iter().enumerate() {
            let name = self.names.get(i).map_or("", String::as_str);
            let before = if i > 0 { "," } else { "; with" };
            let _ = write!(message, "{before} {name} = {}", shown(x, self.elements));
        }
        Err(message)
    }

    fn gradient(&self, node: &Differentiated) -> Option<Vec<Option<Tensor>>> {
        Some(vec![None; node.operands.len()])
    }

    fn has_effects(&self) -> bool {
        true
    }
}

/// What loading knows from the start.
pub(crate) fn register(registry: &mut BTreeMap<(String, u32), DecodeCustomOp>) {
    fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &str), String> {
        let (head, text) = bytes.split_at_checked(at).ok_or("its attributes are too short")?;
        Ok((head, std::str::from_utf8(text).map_err(|e| e.to_string())?))
    }
    registry.insert(("Print".to_owned(), 1), |bytes| {
        let (head, message) = split(bytes, 12)?;
        let elements = head[..4].try_into().map_or(SHOWN, u32::from_le_bytes);
        let first = head[4..].try_into().map_or(u64::MAX, u64::from_le_bytes);
        let options = Print { message: message.to_owned(), first: (first < u64::MAX).then_some(first), elements };
        Ok(Arc::new(PrintOp { options, printed: AtomicU64::new(0) }))
    });
    registry.insert(("Assert".to_owned(), 1), |bytes| {
        let (head, text) = split(bytes, 4)?;
        let mut text = text.split('\u{1f}').map(str::to_owned);
        let message = text.next().unwrap_or_default();
        let elements = head.try_into().map_or(SHOWN, u32::from_le_bytes);
        Ok(Arc::new(AssertOp { message, names: text.collect(), elements }))
    });
}
