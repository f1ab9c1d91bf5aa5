//! Programs: what a run computes, with every shape known. Values are assigned once, so a program has no order but that
//! of its data, and effects are what it begins with (feeds, variables) and what it ends in (results, commits).

use dormouse_graph::{Custom, NodeId, Seeds, VariableId};
use dormouse_kernels::{Loop, LossGradient, Spec};
use dormouse_value::{Distribution, Op, ReduceOp, ScatterOp, Value};
use smallvec::SmallVec;

use crate::loops::SharedLoop;

/// The place of a value in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ValueId(pub(crate) u32);

impl ValueId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A feed of the run.
    Feed(u32),
    /// A constant of the program.
    Constant(u32),
    /// A variable, as it was before the run.
    Variable(VariableId),
    /// An instruction.
    Computed,
    /// The same numbers as another value, with another shape.
    Alias(ValueId),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Mathematics.
    Op(Op),
    /// Element-wise operations of which one loop computes all; its inputs are the operands.
    Loop(SharedLoop),
    /// The same, with its last output reduced to one element by an operation.
    LoopReduction(SharedLoop, Op),
    /// The same, with its last outputs summed or averaged over all axes but the last of them.
    LoopColumns(SharedLoop, Columns),
    /// An operation with a loop over its result behind it.
    Epilogue(Box<Epilogue>),
    /// A sparse softmax cross-entropy and its gradient, with what stands around it.
    LossGradient(LossGradient),
    /// The gradient of a gather from an array of so many rows, as the rows that were taken, each once, and where they are.
    SumRows { extent: usize },
    /// An update of rows that are known to be there.
    UpdateRows(ScatterOp),
    /// An operation of the program's own.
    Custom(Custom),
    /// A draw; `generator` is the place of the node's counter in the session.
    Random { distribution: Distribution, seeds: Seeds, generator: usize },
}

/// Sums at the end of a loop: how many axes they keep, the last ones, and what each is.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Columns {
    pub(crate) kept: usize,
    pub(crate) reduces: SmallVec<[ReduceOp; 4]>,
}

/// An operation, whose operands come first, and a loop that takes its result as one of its inputs.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Epilogue {
    pub(crate) op: Op,
    /// How many operands the operation has.
    pub(crate) operands: usize,
    pub(crate) body: Loop,
    /// The operation's result, of which the loop may take another shape.
    pub(crate) result: Spec,
    /// Which input of the loop that is.
    pub(crate) product: usize,
}

impl Action {
    /// Whether operand `index` gives its shape only.
    pub(crate) fn shape_only(&self, index: usize) -> bool {
        match self {
            Action::Op(op) => op.shape_only(index),
            Action::Epilogue(both) => index < both.operands && both.op.shape_only(index),
            Action::Loop(_)
            | Action::LoopReduction(..)
            | Action::LoopColumns(..)
            | Action::LossGradient(_)
            | Action::SumRows { .. }
            | Action::UpdateRows(_)
            | Action::Custom(_)
            | Action::Random { .. } => false,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub(crate) action: Action,
    pub(crate) operands: SmallVec<[ValueId; 3]>,
    pub(crate) results: SmallVec<[ValueId; 1]>,
    /// The node it is of.
    pub(crate) node: NodeId,
}

impl Instruction {
    /// What stands for an instruction that is somewhere else now.
    pub(crate) fn nothing() -> Instruction {
        let (operands, results) = (SmallVec::new(), SmallVec::new());
        Instruction { action: Action::Op(Op::Identity), operands, results, node: NodeId(u32::MAX) }
    }

    /// The operands whose numbers it reads.
    pub(crate) fn read(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.operands.iter().enumerate().filter(|(i, _)| !self.action.shape_only(*i)).map(|(_, o)| *o)
    }
}

/// Instructions in an order that their data allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// The dtype and the shape of every value.
    pub(crate) values: Vec<Spec>,
    /// Where each comes from: apart, since what looks for the buffers of values, as most does, needs this alone.
    pub(crate) origins: Vec<Origin>,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) constants: Vec<Value>,
    /// The tensors asked for, in order.
    pub(crate) results: Vec<ValueId>,
    /// What variables hold after the run; each variable once, in the order of their numbers.
    pub(crate) commits: Vec<(VariableId, ValueId)>,
    /// What must be computed although nobody reads it: operations asked for, and checks.
    pub(crate) kept: Vec<ValueId>,
}

impl Program {
    pub(crate) fn origin(&self, id: ValueId) -> Origin {
        self.origins[id.index()]
    }

    pub(crate) fn spec(&self, id: ValueId) -> &Spec {
        &self.values[id.index()]
    }

    pub(crate) fn add_value(&mut self, spec: Spec, origin: Origin) -> ValueId {
        self.values.push(spec);
        self.origins.push(origin);
        ValueId((self.values.len() - 1) as u32)
    }

    pub(crate) fn add_constant(&mut self, value: Value) -> ValueId {
        let value = value.to_standard_layout();
        let spec = Spec::new(value.dtype(), value.shape());
        self.constants.push(value);
        self.add_value(spec, Origin::Constant((self.constants.len() - 1) as u32))
    }

    /// Puts constants in the place of what an instruction computes; it is left without operands and results.
    pub(crate) fn settle(&mut self, instruction: usize, values: Vec<Value>) {
        let results = std::mem::take(&mut self.instructions[instruction].results);
        for (result, value) in results.iter().zip(values) {
            self.constants.push(value);
            self.origins[result.index()] = Origin::Constant((self.constants.len() - 1) as u32);
        }
        self.instructions[instruction].operands.clear();
    }

    /// The value whose buffer a value's numbers lie in.
    pub(crate) fn root(&self, mut id: ValueId) -> ValueId {
        while let Origin::Alias(of) = self.origin(id) {
            id = of;
        }
        id
    }

    /// The value that a value is another shape of; itself where it is none.
    pub(crate) fn aliased(&self, id: ValueId) -> ValueId {
        if let Origin::Alias(of) = self.origin(id) { of } else { id }
    }

    /// The constant that a value is, whatever its shape.
    pub(crate) fn constant(&self, id: ValueId) -> Option<&Value> {
        match self.origin(self.root(id)) {
            Origin::Constant(i) => Some(&self.constants[i as usize]),
            Origin::Feed(_) | Origin::Variable(_) | Origin::Computed | Origin::Alias(_) => None,
        }
    }

    /// Everything that the program is for.
    pub(crate) fn ends(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.results.iter().copied().chain(self.commits.iter().map(|c| c.1)).chain(self.kept.iter().copied())
    }

    /// Puts other values in the place of some, everywhere; `map[v]` must be final, not to be replaced itself.
    pub(crate) fn replace(&mut self, map: &[ValueId]) {
        let to = |id: &mut ValueId| *id = map[id.index()];
        for origin in &mut self.origins {
            if let Origin::Alias(of) = origin {
                to(of);
            }
        }
        self.instructions.iter_mut().flat_map(|i| &mut i.operands).for_each(to);
        self.results.iter_mut().chain(&mut self.kept).for_each(to);
        self.commits.iter_mut().for_each(|c| to(&mut c.1));
    }

    /// What must hold of every program: values are written once, before they are read, by an instruction that gives
    /// their shape; aliases keep the number of elements; commits are in order, one a variable.
    pub(crate) fn verify(&self) -> Result<(), String> {
        let mut written = vec![false; self.values.len()];
        for (i, (spec, origin)) in self.values.iter().zip(&self.origins).enumerate() {
            match *origin {
                Origin::Alias(of) => {
                    if of.index() >= i || self.spec(of).len() != spec.len() {
                        return Err(format!("value {i} is no alias of value {}", of.0));
                    }
                }
                Origin::Constant(c) => {
                    let constant = self.constants.get(c as usize);
                    if constant.is_none_or(|c| c.dtype() != spec.dtype || c.shape() != spec.dims.as_slice()) {
                        return Err(format!("value {i} is not its constant"));
                    }
                }
                Origin::Feed(_) | Origin::Variable(_) | Origin::Computed => {}
            }
            written[i] = matches!(origin, Origin::Feed(_) | Origin::Constant(_) | Origin::Variable(_));
        }
        for (i, instruction) in self.instructions.iter().enumerate() {
            if let Some(operand) = instruction.read().find(|o| !written[self.root(*o).index()]) {
                return Err(format!("instruction {i} reads value {} before it is written", operand.0));
            }
            for result in &instruction.results {
                if self.origin(*result) != Origin::Computed || std::mem::replace(&mut written[result.index()], true) {
                    return Err(format!("instruction {i} writes value {} that is not its own", result.0));
                }
            }
        }
        if self.ends().any(|v| !written[self.root(v).index()]) {
            return Err("a result is never written".to_owned());
        }
        if !self.commits.windows(2).all(|w| w[0].0 < w[1].0) {
            return Err("the commits are out of order".to_owned());
        }
        Ok(())
    }
}
