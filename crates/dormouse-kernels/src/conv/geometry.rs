//! Where windows lie: output extents and padding along one axis, as TensorFlow lays them. A file of its own since the
//! convolutions, their gradients and the pools must agree on it to the cell.

use std::ops::Range;

use dormouse_value::Padding;

use crate::KernelError;

/// Windows along one axis: window `o` covers the cells `o · stride + k · dilation − before` for each tap `k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Cells of the input.
    pub(crate) input: usize,
    /// Windows.
    pub(crate) output: usize,
    /// Taps of a window.
    pub(crate) taps: usize,
    /// Cells from one window to the next.
    pub(crate) stride: usize,
    /// Cells from one tap to the next.
    pub(crate) dilation: usize,
    /// Cells of padding before the input; the odd one comes after it.
    pub(crate) before: usize,
}

impl Axis {
    /// One cell under one window of one tap: an axis that is not there.
    pub(crate) const UNIT: Axis = Axis { input: 1, output: 1, taps: 1, stride: 1, dilation: 1, before: 0 };

    /// Windows of `taps` ≥ 1 cells over `input` cells; `stride` and `dilation` are at least 1. Of explicit padding, the
    /// cells are those of axis `place`.
    pub(crate) fn new(
        input: usize,
        taps: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
        place: usize,
    ) -> Self {
        let span = (taps - 1).saturating_mul(dilation).saturating_add(1);
        let whole = |cells: usize| cells.checked_sub(span).map_or(0, |rest| rest / stride + 1);
        let (output, before) = match padding {
            Padding::Same => {
                let output = input.div_ceil(stride);
                let covered = output.saturating_sub(1).saturating_mul(stride).saturating_add(span);
                (output, covered.saturating_sub(input) / 2)
            }
            Padding::Valid => (whole(input), 0),
            Padding::Explicit(cells) => {
                let [before, after] = cells[place].map(|n| n as usize);
                (whole(input.saturating_add(before).saturating_add(after)), before)
            }
        };
        Axis { input, output, taps, stride, dilation, before }
    }

    /// The cell under tap 0 of window 0 is this many cells before the input, negated.
    pub(crate) fn origin(&self) -> isize {
        -(self.before as isize)
    }

    /// The taps of window `o` that fall on the input.
    pub(crate) fn inside(&self, o: usize) -> Range<usize> {
        let start = o * self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.dilation).min(self.taps);
        let end = (self.input + self.before).saturating_sub(start).div_ceil(self.dilation).min(self.taps);
        first..end.max(first)
    }

    /// The cell under tap `k` of window `o`; only for taps that are inside.
    pub(crate) fn cell(&self, o: usize, k: usize) -> usize {
        o * self.stride + k * self.dilation - self.before
    }

    /// The taps that may fall on the input in some window; the others see padding only.
    pub(crate) fn useful(&self) -> Range<usize> {
        let Some(last) = self.output.checked_sub(1) else { return 0..0 };
        let first = self.inside(last).start;
        first..self.inside(0).end.max(first)
    }

    /// The windows that cover a cell in `cells`.
    pub(crate) fn windows(&self, cells: Range<usize>) -> Range<usize> {
        let span = (self.taps - 1).saturating_mul(self.dilation);
        let first = (cells.start + self.before).saturating_sub(span).div_ceil(self.stride);
        let end = (cells.end + self.before).div_ceil(self.stride).min(self.output);
        first.min(end)..end
    }
}

/// The axes of windows over `[.., height, width, ..]`, or with a depth before them.
///
/// # Errors
/// Where a window has no cells, a stride or dilation is 0, or explicit padding is of other axes.
pub(crate) fn axes<const N: usize>(
    name: &str,
    input: [usize; N],
    taps: [usize; N],
    [strides, dilations]: [[u32; N]; 2],
    padding: Padding,
) -> Result<[Axis; N], KernelError> {
    if taps.contains(&0) {
        return Err(KernelError::new(format!(
            "{name}: a window of {taps:?} cells covers nothing; give at least 1 each"
        )));
    }
    if strides.contains(&0) || dilations.contains(&0) {
        return Err(KernelError::new(format!(
            "{name}: strides {strides:?} and dilations {dilations:?} must be at least 1"
        )));
    }
    if matches!(padding, Padding::Explicit(_)) && N != 2 {
        return Err(KernelError::new(format!("{name}: explicit padding is of two axes")));
    }
    let axis = |i: usize| Axis::new(input[i], taps[i], strides[i] as usize, dilations[i] as usize, padding, i);
    Ok(std::array::from_fn(axis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PADDINGS: [Padding; 5] = [
        Padding::Same,
        Padding::Valid,
        Padding::Explicit([[0, 3], [0, 0]]),
        Padding::Explicit([[2, 0], [0, 0]]),
        Padding::Explicit([[7, 9], [0, 0]]),
    ];

    fn naive_inside(a: &Axis, o: usize) -> Vec<usize> {
        (0..a.taps)
            .filter(|k| {
                let cell = (o * a.stride + k * a.dilation) as isize - a.before as isize;
                cell >= 0 && (cell as usize) < a.input
            })
            .collect()
    }

    #[test]
    fn extents_are_tensorflows() {
        let same = |n, k, s, d| Axis::new(n, k, s, d, Padding::Same, 0);
        let valid = |n, k, s, d| Axis::new(n, k, s, d, Padding::Valid, 0);
        assert_eq!((same(3, 2, 2, 1).output, same(3, 2, 2, 1).before), (2, 0));
        assert_eq!((same(28, 5, 1, 1).output, same(28, 5, 1, 1).before), (28, 2));
        assert_eq!((same(4, 2, 1, 1).output, same(4, 2, 1, 1).before), (4, 0));
        assert_eq!((same(2, 5, 2, 1).output, same(2, 5, 2, 1).before), (1, 1));
        assert_eq!((same(0, 3, 1, 1).output, same(7, 1, 3, 1).output), (0, 3));
        assert_eq!((valid(28, 5, 1, 1).output, valid(7, 3, 2, 1).output, valid(7, 3, 2, 3).output), (24, 3, 1));
        assert_eq!((valid(2, 5, 2, 1).output, valid(2, 3, 1, 1).output, valid(0, 1, 1, 1).output), (0, 0, 0));
    }

    #[test]
    fn taps_and_windows_agree_with_a_search() {
        for padding in PADDINGS {
            for (n, k, s, d) in (0..9)
                .flat_map(|n| (1..6).flat_map(move |k| (1..5).flat_map(move |s| (1..4).map(move |d| (n, k, s, d)))))
            {
                let a = Axis::new(n, k, s, d, padding, 0);
                let mut useful = Vec::new();
                for o in 0..a.output {
                    let inside = naive_inside(&a, o);
                    assert_eq!(a.inside(o).collect::<Vec<_>>(), inside, "{a:?} window {o}");
                    useful.extend(inside);
                }
                assert!(useful.iter().all(|k| a.useful().contains(k)), "{a:?}");
                for first in 0..n {
                    for end in first + 1..=n {
                        let windows = a.windows(first..end);
                        for o in 0..a.output {
                            let covers = a.inside(o).any(|k| (first..end).contains(&a.cell(o, k)));
                            assert!(!covers || windows.contains(&o), "{a:?} cells {first}..{end} window {o}");
                        }
                    }
                }
            }
        }
    }
}
