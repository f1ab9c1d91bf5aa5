//! Fetches: what a run is asked for, and how the values come back in the shape of the question.

use std::sync::Arc;

use dormouse_graph::{Operation, OperationId, Tensor, TensorId, Variable};
use dormouse_value::Value;
use smallvec::SmallVec;

/// One thing asked for or fed, before names are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A tensor.
    Tensor(TensorId),
    /// An operation: run, without a value.
    Operation(OperationId),
    /// A tensor by name: `"x"` means `x:0`.
    Name(Arc<str>),
    /// An operation by name.
    OperationName(Arc<str>),
}

/// What a question asks for, in order.
#[derive(Clone, Debug, Default)]
pub struct Targets(pub(crate) SmallVec<[Target; 4]>);

impl Targets {
    /// Asks for one thing more.
    pub fn push(&mut self, target: Target) {
        self.0.push(target);
    }
}

/// What [`Session::run`](crate::Session::run) can be asked for: tensors, variables, operations (which give `()`), ids,
/// names, and arrays, slices, vectors, options and tuples of them, nested as you like.
pub trait Fetches {
    /// The values, in the shape of the question.
    type Output;
    /// What is left of the question when it is resolved.
    type Layout: Layout<Output = Self::Output>;
    /// Appends the targets, in order.
    fn resolve(self, into: &mut Targets) -> Self::Layout;
}

/// The shape of a question, without its names: a prepared step owns one.
pub trait Layout: Clone + Send + Sync + 'static {
    /// The values, in the shape of the question.
    type Output;
    /// Takes as many values as there were tensors.
    fn assemble(&self, values: &mut dyn Iterator<Item = Value>) -> Self::Output;
}

/// The layout of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct One;

impl Layout for One {
    type Output = Value;

    fn assemble(&self, values: &mut dyn Iterator<Item = Value>) -> Value {
        values.next().expect("a run gives one value for each tensor asked for")
    }
}

/// The layout of an operation, or of nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Layout for Nothing {
    type Output = ();

    fn assemble(&self, _: &mut dyn Iterator<Item = Value>) {}
}

impl<L: Layout> Layout for Vec<L> {
    type Output = Vec<L::Output>;

    fn assemble(&self, values: &mut dyn Iterator<Item = Value>) -> Self::Output {
        self.iter().map(|l| l.assemble(values)).collect()
    }
}

impl<L: Layout, const N: usize> Layout for [L; N] {
    type Output = [L::Output; N];

    fn assemble(&self, values: &mut dyn Iterator<Item = Value>) -> Self::Output {
        std::array::from_fn(|i| self[i].assemble(values))
    }
}

impl<L: Layout> Layout for Option<L> {
    type Output = Option<L::Output>;

    fn assemble(&self, values: &mut dyn Iterator<Item = Value>) -> Self::Output {
        self.as_ref().map(|l| l.assemble(values))
    }
}

macro_rules! leaves {
    ($($type:ty, $self:ident => $target:expr, $layout:ident;)*) => { $(
        impl Fetches for $type {
            type Output = <$layout as Layout>::Output;
            type Layout = $layout;
            fn resolve(self, into: &mut Targets) -> $layout {
                let $self = self;
                into.push($target);
                $layout
            }
        }
    )* };
}
leaves! {
    Tensor, t => Target::Tensor(t.id()), One;
    &Tensor, t => Target::Tensor(t.id()), One;
    Variable, v => Target::Tensor(v.before_run().id()), One;
    &Variable, v => Target::Tensor(v.before_run().id()), One;
    TensorId, t => Target::Tensor(t), One;
    &str, name => Target::Name(name.into()), One;
    &String, name => Target::Name(name.as_str().into()), One;
    String, name => Target::Name(name.into()), One;
    Operation, o => Target::Operation(o.id()), Nothing;
    &Operation, o => Target::Operation(o.id()), Nothing;
    OperationId, o => Target::Operation(o), Nothing;
    OperationName<'_>, o => Target::OperationName(o.0.into()), Nothing;
}

/// An operation by name, as [`operation`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct OperationName<'a>(&'a str);

/// An operation by name: `session.run(operation("train"), feeds![])`.
pub fn operation(name: &str) -> OperationName<'_> {
    OperationName(name)
}

impl Fetches for () {
    type Output = ();
    type Layout = Nothing;

    fn resolve(self, _: &mut Targets) -> Nothing {
        Nothing
    }
}

impl<F: Fetches, const N: usize> Fetches for [F; N] {
    type Output = [F::Output; N];
    type Layout = [F::Layout; N];

    fn resolve(self, into: &mut Targets) -> Self::Layout {
        self.map(|f| f.resolve(into))
    }
}

impl<F: Fetches> Fetches for Vec<F> {
    type Output = Vec<F::Output>;
    type Layout = Vec<F::Layout>;

    fn resolve(self, into: &mut Targets) -> Self::Layout {
        self.into_iter().map(|f| f.resolve(into)).collect()
    }
}

impl<F: Fetches + Clone> Fetches for &[F] {
    type Output = Vec<F::Output>;
    type Layout = Vec<F::Layout>;

    fn resolve(self, into: &mut Targets) -> Self::Layout {
        self.iter().map(|f| f.clone().resolve(into)).collect()
    }
}

impl<F: Fetches + Clone, const N: usize> Fetches for &[F; N] {
    type Output = Vec<F::Output>;
    type Layout = Vec<F::Layout>;

    fn resolve(self, into: &mut Targets) -> Self::Layout {
        self.as_slice().resolve(into)
    }
}

impl<F: Fetches + Clone> Fetches for &Vec<F> {
    type Output = Vec<F::Output>;
    type Layout = Vec<F::Layout>;

    fn resolve(self, into: &mut Targets) -> Self::Layout {
        self.as_slice().resolve(into)
    }
}

impl<F: Fetches> Fetches for Option<F> {
    type Output = Option<F::Output>;
    type Layout = Option<F::Layout>;

    fn resolve(self, into: &mut Targets) -> Self::Layout {
        self.map(|f| f.resolve(into))
    }
}

macro_rules! tuples {
    ($(($($type:ident $i:tt),+)),*) => { $(
        impl<$($type: Fetches),+> Fetches for ($($type,)+) {
            type Output = ($($type::Output,)+);
            type Layout = ($($type::Layout,)+);
            fn resolve(self, into: &mut Targets) -> Self::Layout { ($(self.$i.resolve(into),)+) }
        }
        impl<$($type: Layout),+> Layout for ($($type,)+) {
            type Output = ($($type::Output,)+);
            fn assemble(&self, values: &mut dyn Iterator<Item = Value>) -> Self::Output { ($(self.$i.assemble(values),)+) }
        }
    )* };
}
tuples!(
    (A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6), (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
);
