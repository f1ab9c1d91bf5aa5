//! Loops that instructions have in common: the layers of a deep network do the same to the same shapes, so their loops are kept
//! once, each with its hash. Apart from the program, which does not ask what a loop is made of.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use dormouse_kernels::Loop;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

/// A loop of one or more instructions.
#[derive(Clone, Debug)]
pub(crate) struct SharedLoop(Arc<Hashed>);

#[derive(Debug)]
struct Hashed {
    hash: u64,
    body: Loop,
}

fn hash(body: &Loop) -> u64 {
    let mut hasher = FxHasher::default();
    body.hash(&mut hasher);
    hasher.finish()
}

impl SharedLoop {
    /// A loop that nobody else has yet.
    pub(crate) fn new(body: Loop) -> SharedLoop {
        SharedLoop(Arc::new(Hashed { hash: hash(&body), body }))
    }
}

impl Deref for SharedLoop {
    type Target = Loop;

    fn deref(&self) -> &Loop {
        &self.0.body
    }
}

impl PartialEq for SharedLoop {
    fn eq(&self, other: &SharedLoop) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.body == other.0.body)
    }
}

impl Hash for SharedLoop {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// The loops that were made so far, by their hashes.
#[derive(Default)]
pub(crate) struct Loops(FxHashMap<u64, SmallVec<[SharedLoop; 1]>>);

impl Loops {
    /// The loop that is the same as this one; of none, a copy of it.
    pub(crate) fn share(&mut self, body: &Loop) -> SharedLoop {
        let hash = hash(body);
        let alike = self.0.entry(hash).or_default();
        if let Some(same) = alike.iter().find(|other| other.0.body == *body) {
            return same.clone();
        }
        let new = SharedLoop(Arc::new(Hashed { hash, body: body.clone() }));
        alike.push(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use dormouse_kernels::{Spec, Step};
    use dormouse_value::{DType, Op, UnaryOp};

    use super::*;

    fn body(op: UnaryOp) -> Loop {
        let step = Step { op: Op::Unary(op), operands: SmallVec::from_slice(&[0]), dtype: DType::F32 };
        Loop {
            dims: SmallVec::from_slice(&[2, 3]),
            inputs: vec![Spec::new(DType::F32, &[3])],
            steps: vec![step],
            outputs: vec![1],
        }
    }

    #[test]
    fn equal_loops_are_one() {
        let mut loops = Loops::default();
        let (a, b, c) =
            (loops.share(&body(UnaryOp::Exp)), loops.share(&body(UnaryOp::Log)), loops.share(&body(UnaryOp::Exp)));
        assert!(Arc::ptr_eq(&a.0, &c.0) && !Arc::ptr_eq(&a.0, &b.0));
        assert!(a != b && a == SharedLoop::new(body(UnaryOp::Exp)) && *a == body(UnaryOp::Exp));
    }
}
