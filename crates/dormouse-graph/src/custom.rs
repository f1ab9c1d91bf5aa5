//! Operations of one's own: the door for what the closed list of operations has not.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use dormouse_value::{DType, Shape, Value, ValueView};
use smallvec::SmallVec;

use crate::build::control::Branch;
use crate::graph::{Draft, Graph, Naming};
use crate::node::{Fact, NodeKind, Output};
use crate::tensor::Tensor;

/// An operation that a program brings along: what it gives, how it is computed, and, if it has one, its gradient.
///
/// ```
/// use dormouse_graph::{CustomOp, Fact, Graph};
/// use dormouse_value::{Value, ValueView};
///
/// #[derive(Debug)]
/// struct Triple;
///
/// impl CustomOp for Triple {
///     fn name(&self) -> &str { "Triple" }
///
///     fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
///         let [x] = operands else { return Err(format!("takes 1 operand, got {}", operands.len())) };
///         Ok(vec![x.clone()])
///     }
///
///     fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
///         let ValueView::F32(x) = &operands[0] else { return Err("takes f32".to_owned()) };
///         Ok(vec![x.mapv(|x| 3.0 * x).into()])
///     }
/// }
///
/// let graph = Graph::new();
/// let x = graph.constant([1.0_f32, 2.0]);
/// let y = graph.apply_custom(Triple, &[x]);
/// assert_eq!(y.shape(), x.shape());
/// ```
pub trait CustomOp: Send + Sync + fmt::Debug + 'static {
    /// The name that files know it by, and that its nodes get: letters, digits, `_`, `.`, with a letter first.
    fn name(&self) -> &str;

    /// Raised when the same operands and attributes come to mean something else.
    fn version(&self) -> u32 {
        1
    }

    /// What a loaded operation is made of again, by the function that [`register_custom_op`] was given.
    fn attributes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The dtypes and shapes of its results, from what is known of its operands. A shape that stays unknown when those of
    /// the operands are known is that of what `compute` gives.
    ///
    /// # Errors
    /// What is wrong with the operands, in one line.
    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String>;

    /// The results, of the dtypes and shapes that `infer` says.
    ///
    /// # Errors
    /// What the numbers do not allow, in one line. The run fails, and no variable changes.
    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String>;

    /// The gradients of the operands, built as graph: one an operand, `None` where there is none. Of an operation that
    /// has no gradient, `None`.
    fn gradient(&self, _node: &Differentiated) -> Option<Vec<Option<Tensor>>> {
        None
    }

    /// Whether result i is operand i as it is, so that nothing is computed.
    fn is_identity(&self) -> bool {
        false
    }

    /// Whether it does something that no result shows, so that a run which needs it must not leave it out.
    fn has_effects(&self) -> bool {
        false
    }
}

/// A node of an operation of one's own, whose gradients are asked for.
#[derive(Clone, Debug)]
pub struct Differentiated {
    /// What it takes.
    pub operands: Vec<Tensor>,
    /// What it gives.
    pub results: Vec<Tensor>,
    /// The gradients that reached the results, `None` where none did.
    pub upstream: Vec<Option<Tensor>>,
}

/// An operation of one's own as a node holds it: by name, version and attributes, and as code if the program has it.
#[derive(Clone)]
pub struct Custom {
    name: Arc<str>,
    version: u32,
    attributes: Arc<[u8]>,
    op: Option<Arc<dyn CustomOp>>,
}

impl Custom {
    /// A node's part of an operation.
    pub fn new(op: Arc<dyn CustomOp>) -> Custom {
        Custom { name: op.name().into(), version: op.version(), attributes: op.attributes().into(), op: Some(op) }
    }

    /// The operation that a file names: as code if it was registered under this name and version.
    ///
    /// # Errors
    /// What the registered function says of the attributes.
    pub fn load(name: &str, version: u32, attributes: &[u8]) -> Result<Custom, String> {
        let decode = registry().get(&(name.to_owned(), version)).copied();
        let op = decode.map(|decode| decode(attributes)).transpose();
        let op = op.map_err(|e| format!("custom operation {name:?}, version {version}: {e}"))?;
        Ok(Custom { name: name.into(), version, attributes: attributes.into(), op })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it is made of again.
    pub fn attributes(&self) -> &[u8] {
        &self.attributes
    }

    /// The code.
    ///
    /// # Errors
    /// When the program has not registered it before it loaded the file.
    pub fn op(&self) -> Result<&Arc<dyn CustomOp>, String> {
        self.op.as_ref().ok_or_else(|| {
            format!(
                "it is the custom operation {:?}, version {}, which this program does not have; call \
                 register_custom_op before loading",
                self.name, self.version
            )
        })
    }

    /// What it gives, with what is wrong in one line that starts with its name.
    ///
    /// # Errors
    /// As [`CustomOp::infer`], and as [`Custom::op`].
    pub fn infer(&self, operands: &[Fact]) -> Result<SmallVec<[Fact; 1]>, String> {
        let facts = self.op()?.infer(operands).map_err(|message| format!("{}: {message}", self.name))?;
        Ok(facts.into())
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.version, &self.attributes) == (&other.name, other.version, &other.attributes)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// Makes an operation of its attributes.
pub type DecodeCustomOp = fn(&[u8]) -> Result<Arc<dyn CustomOp>, String>;

type Registry = BTreeMap<(String, u32), DecodeCustomOp>;

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    static REGISTRY: Mutex<Registry> = Mutex::new(BTreeMap::new());
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if registry.is_empty() {
        crate::build::debug::register(&mut registry);
        registry.insert((OWN_GRADIENT.to_owned(), 1), load_own_gradient);
    }
    registry
}

/// Tells this process how to make an operation that files name: what loading does from now on. Of several for one name
/// and version the last.
pub fn register_custom_op(name: &str, version: u32, decode: DecodeCustomOp) {
    registry().insert((name.to_owned(), version), decode);
}

/// (y₀, …, x₀, …): the ys as they are, with gradients of the xs of one's own.
struct OwnGradient {
    results: usize,
    backward: Option<Box<Backward>>,
}

type Backward = dyn Fn(&Differentiated) -> Vec<Option<Tensor>> + Send + Sync;

impl fmt::Debug for OwnGradient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnGradient")
    }
}

impl CustomOp for OwnGradient {
    fn name(&self) -> &'static str {
        OWN_GRADIENT
    }

    fn attributes(&self) -> Vec<u8> {
        (self.results as u64).to_le_bytes().to_vec()
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        let results = operands.get(..self.results).filter(|results| !results.is_empty());
        results.map(<[Fact]>::to_vec).ok_or_else(|| format!("takes {} operands at least", self.results.max(1)))
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        Ok(operands.iter().take(self.results).map(ValueView::to_value).collect())
    }

    fn gradient(&self, node: &Differentiated) -> Option<Vec<Option<Tensor>>> {
        let Differentiated { operands, results, upstream } = node.clone();
        let of = Differentiated { operands: operands[self.results..].to_vec(), results, upstream };
        let found = self.backward.as_ref()?(&of);
        Some(std::iter::repeat_n(None, self.results).chain(found).collect())
    }

    fn is_identity(&self) -> bool {
        true
    }
}

const OWN_GRADIENT: &str = "CustomGradient";

fn load_own_gradient(attributes: &[u8]) -> Result<Arc<dyn CustomOp>, String> {
    let results = attributes.try_into().map(u64::from_le_bytes).map_err(|_| "its attributes are not of 8 bytes")?;
    Ok(Arc::new(OwnGradient { results: usize::try_from(results).map_err(|e| e.to_string())?, backward: None }))
}

impl Graph {
    /// What `forward` builds, with gradients with respect to `xs` that `backward` builds instead of those of its nodes:
    /// one an x, `None` where there is none. TensorFlow's `custom_gradient`, and what its gradient overrides are for.
    ///
    /// A file keeps the values and not `backward`: gradients through a loaded graph's node are a mistake that names it.
    ///
    /// ```
    /// # use dormouse_graph::{Elementwise, Graph};
    /// let graph = Graph::new();
    /// let x = graph.constant([1.0_f32, -2.0]);
    /// // Straight through: the gradient takes the rounding for the identity.
    /// let y = graph.custom_gradient(&[x], || x.round(), |of| vec![of.upstream[0]]);
    /// assert_eq!(y.shape(), x.shape());
    /// ```
    #[track_caller]
    pub fn custom_gradient<R: Branch>(
        &self,
        xs: &[Tensor],
        forward: impl FnOnce() -> R,
        backward: impl Fn(&Differentiated) -> Vec<Option<Tensor>> + Send + Sync + 'static,
    ) -> R {
        let result = forward();
        let mut operands = Vec::new();
        result.tensors(self, &mut operands);
        let results = operands.len();
        operands.extend(xs);
        let first = self.apply_custom(OwnGradient { results, backward: Some(Box::new(backward)) }, &operands);
        result.with(&mut (0..results as u32).map(|port| if first.is_dead() { first } else { first.port(port) }))
    }

    /// A node of an operation of one's own. Gives the first of its tensors; [`Tensor::port`] gives the others.
    #[track_caller]
    pub fn apply_custom(&self, op: impl CustomOp, operands: &[Tensor]) -> Tensor {
        let at = Location::caller();
        let custom = Custom::new(Arc::new(op));
        let facts: Vec<Fact> = operands.iter().map(|t| t.fact()).collect();
        let stranger = operands.iter().find(|t| t.graph().id() != self.id());
        let name = custom.name.clone();
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let inferred = match stranger {
            Some(stranger) => Err(format!("{name}: an operand, {}, is of another graph", stranger.name())),
            None if !named => Err(format!("custom operation: {name:?} is no name for one")),
            None => custom.infer(&facts).and_then(|facts| {
                let none = facts.is_empty();
                if none { Err(format!("{name}: gives no tensor")) } else { Ok(facts) }
            }),
        };
        let (facts, mistake) = match inferred {
            Ok(facts) => (facts, None),
            Err(message) => (SmallVec::from_iter([Fact::new(DType::F32, Shape::unknown())]), Some(message)),
        };
        let strangers = stranger.is_some();
        let operands = operands.iter().filter(|_| !strangers).map(|t| t.output()).collect();
        let naming = Naming::Scoped(if named { &name } else { "Custom" });
        let node = self.try_push(at, naming, Draft { kind: NodeKind::Custom(custom), operands, facts }, mistake);
        Tensor::new(self.handle(), Output { node, port: 0 })
    }
}
