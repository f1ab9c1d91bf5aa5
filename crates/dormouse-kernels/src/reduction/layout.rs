//! Shape and axes as runs of kept and reduced axes, and how those are cut into tiles.
//!
//! Apart from the loops, because everything that decides an order or a tile is here, and nothing here sees a number.

use dormouse_value::Dims;
use smallvec::SmallVec;

use super::tree::{BLOCK, BLOCK_ROWS};
use crate::KernelError;

/// Elements that one tile is to read: some 20 µs.
const TILE: usize = 1 << 16;
/// Tiles beyond which one result's elements are not split further: enough for every machine, and little scratch.
const MOST_PARTS: usize = 64;
/// Columns that one accumulator holds.
pub(crate) const STRIP: usize = 512;
/// Columns below which several rows are taken as one, to fill the vectors.
pub(crate) const NARROW: usize = 64;

/// An axis as an index from the front.
pub(crate) fn resolve_axis(name: &str, dims: &[usize], axis: i32) -> Result<usize, KernelError> {
    let rank = dims.len() as i64;
    let from_front = if axis < 0 { i64::from(axis) + rank } else { i64::from(axis) };
    if (0..rank).contains(&from_front) {
        Ok(from_front as usize)
    } else {
        Err(KernelError::new(format!("{name}: axis {axis} is outside a tensor of rank {rank} ({dims:?})")))
    }
}

/// A shape, with a mark on each axis that is reduced.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    list: SmallVec<[(usize, bool); 6]>,
}

impl Axes {
    /// All axes reduced.
    pub(crate) fn all(dims: &[usize]) -> Axes {
        Axes { list: dims.iter().map(|&n| (n, true)).collect() }
    }

    /// Axes by extents, each with whether it is reduced.
    pub(crate) fn marked(list: impl IntoIterator<Item = (usize, bool)>) -> Axes {
        Axes { list: list.into_iter().collect() }
    }

    /// These axes reduced; negative ones count from the end.
    pub(crate) fn of(name: &str, dims: &[usize], axes: &[i32]) -> Result<Axes, KernelError> {
        let mut list: SmallVec<[(usize, bool); 6]> = dims.iter().map(|&n| (n, false)).collect();
        for &axis in axes {
            let mark = &mut list[resolve_axis(name, dims, axis)?].1;
            if std::mem::replace(mark, true) {
                return Err(KernelError::new(format!("{name}: axis {axis} is named twice in {axes:?}")));
            }
        }
        Ok(Axes { list })
    }

    /// The axes along which `like` is broadcast to `dims`; `None` where it cannot be.
    pub(crate) fn broadcast(dims: &[usize], like: &[usize]) -> Option<Axes> {
        let missing = dims.len().checked_sub(like.len())?;
        let list = dims.iter().enumerate().map(|(i, &n)| match i.checked_sub(missing).map(|k| like[k]) {
            Some(own) if own == n => Some((n, false)),
            Some(1) | None => Some((n, true)),
            Some(_) => None,
        });
        Some(Axes { list: list.collect::<Option<_>>()? })
    }

    /// The result's extents.
    pub(crate) fn result(&self, keep_dims: bool) -> Dims {
        let kept = self.list.iter().filter(|(_, reduced)| keep_dims || !reduced);
        kept.map(|&(n, reduced)| if reduced { 1 } else { n }).collect()
    }
}

/// Extents and strides of axes of one kind, outermost first.
#[derive(Clone, Debug, Default)]
struct Walk(SmallVec<[(usize, usize); 3]>);

impl Walk {
    fn len(&self) -> usize {
        self.0.iter().map(|&(n, _)| n).product()
    }

    /// Where the `index`-th combination begins.
    fn offset(&self, mut index: usize) -> usize {
        if let [(_, stride)] = self.0[..] {
            return index * stride;
        }
        let mut offset = 0;
        for &(n, stride) in self.0.iter().rev() {
            offset += index % n * stride;
            index /= n;
        }
        offset
    }
}

/// The innermost part of the operand, contiguous in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inner {
    /// There is no result.
    Nothing,
    /// There is nothing to reduce over: every result is of no elements.
    Fill,
    /// Every result is of one element.
    Map,
    /// A segment is a row, of one result.
    Row,
    /// A segment is a matrix, of as many results as it has columns.
    Columns,
}

/// The elements that one part of a result takes from one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Where its first element lies in the operand.
    pub(crate) start: usize,
    /// Elements of a row, or rows of a matrix.
    pub(crate) len: usize,
}

/// A reduction as *units*, each a result or a strip of adjacent ones, over *segments*, the contiguous pieces of the
/// operand that go into it.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) inner: Inner,
    /// Elements of the operand.
    pub(crate) elements: usize,
    /// Results.
    pub(crate) results: usize,
    /// Elements of one result.
    pub(crate) count: usize,
    /// Adjacent results of a segment: a matrix's columns.
    pub(crate) columns: usize,
    /// Units that one tile works off, when a unit is not split.
    pub(crate) per_tile: usize,
    /// Parts that a unit is split into.
    pub(crate) parts: usize,
    kept: Walk,
    reduced: Walk,
    /// Row elements or matrix rows of a segment.
    segment: usize,
    /// The same of a piece of it.
    piece: usize,
    pieces_of_part: usize,
}

impl Layout {
    pub(crate) fn new(axes: &Axes) -> Layout {
        let extents = |reduced| axes.list.iter().filter(move |a| a.1 == reduced).map(|a| a.0);
        let (results, count) = (extents(false).product(), extents(true).product());
        let mut layout = Layout {
            inner: Inner::Nothing,
            elements: axes.list.iter().map(|a| a.0).product(),
            results,
            count,
            columns: 1,
            per_tile: TILE,
            parts: 1,
            kept: Walk::default(),
            reduced: Walk::default(),
            segment: count,
            piece: count,
            pieces_of_part: 1,
        };
        layout.inner = match (results, count) {
            (0, _) => Inner::Nothing,
            (_, 0) => Inner::Fill,
            (_, 1) => Inner::Map,
            (_, _) => layout.walk(axes),
        };
        if matches!(layout.inner, Inner::Row | Inner::Columns) {
            layout.cut();
        }
        layout
    }

    /// Merges adjacent axes of one kind, takes off the contiguous part and leaves the rest as walks.
    fn walk(&mut self, axes: &Axes) -> Inner {
        let mut groups: SmallVec<[(usize, bool); 6]> = SmallVec::new();
        for &(n, reduced) in axes.list.iter().filter(|a| a.0 != 1) {
            match groups.last_mut() {
                Some(last) if last.1 == reduced => last.0 *= n,
                _ => groups.push((n, reduced)),
            }
        }
        let (innermost, reduced) =
            groups.pop().expect("a result of several elements has an axis that is longer than 1");
        let mut stride = innermost;
        let inner = if reduced {
            self.segment = innermost;
            Inner::Row
        } else {
            let (rows, _) = groups.pop().expect("outside the kept axes there is one that is reduced");
            self.segment = rows;
            self.columns = innermost;
            stride *= rows;
            Inner::Columns
        };
        for (n, reduced) in groups.into_iter().rev() {
            let walk = if reduced { &mut self.reduced } else { &mut self.kept };
            walk.0.insert(0, (n, stride));
            stride *= n;
        }
        inner
    }

    /// Decides tiles: several units each, or several parts a unit.
    fn cut(&mut self) {
        self.piece = self.segment;
        self.pieces_of_part = self.reduced.len();
        let unit = self.count * self.strip();
        self.per_tile = (TILE / unit).max(1);
        let wanted = (unit / TILE).min(MOST_PARTS / self.units().min(MOST_PARTS));
        if wanted < 2 {
            return;
        }
        if self.reduced.len() < wanted {
            let block = if self.inner == Inner::Row { BLOCK } else { BLOCK_ROWS * self.folded_rows() };
            self.piece = self.count.div_ceil(wanted).next_multiple_of(block).min(self.segment);
        }
        let pieces = self.reduced.len() * self.segment.div_ceil(self.piece);
        self.pieces_of_part = pieces.div_ceil(wanted);
        self.parts = pieces.div_ceil(self.pieces_of_part);
    }

    /// Whether the operand is one matrix whose rows are reduced, each of which a single strip holds.
    pub(crate) fn is_matrix(&self) -> bool {
        self.inner == Inner::Columns && self.kept.0.is_empty() && self.reduced.0.is_empty() && self.columns <= STRIP
    }

    /// Results of a unit; the last strip of a matrix may have fewer.
    pub(crate) fn strip(&self) -> usize {
        self.columns.min(STRIP)
    }

    fn strips(&self) -> usize {
        self.columns.div_ceil(STRIP)
    }

    /// Rows of a narrow matrix that are taken as one row.
    pub(crate) fn folded_rows(&self) -> usize {
        if self.segment >= 2 * NARROW { (NARROW / self.columns).max(1) } else { 1 }
    }

    pub(crate) fn units(&self) -> usize {
        self.kept.len() * self.strips()
    }

    /// The results of a unit: first and how many.
    pub(crate) fn results_of(&self, unit: usize) -> (usize, usize) {
        let (group, column) = self.place(unit);
        (group * self.columns + column, self.strip().min(self.columns - column))
    }

    /// The pieces of the operand that `part` of `unit` combines, in order.
    pub(crate) fn pieces(&self, unit: usize, part: usize) -> impl Iterator<Item = Piece> + use<'_> {
        let (group, column) = self.place(unit);
        let start = self.kept.offset(group) + column;
        let of_segment = self.segment.div_ceil(self.piece);
        let first = part * self.pieces_of_part;
        let end = (first + self.pieces_of_part).min(self.reduced.len() * of_segment);
        (first..end).map(move |index| {
            let within = index % of_segment * self.piece;
            Piece {
                start: start + self.reduced.offset(index / of_segment) + within * self.columns,
                len: self.piece.min(self.segment - within),
            }
        })
    }

    fn place(&self, unit: usize) -> (usize, usize) {
        let strips = self.strips();
        (unit / strips, unit % strips * STRIP)
    }
}
