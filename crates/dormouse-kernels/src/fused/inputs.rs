//! How an input reaches a tile: apart, as this is all that broadcasting costs.

use smallvec::SmallVec;

use super::TILE;

/// The longest repeated row that is laid out once a work tile, so that a tile is a pointer into it.
const LONGEST_ROW: usize = 1024;

/// How many times as long as a row that is laid out a work tile is, at least.
const WORTH: usize = 4;

/// Where the elements of an input lie as the iteration space is walked in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// Element i at place i: read where it lies.
    Direct,
    /// One element everywhere.
    Splat,
    /// The first `period` elements again and again, a row under outer axes.
    Row {
        /// Elements of the row.
        period: usize,
        /// Whether it is laid out once a work tile.
        laid_out: bool,
    },
    /// Any other broadcast: extents and strides in elements, innermost first; strides of adjacent axes do not merge.
    Strided(SmallVec<[(usize, usize); 4]>),
}

impl Source {
    /// The source of an input of extents `own` that broadcasts to `dims`.
    pub(super) fn of(dims: &[usize], own: &[usize]) -> Self {
        let mut axes: SmallVec<[(usize, usize); 4]> = SmallVec::new();
        let mut stride = 1;
        for (place, &extent) in dims.iter().rev().enumerate() {
            let own_extent = own.len().checked_sub(place + 1).map_or(1, |axis| own[axis]);
            let step = if own_extent == 1 { 0 } else { stride };
            stride *= own_extent;
            if extent == 1 {
                continue;
            }
            match axes.last_mut() {
                Some((inner, inner_step)) if step == *inner_step * *inner => *inner *= extent,
                _ => axes.push((extent, step)),
            }
        }
        match axes.as_slice() {
            [] | [(_, 1)] => Source::Direct,
            [(_, 0)] => Source::Splat,
            [(period, 1), (_, 0)] => Source::Row { period: *period, laid_out: *period <= LONGEST_ROW },
            _ => Source::Strided(axes),
        }
    }

    /// Brings a row to each tile by itself, where so few elements are computed at a time that laying it out does not pay.
    pub(super) fn short(&mut self, elements: usize) {
        if let Source::Row { period, laid_out } = self {
            *laid_out &= *period * WORTH <= elements;
        }
    }

    /// Elements of scratch it needs.
    pub(super) fn scratch(&self) -> usize {
        match self {
            Source::Direct => 0,
            Source::Row { period, laid_out: true } => period + TILE,
            Source::Row { .. } | Source::Splat | Source::Strided(_) => TILE,
        }
    }

    /// Nanoseconds of an element.
    pub(super) fn nanos(&self) -> f64 {
        match self {
            Source::Direct | Source::Splat | Source::Row { .. } => 0.0,
            Source::Strided(axes) => 0.05 + 8.0 / axes[0].0 as f64,
        }
    }

    /// Lays out once what serves every tile of a range of `len` elements.
    ///
    /// # Safety
    /// `from` is the input's buffer, of elements of `size` bytes, `scratch` has room for [`Source::scratch`] elements.
    pub(super) unsafe fn prepare(&self, from: *const u8, scratch: *mut u8, size: usize, len: usize) {
        match self {
            Source::Splat => {
                // SAFETY: one element is there, and the scratch holds a tile.
                unsafe { fill(from, scratch, size, len.min(TILE)) }
            }
            Source::Row { period, laid_out: true } => {
                // SAFETY: the row is there, and the scratch holds it and a tile more.
                unsafe { self.read(from, scratch, size, 0, period + len.min(TILE)) }
            }
            Source::Direct | Source::Row { .. } | Source::Strided(_) => {}
        }
    }

    /// Where elements `start .. start + len` lie, at most a tile, brought into scratch if they lie nowhere together.
    ///
    /// # Safety
    /// As [`Source::prepare`], which was called before; the elements are within the iteration space.
    #[inline]
    pub(super) unsafe fn tile(
        &self,
        from: *const u8,
        scratch: *mut u8,
        size: usize,
        start: usize,
        len: usize,
    ) -> *const u8 {
        match self {
            // SAFETY: the elements are within the input.
            Source::Direct => unsafe { from.add(start * size) },
            Source::Splat => scratch,
            // SAFETY: less than a row on, a tile is left of what was laid out.
            Source::Row { period, laid_out: true } => unsafe { scratch.add(start % period * size) },
            // SAFETY: the elements are within the row.
            Source::Row { period, .. } if start % period + len <= *period => unsafe { from.add(start % period * size) },
            Source::Row { .. } | Source::Strided(_) => {
                // SAFETY: the caller's contract.
                unsafe { self.read(from, scratch, size, start, len) };
                scratch
            }
        }
    }

    /// Copies elements `start .. start + len` of the iteration space to `to`.
    ///
    /// # Safety
    /// `from` is the input's buffer, of elements of `size` bytes, `to` has room for `len` of them and is not in it,
    /// unless the source is direct and both are the same elements.
    pub(super) unsafe fn read(&self, from: *const u8, to: *mut u8, size: usize, start: usize, len: usize) {
        match self {
            Source::Direct => {
                // SAFETY: the caller's contract.
                unsafe { copy(from.add(start * size), to, len * size) }
            }
            Source::Splat => {
                // SAFETY: one element is there.
                unsafe { fill(from, to, size, len) }
            }
            Source::Row { period, .. } => {
                let mut at = start % period;
                let mut done = 0;
                while done < len {
                    let run = (period - at).min(len - done);
                    // SAFETY: `at + run` is within the row, `done + run` within the room.
                    unsafe { copy(from.add(at * size), to.add(done * size), run * size) };
                    done += run;
                    at = 0;
                }
            }
            Source::Strided(axes) => {
                // SAFETY: the caller's contract.
                unsafe { read_strided(axes, from, to, size, start, len) }
            }
        }
    }
}

/// # Safety
/// As [`Source::read`].
unsafe fn read_strided(axes: &[(usize, usize)], from: *const u8, to: *mut u8, size: usize, start: usize, len: usize) {
    let mut at: SmallVec<[usize; 8]> = SmallVec::new();
    let mut rest = start;
    let mut offset = 0;
    for &(extent, stride) in axes {
        at.push(rest % extent);
        offset += rest % extent * stride;
        rest /= extent;
    }
    let (extent, stride) = axes[0];
    let mut done = 0;
    while done < len {
        let run = (extent - at[0]).min(len - done);
        // SAFETY: the run is within the innermost axis, whose elements are one or lie side by side.
        unsafe {
            let (from, to) = (from.add(offset * size), to.add(done * size));
            if stride == 0 { fill(from, to, size, run) } else { to.copy_from_nonoverlapping(from, run * size) }
        }
        done += run;
        offset += run * stride;
        at[0] += run;
        for axis in 0..axes.len() - 1 {
            if at[axis] < axes[axis].0 {
                break;
            }
            offset -= axes[axis].0 * axes[axis].1;
            at[axis] = 0;
            at[axis + 1] += 1;
            offset += axes[axis + 1].1;
        }
    }
}

/// Copies bytes, a few at a time: from some length on, the platform's copy may take an instruction that is ten times
/// slower where both addresses have the same place in their pages.
///
/// # Safety
/// The ranges are allocated and do not overlap, or are the same.
unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    const PIECE: usize = 2048;
    let mut done = 0;
    while done < bytes {
        let piece = PIECE.min(bytes - done);
        // SAFETY: the piece is within both ranges.
        unsafe { to.add(done).copy_from(from.add(done), piece) };
        done += piece;
    }
}

/// `len` copies of the element at `from`.
///
/// # Safety
/// Both are aligned to elements of `size` bytes, 1, 2, 4 or 8; `to` has room for `len`.
unsafe fn fill(from: *const u8, to: *mut u8, size: usize, len: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        match size {
            8 => std::slice::from_raw_parts_mut(to.cast::<u64>(), len).fill(*from.cast::<u64>()),
            4 => std::slice::from_raw_parts_mut(to.cast::<u32>(), len).fill(*from.cast::<u32>()),
            2 => std::slice::from_raw_parts_mut(to.cast::<u16>(), len).fill(*from.cast::<u16>()),
            _ => std::slice::from_raw_parts_mut(to, len).fill(*from),
        }
    }
}
