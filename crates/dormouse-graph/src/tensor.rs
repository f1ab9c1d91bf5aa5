//! Handles: what a program holds of a graph. All are `Copy`, `Send`, `Sync` and `'static`, two words at the most.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;

use dormouse_value::{BinaryOp, DType, Op, Shape, UnaryOp, Weak, bf16, f16};

use crate::context;
use crate::graph::{DEAD, Graph, Naming};
use crate::names;
use crate::node::{Fact, GraphId, NodeId, NodeKind, Output, VariableId, VariableInfo, Write};

/// A tensor of a graph: a symbol, not numbers. Printing it shows what is known of it before it runs.
#[derive(Clone, Copy)]
pub struct Tensor {
    graph: &'static Graph,
    output: Output,
}

/// A tensor that outlives runs, and that runs change. It is used as a tensor is: a use is the value from before the
/// run, or, under control dependencies, the value as of that place.
#[derive(Clone, Copy)]
pub struct Variable {
    graph: &'static Graph,
    id: VariableId,
}

/// A node that is run for what it does, not for a tensor.
#[derive(Clone, Copy)]
pub struct Operation {
    graph: &'static Graph,
    node: NodeId,
}

/// A tensor's graph and place, without the graph: what sessions and keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorId {
    /// Its graph.
    pub graph: GraphId,
    /// Its place.
    pub output: Output,
}

/// An operation's graph and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId {
    /// Its graph.
    pub graph: GraphId,
    /// Its place.
    pub node: NodeId,
}

/// A member of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Member {
    /// A tensor.
    Tensor(Output),
    /// A variable.
    Variable(VariableId),
    /// An operation.
    Operation(NodeId),
}

impl Tensor {
    pub(crate) fn new(graph: &'static Graph, output: Output) -> Self {
        Tensor { graph, output }
    }

    /// The graph it is of.
    pub fn graph(self) -> &'static Graph {
        self.graph
    }

    /// Its place in the graph.
    pub fn output(self) -> Output {
        self.output
    }

    /// Its graph and place.
    pub fn id(self) -> TensorId {
        TensorId { graph: self.graph.id(), output: self.output }
    }

    /// Whether it was built on a graph that had been dropped.
    pub fn is_dead(self) -> bool {
        self.output.node == DEAD
    }

    /// Dtype and shape, as far as they are known.
    pub fn fact(self) -> Fact {
        self.graph.look(self.output, Fact::clone).unwrap_or_else(Fact::unknown)
    }

    /// The elements' type.
    pub fn dtype(self) -> DType {
        self.graph.look(self.output, |fact| fact.dtype).unwrap_or(DType::F32)
    }

    /// The shape, as far as it is known.
    pub fn shape(self) -> Shape {
        self.graph.look(self.output, |fact| fact.shape.clone()).unwrap_or_else(Shape::unknown)
    }

    /// The name: `"layer1/MatMul:0"`.
    pub fn name(self) -> String {
        self.graph
            .node(self.output.node)
            .map_or_else(|| "a tensor of a dropped graph".to_owned(), |n| format!("{}:{}", n.name, self.output.port))
    }

    /// The node, as something to run or to wait for.
    pub fn operation(self) -> Operation {
        Operation { graph: self.graph, node: self.output.node }
    }

    /// Another tensor of the same node. One that does not exist is a mistake.
    #[track_caller]
    #[must_use]
    pub fn port(self, port: u32) -> Tensor {
        let ports = self.graph.node(self.output.node).map_or(0, |n| n.facts.len());
        if (port as usize) < ports || self.is_dead() {
            Tensor { graph: self.graph, output: Output { node: self.output.node, port } }
        } else {
            self.graph.mistake(format!("port: {} has {ports} outputs, asked for number {port}", self.name()))
        }
    }

    /// Names the newest node of the graph; of an older one, or one that has a name, adds an `identity` of that name.
    ///
    /// A name that ends with a slash is a whole one, as [`Graph::current_scope`] gives it: the last node of what a scope
    /// builds may have the scope's own name.
    #[track_caller]
    #[must_use]
    pub fn named(self, name: &str) -> Tensor {
        if !names::is_valid(name) {
            return self.graph.mistake(format!("named: {name:?} is not a name"));
        }
        if self.is_dead() || self.graph.rename_newest(self.output.node, name) {
            return self;
        }
        let copy = self.graph.apply(Op::Identity, &[self]);
        self.graph.rename_newest(copy.output.node, name);
        copy
    }

    /// An element-wise operation with one operand.
    #[track_caller]
    pub(crate) fn unary(self, op: UnaryOp) -> Tensor {
        self.graph.apply(Op::Unary(op), &[self])
    }

    /// An operation of two operands, of which the other may be a bare number.
    #[track_caller]
    pub(crate) fn with_operand(self, op: Op, rhs: impl Operand) -> Tensor {
        let name = names::of_op(&op);
        match rhs.weak() {
            None => {
                let rhs = rhs.tensor_like(self);
                self.graph.apply_named(name, op, &[self, rhs])
            }
            Some(number) => self.with_weak(Location::caller(), name, op, number, false),
        }
    }

    #[track_caller]
    pub(crate) fn with_weak(
        self,
        at: &'static Location<'static>,
        name: &str,
        op: Op,
        number: Weak,
        on_the_left: bool,
    ) -> Tensor {
        let dtype = self.dtype();
        let Some(value) = number.to_value(dtype) else {
            return self.poisoned_or(format!(
                "{name}: {number} is not a value of {dtype}, the dtype of {}; cast the tensor first",
                self.name()
            ));
        };
        self.graph.composite(at, name, |own| {
            let side = if on_the_left { "x" } else { "y" };
            let number = self.graph.constant_named(at, Naming::Scoped(side), value);
            let operands = if on_the_left { [number, self] } else { [self, number] };
            let node = self.graph.push_op(at, own, op, &operands);
            Tensor { graph: self.graph, output: Output { node, port: 0 } }
        })
    }

    /// A mistake, unless this tensor comes of one.
    #[track_caller]
    pub(crate) fn poisoned_or(self, message: String) -> Tensor {
        let poisoned = self.graph.node(self.output.node).is_none_or(|n| n.kind == NodeKind::Mistake);
        if poisoned { self } else { self.graph.mistake(message) }
    }
}

impl Operation {
    pub(crate) fn new(graph: &'static Graph, node: NodeId) -> Self {
        Operation { graph, node }
    }

    /// The graph it is of.
    pub fn graph(self) -> &'static Graph {
        self.graph
    }

    /// Its place.
    pub fn node(self) -> NodeId {
        self.node
    }

    /// Its graph and place.
    pub fn id(self) -> OperationId {
        OperationId { graph: self.graph.id(), node: self.node }
    }

    /// The name: `"train"`.
    pub fn name(self) -> String {
        self.graph
            .node(self.node)
            .map_or_else(|| "an operation of a dropped graph".to_owned(), |n| n.name.as_ref().to_owned())
    }

    /// Names the newest node of the graph; of an older one, or one that has a name, adds a group of that name. A name that
    /// ends with a slash is a whole one, as in [`Tensor::named`].
    #[track_caller]
    #[must_use]
    pub fn named(self, name: &str) -> Operation {
        if !names::is_valid(name) {
            self.graph.mistake(format!("named: {name:?} is not a name"));
            return self;
        }
        if self.node == DEAD || self.graph.rename_newest(self.node, name) {
            return self;
        }
        self.graph.group(self).named(name)
    }
}

impl Variable {
    pub(crate) fn new(graph: &'static Graph, id: VariableId) -> Self {
        Variable { graph, id }
    }

    /// The graph it is of.
    pub fn graph(self) -> &'static Graph {
        self.graph
    }

    /// Its number in the graph.
    pub fn id(self) -> VariableId {
        self.id
    }

    pub(crate) fn info(self) -> Option<VariableInfo> {
        self.graph.with(|s| s.variables.get(self.id.index()).cloned()).flatten()
    }

    /// The tensor with the value from before the run: `w:0`.
    pub fn before_run(self) -> Tensor {
        let node = self.info().map_or(DEAD, |i| i.node);
        Tensor { graph: self.graph, output: Output { node, port: 0 } }
    }

    /// The value as of this place: `w:0` where no control dependency is open, else a read ordered after them.
    #[track_caller]
    pub fn value(self) -> Tensor {
        let before = self.before_run();
        if before.is_dead() || context::with(self.graph.id(), |c| c.control().is_empty()) {
            return before;
        }
        self.read_named(Location::caller())
    }

    fn read_named(self, at: &'static Location<'static>) -> Tensor {
        let before = self.before_run();
        let name = before.operation().name();
        let own = self.graph.with(|s| s.names.unique(&format!("{name}/read"))).unwrap_or(name);
        self.graph.push_tensor(at, Naming::Claimed(&own), NodeKind::Read(self.id), &[], before.fact())
    }

    /// The elements' type.
    pub fn dtype(self) -> DType {
        self.before_run().dtype()
    }

    /// The shape; all of it is known.
    pub fn shape(self) -> Shape {
        self.before_run().shape()
    }

    /// The name: `"layer1/weights:0"`.
    pub fn name(self) -> String {
        self.before_run().name()
    }

    /// The operation that gives it its initial value.
    pub fn initializer(self) -> Operation {
        Operation { graph: self.graph, node: self.info().map_or(DEAD, |i| i.initializer) }
    }

    /// The tensor it starts from.
    pub fn initial_value(self) -> Tensor {
        let output = self.info().map_or(Output { node: DEAD, port: 0 }, |i| i.initial_value);
        Tensor { graph: self.graph, output }
    }

    /// Whether optimizers change it unless told otherwise.
    pub fn is_trainable(self) -> bool {
        self.info().is_some_and(|i| i.trainable)
    }

    /// The variable, left alone by optimizers that are not told of it by name.
    #[must_use]
    pub fn untrainable(self) -> Variable {
        self.graph.with(|s| {
            if let Some(info) = s.variables.get_mut(self.id.index()) {
                info.trainable = false;
            }
        });
        self
    }

    /// Names a variable where it is made; afterwards it is a mistake.
    #[track_caller]
    #[must_use]
    pub fn named(self, name: &str) -> Variable {
        if !names::is_valid(name) {
            self.graph.mistake(format!("named: {name:?} is not a name"));
        } else if self.info().is_some() && !self.graph.rename_variable(self.id, name) {
            self.graph.mistake(format!("named: {} has its name; name a variable where it is made", self.name()));
        }
        self
    }

    /// w ← value; the tensor is the new value.
    #[track_caller]
    pub fn assign(self, value: impl Operand) -> Tensor {
        self.write("Assign", Write::Set, value)
    }

    /// w ← w + value; the tensor is the new value.
    #[track_caller]
    pub fn assign_add(self, value: impl Operand) -> Tensor {
        self.write("AssignAdd", Write::Add, value)
    }

    /// w ← w − value; the tensor is the new value.
    #[track_caller]
    pub fn assign_sub(self, value: impl Operand) -> Tensor {
        self.write("AssignSub", Write::Sub, value)
    }

    #[track_caller]
    fn write(self, name: &str, write: Write, value: impl Operand) -> Tensor {
        let at = Location::caller();
        let before = self.before_run();
        self.graph.located(|| {
            self.graph.composite(at, name, |own| {
                let value = value.tensor_like(before);
                self.write_as(at, own, name, write, value)
            })
        })
    }

    pub(crate) fn write_as(
        self,
        at: &'static Location<'static>,
        naming: Naming<'_>,
        what: &str,
        write: Write,
        value: Tensor,
    ) -> Tensor {
        let fact = self.before_run().fact();
        let own = value.fact();
        if value.graph.id() != self.graph.id() {
            return self.graph.mistake(format!("{what}: the value, {}, is of another graph", value.name()));
        }
        if own.dtype != fact.dtype {
            return value.poisoned_or(format!(
                "{what}: {} holds {}, the value {} is {}; cast the value",
                self.name(),
                fact.dtype,
                value.name(),
                own.dtype
            ));
        }
        if own.shape.unify(&fact.shape).is_none() {
            return value.poisoned_or(format!(
                "{what}: {} has shape {}, the value {} has shape {}",
                self.name(),
                fact.shape,
                value.name(),
                own.shape
            ));
        }
        let kind = NodeKind::Assign { variable: self.id, write };
        self.graph.push_tensor(at, naming, kind, &[value], fact)
    }
}

/// What may stand to the right of an operator or be an argument: a tensor, a variable, or a bare number, which takes
/// the dtype of the tensor that it meets.
pub trait Operand: Copy {
    /// The number, if it is one.
    fn weak(self) -> Option<Weak> {
        None
    }

    /// The tensor; of a number, a constant of the dtype of `like`.
    fn tensor_like(self, like: Tensor) -> Tensor;
}

impl Operand for Tensor {
    fn tensor_like(self, _: Tensor) -> Tensor {
        self
    }
}

impl Operand for Variable {
    #[track_caller]
    fn tensor_like(self, _: Tensor) -> Tensor {
        self.value()
    }
}

impl<O: Operand> Operand for &O {
    fn weak(self) -> Option<Weak> {
        (*self).weak()
    }

    #[track_caller]
    fn tensor_like(self, like: Tensor) -> Tensor {
        (*self).tensor_like(like)
    }
}

macro_rules! weak_operands {
    ($($type:ty => $weak:expr),*) => { $(
        impl Operand for $type {
            fn weak(self) -> Option<Weak> { Some($weak(self)) }

            #[track_caller]
            fn tensor_like(self, like: Tensor) -> Tensor {
                let number: Weak = $weak(self);
                match number.to_value(like.dtype()) {
                    Some(value) => like.graph().constant(value),
                    None => like.poisoned_or(format!(
                        "{number} is not a value of {}, the dtype of {}", like.dtype(), like.name()
                    )),
                }
            }
        }
    )* };
}
weak_operands!(
    f64 => Weak::Float, f32 => |x| Weak::Float(f64::from(x)), i32 => |x| Weak::Int(i64::from(x)), i64 => Weak::Int,
    u8 => |x| Weak::Int(i64::from(x)), usize => |x| Weak::Int(x as i64), f16 => |x| Weak::Float(f64::from(x)),
    bf16 => |x| Weak::Float(f64::from(x)), i8 => |x| Weak::Int(i64::from(x)), i16 => |x| Weak::Int(i64::from(x)),
    u16 => |x| Weak::Int(i64::from(x)), u32 => |x| Weak::Int(i64::from(x))
);

macro_rules! operators {
    ($($trait:ident $method:ident $op:ident),*) => { $(
        impl<R: Operand> std::ops::$trait<R> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor { self.with_operand(Op::Binary(BinaryOp::$op), rhs) }
        }
        impl<R: Operand> std::ops::$trait<R> for Variable {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor { self.value().with_operand(Op::Binary(BinaryOp::$op), rhs) }
        }
        operators!(@left $trait $method $op f64 => Float, i32 => Int);
    )* };
    (@left $trait:ident $method:ident $op:ident $($type:ty => $weak:ident),*) => { $(
        impl std::ops::$trait<Tensor> for $type {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: Tensor) -> Tensor {
                let op = Op::Binary(BinaryOp::$op);
                rhs.with_weak(Location::caller(), names::of_op(&op), op, Weak::$weak(self.into()), true)
            }
        }
        impl std::ops::$trait<Variable> for $type {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: Variable) -> Tensor { std::ops::$trait::$method(self, rhs.value()) }
        }
    )* };
}
operators!(Add add Add, Sub sub Sub, Mul mul Mul, Div div Div);

impl std::ops::Neg for Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        self.unary(UnaryOp::Neg)
    }
}

impl std::ops::Neg for Variable {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        self.value().unary(UnaryOp::Neg)
    }
}

/// What has a tensor: the base of the method traits, which tensors and variables share.
pub trait Symbol: Operand {
    /// The tensor; of a variable, its value as of this place.
    fn tensor(self) -> Tensor;
}

impl Symbol for Tensor {
    fn tensor(self) -> Tensor {
        self
    }
}

impl Symbol for Variable {
    #[track_caller]
    fn tensor(self) -> Tensor {
        self.value()
    }
}

impl From<Variable> for Tensor {
    #[track_caller]
    fn from(variable: Variable) -> Self {
        variable.value()
    }
}

/// What can be waited for or grouped: tensors, variables, operations, and arrays, slices, vectors and tuples of them.
pub trait Targets {
    /// Calls `f` with each target's graph and node.
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId));
}

impl Targets for () {
    fn each(&self, _: &mut dyn FnMut(&'static Graph, NodeId)) {}
}

impl Targets for Tensor {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        f(self.graph, self.output.node);
    }
}

impl Targets for Variable {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        self.before_run().each(f);
    }
}

impl Targets for Operation {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        f(self.graph, self.node);
    }
}

impl<T: Targets> Targets for [T] {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        self.iter().for_each(|t| t.each(f));
    }
}

impl<T: Targets, const N: usize> Targets for [T; N] {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        self.as_slice().each(f);
    }
}

impl<T: Targets> Targets for Vec<T> {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        self.as_slice().each(f);
    }
}

impl<T: Targets> Targets for Option<T> {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        if let Some(t) = self {
            t.each(f);
        }
    }
}

impl<T: Targets + ?Sized> Targets for &T {
    fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) {
        (**self).each(f);
    }
}

macro_rules! tuple_targets {
    ($(($($type:ident $i:tt),+)),*) => { $(
        impl<$($type: Targets),+> Targets for ($($type,)+) {
            fn each(&self, f: &mut dyn FnMut(&'static Graph, NodeId)) { $(self.$i.each(f);)+ }
        }
    )* };
}
tuple_targets!((A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5));

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fact = self.fact();
        write!(f, "Tensor({:?}, shape={}, dtype={})", self.name(), fact.shape, fact.dtype)
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({:?}, shape={}, dtype={})", self.name(), self.shape(), self.dtype())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({:?})", self.name())
    }
}

macro_rules! handles {
    ($($type:ident: $($field:ident),+);*) => { $(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool { self.graph.id() == other.graph.id() $(&& self.$field == other.$field)+ }
        }
        impl Eq for $type {}
        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.graph.id().hash(state);
                $(self.$field.hash(state);)+
            }
        }
    )* };
}
handles!(Tensor: output; Variable: id; Operation: node);

macro_rules! members {
    ($($type:ident $field:ident),*) => { $(
        impl From<$type> for (GraphId, Member) {
            fn from(handle: $type) -> Self { (handle.graph.id(), Member::$type(handle.$field)) }
        }
    )* };
}
members!(Tensor output, Variable id, Operation node);

impl Graph {
    /// Puts a tensor, a variable or an operation into a collection.
    #[track_caller]
    pub fn collect(&self, collection: &str, member: impl Into<(GraphId, Member)>) {
        let (graph, member) = member.into();
        if graph == self.id() {
            self.with(|s| s.collections.entry(collection.to_owned()).or_default().push(member));
        } else {
            self.mistake(format!("collect: a member for {collection:?} is of another graph"));
        }
    }

    /// The tensors in a collection, in the order they were put in.
    pub fn collection(&self, name: &str) -> Vec<Tensor> {
        let graph = self.handle();
        self.members(name, |m| if let Member::Tensor(output) = m { Some(Tensor { graph, output }) } else { None })
    }

    /// The variables in a collection.
    pub fn variable_collection(&self, name: &str) -> Vec<Variable> {
        let graph = self.handle();
        self.members(name, |m| if let Member::Variable(id) = m { Some(Variable { graph, id }) } else { None })
    }

    /// The operations in a collection.
    pub fn operation_collection(&self, name: &str) -> Vec<Operation> {
        let graph = self.handle();
        self.members(name, |m| if let Member::Operation(node) = m { Some(Operation { graph, node }) } else { None })
    }

    fn members<T>(&self, name: &str, f: impl Fn(Member) -> Option<T>) -> Vec<T> {
        let members = self.with(|s| s.collections.get(name).cloned().unwrap_or_default()).unwrap_or_default();
        members.into_iter().filter_map(f).collect()
    }
}
