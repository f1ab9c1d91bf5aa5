//! Numbers of few bits: kernels compute with those of [`DType::wide`], so what has fewer bits is cast to these where it is
//! read and rounded, or cut off, where it is written. Apart from lowering itself, as no pass and no kernel knows of it:
//! casts are instructions as all others, merged, fused and placed in memory with them.

use dormouse_graph::NodeId;
use dormouse_kernels::{Spec, cast_path, moves};
use dormouse_value::{
    BinaryOp, CompareOp, DType, Dims, Distribution, Op, Padding, PoolOp, ReduceOp, SegmentOp, UnaryOp, Value,
};
use smallvec::SmallVec;

use super::Lowering;
use crate::program::{Action, Instruction, Origin, ValueId};

type Operands = SmallVec<[ValueId; 3]>;

impl Lowering<'_> {
    /// Adds what computes an action's results, which are of these specs.
    pub(super) fn instruct(
        &mut self,
        node: NodeId,
        action: Action,
        operands: Operands,
        specs: &[Spec],
    ) -> SmallVec<[ValueId; 1]> {
        match action {
            Action::Op(Op::Cast { to }) => {
                let value = self.cast(node, operands[0], to);
                SmallVec::from_slice(&[value])
            }
            Action::Op(op) if !moves(&op) && self.is_narrow(&operands, specs) => {
                self.computed(node, &op, &operands, specs)
            }
            Action::Random { distribution, .. } if self.is_narrow(&operands, specs) => {
                let drawn = self.widened(node, action, &operands, specs)[0];
                let drawn = match (distribution, specs[0].dtype) {
                    // Of each word that TensorFlow draws, a uniform number takes as many of the last bits as it holds.
                    (Distribution::Uniform, DType::F16) => self.last_bits(node, drawn, 10),
                    (Distribution::Uniform, DType::Bf16) => self.last_bits(node, drawn, 7),
                    (_, _) => drawn,
                };
                SmallVec::from_slice(&[self.narrowed(node, drawn, specs[0].dtype)])
            }
            Action::Op(_)
            | Action::Loop(_)
            | Action::LoopReduction(..)
            | Action::LoopColumns(..)
            | Action::Epilogue(_)
            | Action::LossGradient(_)
            | Action::SumRows { .. }
            | Action::UpdateRows(_)
            | Action::Custom(_)
            | Action::Random { .. } => self.add(node, action, operands, specs),
        }
    }

    /// Adds an instruction as it is.
    fn add(&mut self, node: NodeId, action: Action, operands: Operands, specs: &[Spec]) -> SmallVec<[ValueId; 1]> {
        let results: SmallVec<[ValueId; 1]> =
            specs.iter().map(|spec| self.program.add_value(spec.clone(), Origin::Computed)).collect();
        results.iter().for_each(|result| self.produced(*result));
        self.program.instructions.push(Instruction { action, operands, results: results.clone(), node });
        results
    }

    fn add_one(&mut self, node: NodeId, op: Op, operands: &[ValueId], dtype: DType, dims: Dims) -> ValueId {
        self.add(node, Action::Op(op), SmallVec::from_slice(operands), &[Spec { dtype, dims }])[0]
    }

    fn is_narrow(&self, operands: &[ValueId], specs: &[Spec]) -> bool {
        let narrow = |spec: &Spec| spec.dtype.wide() != spec.dtype;
        operands.iter().any(|o| narrow(self.program.spec(*o))) || specs.iter().any(narrow)
    }

    /// A value in another dtype, by the casts that there are.
    fn cast(&mut self, node: NodeId, value: ValueId, to: DType) -> ValueId {
        let Spec { dtype: from, dims } = self.program.spec(value).clone();
        if from == to {
            return self.add_one(node, Op::Cast { to }, &[value], to, dims);
        }
        let mut at = value;
        for next in cast_path(from, to) {
            let widens = at == value && next == from.wide();
            at = if widens {
                self.widen(node, value)
            } else {
                self.add_one(node, Op::Cast { to: next }, &[at], next, dims.clone())
            };
        }
        at
    }

    /// A value in the type that its numbers are computed in; the same value for all who ask.
    fn widen(&mut self, node: NodeId, value: ValueId) -> ValueId {
        if let Some(wide) = self.wide.get(&value) {
            return *wide;
        }
        let Spec { dtype, dims } = self.program.spec(value).clone();
        let wide = self.add_one(node, Op::Cast { to: dtype.wide() }, &[value], dtype.wide(), dims);
        self.wide.insert(value, wide);
        wide
    }

    fn narrowed(&mut self, node: NodeId, wide: ValueId, dtype: DType) -> ValueId {
        let spec = self.program.spec(wide).clone();
        if spec.dtype == dtype {
            return wide;
        }
        self.add_one(node, Op::Cast { to: dtype }, &[wide], dtype, spec.dims)
    }

    /// An action's results in the types that its numbers are computed in.
    fn widened(
        &mut self,
        node: NodeId,
        action: Action,
        operands: &[ValueId],
        specs: &[Spec],
    ) -> SmallVec<[ValueId; 1]> {
        let mut wide = Operands::new();
        for (k, &operand) in operands.iter().enumerate() {
            let Spec { dtype, dims } = self.program.spec(operand).clone();
            wide.push(if dtype.wide() == dtype {
                operand
            } else if action.shape_only(k) {
                // Nobody computes it, as nobody reads more of it than its shape.
                self.program.add_value(Spec { dtype: dtype.wide(), dims }, Origin::Computed)
            } else {
                self.widen(node, operand)
            });
        }
        let specs: SmallVec<[Spec; 2]> =
            specs.iter().map(|spec| Spec { dtype: spec.dtype.wide(), dims: spec.dims.clone() }).collect();
        self.add(node, action, wide, &specs)
    }

    /// The results of an operation on numbers of fewer bits: as of their wide types, in a type of fewer bits again.
    fn computed(&mut self, node: NodeId, op: &Op, operands: &[ValueId], specs: &[Spec]) -> SmallVec<[ValueId; 1]> {
        let narrow = self.program.spec(operands[0]).dtype;
        let mut operands = Operands::from_slice(operands);
        let wide =
            if let Op::Iota { axis, dtype } = op { Op::Iota { axis: *axis, dtype: dtype.wide() } } else { op.clone() };
        if let Op::Binary(BinaryOp::LeftShift | BinaryOp::RightShift) = op {
            // A shift by as many bits as the narrow type has, or more, is one by all but one.
            let most = Value::of_number((8 * narrow.size() - 1) as f64, narrow.wide());
            let most = self.program.add_constant(most);
            let by = self.widen(node, operands[1]);
            let dims = self.program.spec(by).dims.clone();
            operands[1] = self.add_one(node, Op::Binary(BinaryOp::Minimum), &[by, most], narrow.wide(), dims);
        }
        let mut results = self.widened(node, Action::Op(wide), &operands, specs);
        if let Some(lowest) = self.of_nothing(op, operands[0], narrow) {
            results[0] = self.limited(node, results[0], narrow, lowest);
        }
        results.iter().zip(specs).map(|(result, spec)| self.narrowed(node, *result, spec.dtype)).collect()
    }

    /// Whether results may be the largest or the smallest of nothing, and then whether the largest. Of floats that is an
    /// infinity, but where segments or windows have nothing.
    fn of_nothing(&self, op: &Op, x: ValueId, narrow: DType) -> Option<bool> {
        let integers = narrow.is_integer();
        if let Op::Segment { op, sorted: false, .. } = op {
            matches!(op, SegmentOp::Max | SegmentOp::Min).then_some(*op == SegmentOp::Max)
        } else if let Op::Reduce { op, .. } = op {
            let nothing = integers && self.program.spec(x).is_empty();
            (nothing && matches!(op, ReduceOp::Max | ReduceOp::Min)).then_some(*op == ReduceOp::Max)
        } else if let Op::Pool2d { op: PoolOp::Max, window, .. } = op {
            // Of floats the largest is the lowest finite number at least.
            (!integers || matches!(window.padding, Padding::Explicit(_))).then_some(true)
        } else {
            None
        }
    }

    /// What the largest, or the smallest, of nothing is: the end of the narrow type where it is that of the wide one.
    fn limited(&mut self, node: NodeId, result: ValueId, narrow: DType, lowest: bool) -> ValueId {
        let Spec { dtype, dims } = self.program.spec(result).clone();
        let number = |program: &mut crate::program::Program, of: DType| {
            let ends = of.limits();
            program.add_constant(Value::of_number(if lowest { ends[0] } else { ends[1] }, dtype))
        };
        let (own, end) = (number(&mut self.program, dtype), number(&mut self.program, narrow));
        let none = self.add_one(node, Op::Compare(CompareOp::Equal), &[result, own], DType::Bool, dims.clone());
        self.add_one(node, Op::Select, &[none, end, result], dtype, dims)
    }

    /// Of a uniform number, which is 23 bits below the point, the last of these as a number below 1.
    fn last_bits(&mut self, node: NodeId, uniform: ValueId, bits: i32) -> ValueId {
        let Spec { dtype, dims } = self.program.spec(uniform).clone();
        let shift = self.program.add_constant(Value::of_number(2_f64.powi(23 - bits), dtype));
        let shifted = self.add_one(node, Op::Binary(BinaryOp::Mul), &[uniform, shift], dtype, dims.clone());
        let whole = self.add_one(node, Op::Unary(UnaryOp::Floor), &[shifted], dtype, dims.clone());
        self.add_one(node, Op::Binary(BinaryOp::Sub), &[shifted, whole], dtype, dims)
    }
}
