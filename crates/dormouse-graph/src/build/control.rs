//! Choices: tensors of which a run computes those of one side only.

use std::panic::Location;

use dormouse_value::{DType, Dim, Shape};
use smallvec::SmallVec;

use super::elementwise::Elementwise;
use crate::graph::{Draft, Graph, Naming};
use crate::node::{Fact, NodeKind, Output};
use crate::tensor::{Operation, Symbol, Tensor};

/// What one side of a choice gives: a tensor, an operation, or arrays, vectors and tuples of these.
pub trait Branch: Sized {
    /// Its tensors, in order; built here where it is an operation.
    fn tensors(&self, graph: &Graph, into: &mut Vec<Tensor>);

    /// The same with other tensors, as many, in order.
    #[must_use]
    fn with(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self;
}

impl Branch for Tensor {
    fn tensors(&self, _: &Graph, into: &mut Vec<Tensor>) {
        into.push(*self);
    }

    fn with(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        tensors.next().unwrap_or(*self)
    }
}

/// The operation has run when that of the side that was chosen has.
impl Branch for Operation {
    fn tensors(&self, graph: &Graph, into: &mut Vec<Tensor>) {
        into.push(graph.control_dependencies(*self, || graph.constant(true)));
    }

    fn with(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        tensors.next().map_or(*self, Tensor::operation)
    }
}

impl<T: Branch, const N: usize> Branch for [T; N] {
    fn tensors(&self, graph: &Graph, into: &mut Vec<Tensor>) {
        self.iter().for_each(|part| part.tensors(graph, into));
    }

    fn with(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        std::array::from_fn(|i| self[i].with(tensors))
    }
}

impl<T: Branch> Branch for Vec<T> {
    fn tensors(&self, graph: &Graph, into: &mut Vec<Tensor>) {
        self.iter().for_each(|part| part.tensors(graph, into));
    }

    fn with(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        self.iter().map(|part| part.with(tensors)).collect()
    }
}

macro_rules! tuples {
    ($(($($type:ident $i:tt),+)),*) => { $(
        impl<$($type: Branch),+> Branch for ($($type,)+) {
            fn tensors(&self, graph: &Graph, into: &mut Vec<Tensor>) { $(self.$i.tensors(graph, into);)+ }

            fn with(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self { ($(self.$i.with(tensors),)+) }
        }
    )* };
}
tuples!((A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3));

impl Graph {
    /// What `then` builds where the predicate, a boolean scalar, is true in a run, and what `otherwise` builds where it is
    /// false. A run computes and checks only what the side that it takes needs, and makes only that side's writes, of what
    /// is built inside the closures. Both give as many tensors, of the same dtypes; shapes may differ.
    ///
    /// ```
    /// # use dormouse_graph::{Elementwise, Graph};
    /// # use dormouse_value::{DType, shape};
    /// let graph = Graph::new();
    /// let x = graph.placeholder(DType::F32, shape![]);
    /// let y = graph.cond(x.greater(0.0), || x.log(), || -x);
    /// assert_eq!(y.shape(), shape![]);
    /// ```
    #[track_caller]
    pub fn cond<R: Branch>(
        &self,
        predicate: impl Symbol,
        then: impl FnOnce() -> R,
        otherwise: impl FnOnce() -> R,
    ) -> R {
        let at = Location::caller();
        let predicate = predicate.tensor();
        self.name_scope("cond", || {
            let mut operands = vec![predicate];
            let first = self.within_side(predicate, true, || {
                let first = then();
                first.tensors(self, &mut operands);
                first
            });
            let count = operands.len() - 1;
            self.within_side(predicate, false, || otherwise().tensors(self, &mut operands));
            let node = self.push_choice(at, &operands, count);
            first.with(&mut (0..count as u32).map(|port| Tensor::new(self.handle(), Output { node, port })))
        })
    }

    fn within_side<R>(&self, predicate: Tensor, side: bool, build: impl FnOnce() -> R) -> R {
        let own = predicate.graph().id() == self.id();
        let branch = own.then(|| self.new_branch(predicate.output(), side)).flatten();
        self.within_branch(branch, build)
    }

    /// The first of the cases whose predicate is true, in order; `default` where none is. As [`Graph::cond`] of each.
    #[track_caller]
    pub fn case<R: Branch, F: FnOnce() -> R>(
        &self,
        cases: impl IntoIterator<Item = (Tensor, F)>,
        default: impl FnOnce() -> R,
    ) -> R {
        self.next_case(&mut cases.into_iter(), default)
    }

    /// What the branch of this number, an i32 scalar, builds; `default` where there is none of it. As [`Graph::cond`] of each.
    #[track_caller]
    pub fn switch_case<R: Branch, F: FnOnce() -> R>(
        &self,
        number: impl Symbol,
        branches: impl IntoIterator<Item = F>,
        default: impl FnOnce() -> R,
    ) -> R {
        let number = number.tensor();
        let cases = (0..).zip(branches).map(|(i, build): (i32, F)| (self.located(|| number.equal(i)), build));
        self.case(cases, default)
    }

    #[track_caller]
    fn next_case<R: Branch, F: FnOnce() -> R>(
        &self,
        cases: &mut dyn Iterator<Item = (Tensor, F)>,
        default: impl FnOnce() -> R,
    ) -> R {
        let default: Box<dyn FnOnce() -> R + '_> = Box::new(default);
        match cases.next() {
            None => default(),
            Some((predicate, build)) => self.cond(predicate, build, || self.next_case(cases, default)),
        }
    }

    fn push_choice(&self, at: &'static Location<'static>, operands: &[Tensor], count: usize) -> crate::node::NodeId {
        let facts: SmallVec<[Fact; 4]> = operands.iter().map(|t| t.fact()).collect();
        let stranger = operands.iter().find(|t| t.graph().id() != self.id());
        let (facts, mistake) = match (stranger, chosen(&facts)) {
            (Some(stranger), _) => (None, Some(format!("cond: {} is of another graph", stranger.name()))),
            (None, Ok(facts)) => (Some(facts), None),
            (None, Err(message)) => (None, Some(format!("cond: {message}"))),
        };
        let unknown = || std::iter::repeat_n(Fact::new(DType::F32, Shape::unknown()), count).collect();
        let strangers = stranger.is_some();
        let operands = operands.iter().filter(|_| !strangers).map(|t| t.output()).collect();
        let draft = Draft { kind: NodeKind::Choice, operands, facts: facts.unwrap_or_else(unknown) };
        self.try_push(at, Naming::Scoped("Merge"), draft, mistake)
    }
}

/// What a choice gives.
pub(crate) fn chosen(operands: &[Fact]) -> Result<SmallVec<[Fact; 1]>, String> {
    let [predicate, sides @ ..] = operands else { return Err("it has no predicate".to_owned()) };
    if predicate.dtype != DType::Bool {
        return Err(format!("the predicate is boolean, not {}; compare it with something", predicate.dtype));
    }
    if predicate.shape.unify(&Shape::scalar()).is_none() {
        return Err(format!("the predicate is a scalar, not {}", predicate.shape));
    }
    if !sides.len().is_multiple_of(2) {
        return Err("the sides give different numbers of tensors".to_owned());
    }
    let (then, otherwise) = sides.split_at(sides.len() / 2);
    let either = |(i, (a, b)): (usize, (&Fact, &Fact))| {
        if a.dtype != b.dtype {
            return Err(format!("tensor {i} is {} on one side, {} on the other", a.dtype, b.dtype));
        }
        let shape = match (a.shape.dims(), b.shape.dims()) {
            (Some(a), Some(b)) if a.len() == b.len() => {
                a.iter().zip(b).map(|(a, b)| if a == b { *a } else { Dim::Unknown }).collect()
            }
            _ => Shape::unknown(),
        };
        Ok(Fact { dtype: a.dtype, shape })
    };
    then.iter().zip(otherwise).enumerate().map(either).collect()
}
