//! Packing: panels of A and strips of B copied to where the micro-kernel reads them one step after the other. It is
//! a file of its own because it is the one place where elements are moved, transposed and padded.

use super::micro::{AHEAD, Float, ROWS, fetch};

/// Steps that a transposing copy takes at a time: a row of them is one cache line or two.
const STEPS: usize = 16;

/// Strips that are packed together: a first-level cache holds the places that are written, and what is fetched ahead.
const TOGETHER: usize = 4;

/// Lines to be packed side by side: rows of A, or columns of B.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<T> {
    /// The first line's first element.
    pub first: *const T,
    /// Elements between two lines.
    pub line: usize,
    /// Elements between two steps along a line.
    pub step: usize,
    /// Steps.
    pub steps: usize,
}

/// Packs `count` rows of A, `[steps][count]`, so that `packed + i` is where row i begins, with `count` as its step.
///
/// # Safety
/// `1 <= count <= ROWS`; all elements of the lines are readable; `packed` has room for `steps · count`, which
/// nobody else touches.
#[inline(always)]
pub(crate) unsafe fn pack_rows<T: Float>(lines: &Lines<T>, count: usize, packed: *mut T) {
    debug_assert!((1..=ROWS).contains(&count));
    // SAFETY: the caller's contract; the match hands each count to the code for that count.
    unsafe {
        match count {
            6 => pack::<T, 6>(lines, packed),
            5 => pack::<T, 5>(lines, packed),
            4 => pack::<T, 4>(lines, packed),
            3 => pack::<T, 3>(lines, packed),
            2 => pack::<T, 2>(lines, packed),
            _ => pack::<T, 1>(lines, packed),
        }
    }
}

/// Packs `count` columns of B, `[steps][T::COLUMNS]`, with zeros in the columns that are missing.
///
/// # Safety
/// `count <= T::COLUMNS`; all elements of the lines are readable; `packed` has room for `steps · T::COLUMNS`, which
/// nobody else touches.
#[inline(always)]
pub(crate) unsafe fn pack_columns<T: Float>(lines: &Lines<T>, count: usize, packed: *mut T) {
    debug_assert!(count <= T::COLUMNS);
    // SAFETY: the caller's contract; a strip is 16 or 8 columns wide.
    unsafe {
        if count < T::COLUMNS {
            pack_padded(lines, count, packed);
        } else if T::COLUMNS == 16 {
            pack::<T, 16>(lines, packed);
        } else {
            pack::<T, 8>(lines, packed);
        }
    }
}

/// Packs so many whole strips of B whose columns are neighbours, one `[steps][T::COLUMNS]` after the other.
///
/// # Safety
/// All elements of `strips · T::COLUMNS` lines, which are neighbours, are readable; `packed` has room for as many, which
/// nobody else touches.
#[inline(always)]
pub(crate) unsafe fn pack_strips<T: Float>(lines: &Lines<T>, strips: usize, packed: *mut T) {
    for (first, step) in (0..strips).step_by(TOGETHER).flat_map(|first| (0..lines.steps).map(move |step| (first, step)))
    {
        let row = lines.first.wrapping_add(step * lines.step);
        let ahead = lines.first.wrapping_add((step + AHEAD).min(lines.steps - 1) * lines.step);
        for strip in first..strips.min(first + TOGETHER) {
            fetch::<T, 1>(ahead.wrapping_add(strip * T::COLUMNS));
            // SAFETY: a strip's columns are neighbours in a row; step `step` of `steps` of a strip has its COLUMNS places.
            unsafe {
                let place = packed.add((strip * lines.steps + step) * T::COLUMNS);
                row.add(strip * T::COLUMNS).copy_to_nonoverlapping(place, T::COLUMNS);
            }
        }
    }
}

/// Packs `W` lines side by side.
///
/// # Safety
/// All elements of the lines are readable; `packed` has room for `steps · W`, which nobody else touches.
#[inline(always)]
unsafe fn pack<T: Float, const W: usize>(lines: &Lines<T>, packed: *mut T) {
    let at = |line: usize, step: usize| lines.first.wrapping_add(line * lines.line + step * lines.step);
    let mut done = 0;
    if lines.line == 1 {
        while done < lines.steps {
            // SAFETY: W neighbouring lines are W neighbouring elements; step `done` of `steps` has its W places.
            unsafe {
                packed.add(done * W).cast::<[T; W]>().write_unaligned(at(0, done).cast::<[T; W]>().read_unaligned());
            };
            done += 1;
        }
    } else if lines.step == 1 {
        while done + STEPS <= lines.steps {
            for line in 0..W {
                // SAFETY: the next STEPS steps of a line are STEPS neighbouring elements.
                let along = unsafe { at(line, done).cast::<[T; STEPS]>().read_unaligned() };
                for (step, &x) in along.iter().enumerate() {
                    // SAFETY: step `done + step` of `steps` has its W places.
                    unsafe { packed.add((done + step) * W + line).write(x) };
                }
            }
            done += STEPS;
        }
    }
    for step in done..lines.steps {
        for line in 0..W {
            // SAFETY: an element of the lines; step `step` of `steps` has its W places.
            unsafe { packed.add(step * W + line).write(at(line, step).read()) };
        }
    }
}

/// Packs fewer lines than a strip has columns.
///
/// # Safety
/// As [`pack_columns`].
#[inline(always)]
unsafe fn pack_padded<T: Float>(lines: &Lines<T>, count: usize, packed: *mut T) {
    for step in 0..lines.steps {
        for line in 0..T::COLUMNS {
            let from = lines.first.wrapping_add(line * lines.line + step * lines.step);
            // SAFETY: only lines below `count` are read; step `step` of `steps` has its COLUMNS places.
            unsafe {
                packed.add(step * T::COLUMNS + line).write(if line < count { from.read() } else { T::default() });
            };
        }
    }
}
