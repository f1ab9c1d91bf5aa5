//! The padded part of one image in a worker's scratch, so that the inner loops know no border.

use dormouse_value::Element;

/// Cells of an image along one axis that a tile reads: `len` from `first` on, which may lie outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first cell; negative before the image.
    pub(super) first: isize,
    /// How many.
    pub(super) len: usize,
}

impl Extent {
    /// Whether all cells lie within an image of `n` cells.
    pub(super) fn within(self, n: usize) -> bool {
        self.first >= 0 && self.first as usize + self.len <= n
    }

    /// Cells before, inside and after an image of `n` cells.
    fn split(self, n: usize) -> [usize; 3] {
        let before = usize::try_from(-self.first).unwrap_or(0).min(self.len);
        let inside = n.saturating_sub(usize::try_from(self.first).unwrap_or(0)).min(self.len - before);
        [before, inside, self.len - before - inside]
    }
}

/// Copies `rows` × `cols` of `image`, `[height, width, channels]`, to `padded`, with zeros outside the image.
///
/// `padded` holds `rows.len · cols.len · channels` elements, all of which are written.
pub(super) fn pad<T: Element>(padded: &mut [T], image: &[T], dims: [usize; 3], rows: Extent, cols: Extent) {
    let [height, width, channels] = dims;
    let pitch = cols.len * channels;
    let [above, middle, _] = rows.split(height);
    let [left, run, right] = cols.split(width).map(|n| n * channels);
    let (top, rest) = padded.split_at_mut(above * pitch);
    let (body, bottom) = rest.split_at_mut(middle * pitch);
    top.fill(T::default());
    bottom.fill(T::default());
    if pitch == 0 {
        return;
    }
    let from = usize::try_from(cols.first).unwrap_or(0) * channels;
    let skipped = usize::try_from(rows.first).unwrap_or(0);
    for (i, row) in body.chunks_exact_mut(pitch).enumerate() {
        row[..left].fill(T::default());
        if run > 0 {
            let start = (skipped + i) * width * channels + from;
            row[left..left + run].copy_from_slice(&image[start..start + run]);
        }
        row[pitch - right..].fill(T::default());
    }
}

/// As [`pad`], of `slices` of a volume `[depth, height, width, channels]`, which begin `pitch` elements apart in `padded`.
pub(super) fn pad_slices<T: Element>(
    padded: &mut [T],
    volume: &[T],
    dims: [usize; 4],
    [slices, rows, cols]: [Extent; 3],
    pitch: usize,
) {
    let [depth, height, width, channels] = dims;
    let plane = height * width * channels;
    let len = rows.len * cols.len * channels;
    for (i, slice) in (slices.first..).take(slices.len).enumerate() {
        let copy = &mut padded[i * pitch..][..len];
        match usize::try_from(slice).ok().filter(|slice| *slice < depth) {
            None => copy.fill(T::default()),
            Some(slice) => pad(copy, &volume[slice * plane..][..plane], [height, width, channels], rows, cols),
        }
    }
}

/// As [`pad`], with each channel `times` times in a row and zeros from there to `cell` elements a cell.
///
/// `spread` holds `rows.len · cols.len · cell` elements, all of which are written; `cell` is at least `channels · times`.
pub(super) fn spread<T: Element + Copy>(
    spread: &mut [T],
    image: &[T],
    dims: [usize; 3],
    rows: Extent,
    cols: Extent,
    [times, cell]: [usize; 2],
) {
    let [height, width, channels] = dims;
    if cols.len * cell == 0 {
        return;
    }
    for (i, row) in spread.chunks_exact_mut(cols.len * cell).enumerate() {
        let source = usize::try_from(rows.first + i as isize).ok().filter(|row| *row < height);
        for (j, cells) in row.chunks_exact_mut(cell).enumerate() {
            let column = usize::try_from(cols.first + j as isize).ok().filter(|column| *column < width);
            let (Some(row), Some(column)) = (source, column) else {
                cells.fill(T::default());
                continue;
            };
            let from = &image[(row * width + column) * channels..][..channels];
            let (lanes, rest) = cells.split_at_mut(channels * times);
            if times == 1 {
                lanes.copy_from_slice(from);
            } else {
                for (lanes, &x) in lanes.chunks_exact_mut(times.max(1)).zip(from) {
                    lanes.fill(x);
                }
            }
            rest.fill(T::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_the_images_or_zero() {
        let (height, width, channels) = (3, 4, 2);
        let image: Vec<i32> = (1..=(height * width * channels) as i32).collect();
        let extents = (-5..6).flat_map(|first| (0..9).map(move |len| Extent { first, len }));
        for rows in extents.clone() {
            for cols in extents.clone() {
                let mut padded = vec![-1; rows.len * cols.len * channels];
                pad(&mut padded, &image, [height, width, channels], rows, cols);
                for (i, &got) in padded.iter().enumerate() {
                    let cell = i / channels;
                    let (r, c) = (rows.first + (cell / cols.len) as isize, cols.first + (cell % cols.len) as isize);
                    let inside = (0..height as isize).contains(&r) && (0..width as isize).contains(&c);
                    let index = |r: isize, c: isize| (r as usize * width + c as usize) * channels + i % channels;
                    assert_eq!(got, if inside { image[index(r, c)] } else { 0 }, "{rows:?} {cols:?} at {i}");
                }
            }
        }
    }
}
