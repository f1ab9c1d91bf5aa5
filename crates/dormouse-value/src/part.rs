//! What a strided slice takes of each axis: a separate file, since inference and kernels both count by it.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What a strided slice takes of an axis, or puts between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// The element here, without the axis. Negative counts from the end; one outside is an error.
    Index(i64),
    /// From `begin` on, every `step`-th, before `end`, as Python has it: negative places count from the end, those beyond
    /// the axis are cut to it, and a negative step runs towards the front.
    Range {
        /// Where it starts; `None` is the end that it runs away from.
        begin: Option<i64>,
        /// Where it ends; `None` is after the last.
        end: Option<i64>,
        /// Places from one element to the next; not 0.
        step: i64,
    },
    /// A new axis of extent 1.
    NewAxis,
    /// All axes that no other part is about, whole. Once at most, and at the end where it is not said.
    Rest,
}

impl Part {
    /// A whole axis.
    pub const WHOLE: Part = Part::Range { begin: None, end: None, step: 1 };

    /// The first place, and how many, that it takes of an axis of `extent` elements; `None` for an index outside.
    pub fn span(self, extent: u64) -> Option<(u64, u64)> {
        // As wide as no sum of places is.
        let n = i128::from(extent);
        match self {
            Part::Index(i) => {
                let place = i128::from(i) + if i < 0 { n } else { 0 };
                (0..n).contains(&place).then_some((place as u64, 1))
            }
            Part::Range { begin, end, step } => {
                let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
                let place = |i: i64| (i128::from(i) + if i < 0 { n } else { 0 }).clamp(low, high);
                let (from, to) = if step > 0 { (low, high) } else { (high, low) };
                let (from, to) = (begin.map_or(from, place), end.map_or(to, place));
                let step = i128::from(step);
                let distance = if step > 0 { to - from } else { from - to };
                let count = if distance > 0 && step != 0 { (distance - 1) / step.abs() + 1 } else { 0 };
                Some(if count > 0 { (from as u64, count as u64) } else { (0, 0) })
            }
            Part::NewAxis => Some((0, 1)),
            Part::Rest => Some((0, extent)),
        }
    }

    /// Whether it is about one axis of the operand.
    pub fn takes_axis(self) -> bool {
        matches!(self, Part::Index(_) | Part::Range { .. })
    }

    /// The parts for an operand of `rank` axes, each axis with a part of its own.
    ///
    /// # Errors
    /// When they are about more axes than there are, name the rest twice, or have a step of 0.
    pub fn for_rank(parts: &[Part], rank: usize) -> Result<SmallVec<[Part; 6]>, String> {
        Part::check(parts)?;
        let taken = parts.iter().filter(|part| part.takes_axis()).count();
        let Some(left) = rank.checked_sub(taken) else {
            return Err(format!("is about {taken} axes, of {rank}"));
        };
        let rest = std::iter::repeat_n(Part::WHOLE, left);
        let place = parts.iter().position(|part| *part == Part::Rest).unwrap_or(parts.len());
        let after = parts.get(place + 1..).unwrap_or(&[]);
        Ok(parts[..place].iter().copied().chain(rest).chain(after.iter().copied()).collect())
    }

    /// Whether they are parts of anything.
    ///
    /// # Errors
    /// When they name the rest twice, or have a step of 0.
    pub fn check(parts: &[Part]) -> Result<(), String> {
        if parts.iter().filter(|part| **part == Part::Rest).count() > 1 {
            return Err("names the rest of the axes twice".to_owned());
        }
        if parts.iter().any(|part| matches!(part, Part::Range { step: 0, .. })) {
            return Err("has a step of 0".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(begin: Option<i64>, end: Option<i64>, step: i64, extent: u64) -> Vec<i64> {
        let (first, count) = Part::Range { begin, end, step }.span(extent).unwrap_or_default();
        (0..count as i64).map(|i| first as i64 + i * step).collect()
    }

    #[test]
    fn ranges_are_pythons() {
        assert_eq!(taken(None, None, 1, 3), [0, 1, 2]);
        assert_eq!(taken(None, None, -1, 3), [2, 1, 0]);
        assert_eq!(taken(Some(-2), None, 1, 5), [3, 4]);
        assert_eq!(taken(Some(1), Some(-1), 2, 6), [1, 3]);
        assert_eq!(taken(Some(4), Some(0), -2, 6), [4, 2]);
        assert_eq!(taken(Some(100), Some(-100), -3, 5), [4, 1]);
        assert_eq!(taken(Some(-100), Some(100), 4, 5), [0, 4]);
        assert_eq!(taken(Some(3), Some(1), 1, 5), [0; 0]);
        assert_eq!(taken(Some(1), Some(3), -1, 5), [0; 0]);
        assert_eq!(taken(None, None, -1, 0), [0; 0]);
        assert_eq!(taken(None, Some(-1), -1, 3), [0; 0]);
        assert_eq!(taken(Some(i64::MIN), Some(i64::MAX), i64::MAX, 3), [0]);
        assert_eq!(taken(Some(i64::MAX), Some(i64::MIN), i64::MIN, 3), [2]);
    }

    #[test]
    fn indices_outside_are_none() {
        assert_eq!(Part::Index(-3).span(3), Some((0, 1)));
        assert_eq!(Part::Index(2).span(3), Some((2, 1)));
        for index in [3, -4, i64::MIN, i64::MAX] {
            assert_eq!(Part::Index(index).span(3), None);
        }
    }

    #[test]
    fn the_rest_is_written_out() {
        let one = Part::Index(0);
        let parts = [one, Part::Rest, Part::NewAxis, one];
        let all = [one, Part::WHOLE, Part::WHOLE, Part::NewAxis, one];
        assert_eq!(Part::for_rank(&parts, 4).as_deref(), Ok(all.as_slice()));
        assert_eq!(Part::for_rank(&[one], 2).as_deref(), Ok([one, Part::WHOLE].as_slice()));
        assert!(Part::for_rank(&parts, 1).is_err());
        assert!(Part::for_rank(&[Part::Rest, Part::Rest], 1).is_err());
        assert!(Part::for_rank(&[Part::Range { begin: None, end: None, step: 0 }], 1).is_err());
    }
}
