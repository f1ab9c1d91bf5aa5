//! Which source cells meet which taps: a convolution or its transpose along one axis, split into classes of result
//! cells that see the same taps. Strides and dilations end here; the inner loops see offsets only.

use super::geometry::Axis;
use super::padding::Extent;

/// Result cells `first + j · step`, for `j < count`, that meet the same taps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// The first result cell.
    pub(super) first: usize,
    /// Result cells.
    pub(super) count: usize,
    /// (source cell that `j = 0` meets, tap), source cells ascending.
    pub(super) taps: Vec<(isize, usize)>,
}

/// One axis of a sum over taps: each class's result cell `j` meets source cell `offset + j · pace` at each tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lattice {
    /// Result cells with a tap; those without are zero.
    pub(super) classes: Vec<Class>,
    /// From one result cell of a class to the next.
    pub(super) step: usize,
    /// From one source cell to the next.
    pub(super) pace: usize,
    /// Cells of the result.
    pub(super) results: usize,
    /// Cells of the source.
    pub(super) sources: usize,
}

impl Lattice {
    /// Windows meet input cells.
    pub(super) fn forward(axis: &Axis) -> Self {
        let taps: Vec<_> = axis.useful().map(|k| (k as isize * axis.dilation as isize + axis.origin(), k)).collect();
        let classes = if taps.is_empty() { vec![] } else { vec![Class { first: 0, count: axis.output, taps }] };
        Lattice { classes, step: 1, pace: axis.stride, results: axis.output, sources: axis.input }
    }

    /// Input cells meet the windows that cover them: cell `i` meets window `(i + before − k · dilation) / stride` at
    /// the taps `k` where that is a whole number, so cells a stride apart are a class.
    pub(super) fn transposed(axis: &Axis) -> Self {
        let stride = axis.stride;
        let mut classes: Vec<Class> = Vec::new();
        for k in (0..axis.taps).rev() {
            let shift = axis.before as isize - k as isize * axis.dilation as isize;
            let first = (-shift).rem_euclid(stride as isize) as usize;
            if first >= axis.input {
                continue;
            }
            let count = (axis.input - first).div_ceil(stride);
            let offset = (first as isize + shift) / stride as isize;
            if offset >= axis.output as isize || offset + count as isize <= 0 {
                continue;
            }
            match classes.iter_mut().find(|class| class.first == first) {
                Some(class) => class.taps.push((offset, k)),
                None => classes.push(Class { first, count, taps: vec![(offset, k)] }),
            }
        }
        Lattice { classes, step: stride, pace: 1, results: axis.input, sources: axis.output }
    }

    /// Groups of `step` result cells, one of each class; bands divide them.
    pub(super) fn groups(&self) -> usize {
        self.results.div_ceil(self.step)
    }

    /// Whether some result cells meet no tap.
    pub(super) fn gaps(&self) -> bool {
        self.classes.iter().map(|class| class.count).sum::<usize>() < self.results
    }

    /// The source cells that groups `from .. to` meet.
    pub(super) fn extent(&self, from: usize, to: usize) -> Extent {
        let offsets = || self.classes.iter().flat_map(|class| class.taps.iter().map(|&(offset, _)| offset));
        let (Some(low), Some(high)) = (offsets().min(), offsets().max()) else { return Extent { first: 0, len: 0 } };
        if from == to {
            return Extent { first: 0, len: 0 };
        }
        let len = (to - 1 - from) * self.pace + (high - low) as usize + 1;
        Extent { first: low + (from * self.pace) as isize, len }
    }
}

#[cfg(test)]
mod tests {
    use dormouse_value::Padding;

    use super::*;

    /// (result, source, tap) of every meeting inside the source.
    fn meetings(lattice: &Lattice) -> Vec<(usize, usize, usize)> {
        let mut all = Vec::new();
        for class in &lattice.classes {
            for j in 0..class.count {
                for &(offset, k) in &class.taps {
                    let source = offset + (j * lattice.pace) as isize;
                    assert!({
                        let extent = lattice.extent(0, lattice.groups());
                        source >= extent.first && source < extent.first + extent.len as isize
                    });
                    if source >= 0 && (source as usize) < lattice.sources {
                        all.push((class.first + j * lattice.step, source as usize, k));
                    }
                }
            }
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn both_directions_meet_at_the_same_taps() {
        for padding in [Padding::Same, Padding::Valid, Padding::Explicit([[4, 6], [0, 0]])] {
            for (n, k, s, d) in (0..9)
                .flat_map(|n| (1..6).flat_map(move |k| (1..5).flat_map(move |s| (1..4).map(move |d| (n, k, s, d)))))
            {
                let axis = Axis::new(n, k, s, d, padding, 0);
                let mut expected = Vec::new();
                for o in 0..axis.output {
                    expected.extend(axis.inside(o).map(|k| (o, axis.cell(o, k), k)));
                }
                expected.sort_unstable();
                assert_eq!(meetings(&Lattice::forward(&axis)), expected, "{axis:?}");
                let mut transposed: Vec<_> = expected.iter().map(|&(o, i, k)| (i, o, k)).collect();
                transposed.sort_unstable();
                assert_eq!(meetings(&Lattice::transposed(&axis)), transposed, "{axis:?}");
            }
        }
    }

    #[test]
    fn taps_ascend_by_source_cell() {
        let axis = Axis::new(17, 5, 2, 1, Padding::Same, 0);
        for lattice in [Lattice::forward(&axis), Lattice::transposed(&axis)] {
            for class in &lattice.classes {
                assert!(class.taps.windows(2).all(|pair| pair[0].0 < pair[1].0), "{class:?}");
            }
        }
    }
}
