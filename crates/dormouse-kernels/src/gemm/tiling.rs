//! How a product is cut: into tiles for the workers and, within a tile, into blocks of the depth. It is a file of its
//! own because everything here follows from the shape alone, which is what keeps the bits the same on every machine.

use super::micro::ROWS;

/// Multiply-adds below which a tile is not worth handing to another worker, about 10 µs.
const SMALLEST: usize = 1 << 19;
/// Multiply-adds of a tile where the product is big, about 100 µs.
const USUAL: usize = 1 << 22;
/// Tiles that a product should have before they grow beyond [`SMALLEST`].
const ENOUGH: usize = 16;
/// Tiles at most: enough for any machine, and few enough to hand out one by one.
const MOST: usize = 512;
/// Steps of the depth at most that are summed in registers before they are added to the result: a strip of them is
/// 20 KiB, which leaves room for a panel of A in a first-level cache of 32 KiB.
const DEEPEST: usize = 320;
/// How much longer a tile's depth may be than its sides. Cutting the depth costs a pass over the result for each part.
const DEPTH_WEIGHT: usize = 16;

/// Items laid out in parts that differ by one item at most, the longer ones first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parts {
    /// The number of parts.
    pub count: usize,
    shortest: usize,
    longer: usize,
}

impl Parts {
    /// `items` in `count` parts, in at least one.
    pub(crate) fn new(items: usize, count: usize) -> Self {
        let count = count.max(1);
        Parts { count, shortest: items / count, longer: items % count }
    }

    /// `items` in parts of `most` at most.
    pub(crate) fn of_at_most(items: usize, most: usize) -> Self {
        Parts::new(items, items.div_ceil(most))
    }

    /// The first item of a part; the number of items for the part after the last.
    #[inline(always)]
    pub(crate) fn start(self, part: usize) -> usize {
        part * self.shortest + part.min(self.longer)
    }

    /// The items of a part.
    pub(crate) fn range(self, part: usize) -> std::ops::Range<usize> {
        self.start(part)..self.start(part + 1)
    }

    /// The items of the longest part.
    pub(crate) fn longest(self) -> usize {
        self.shortest + usize::from(self.longer > 0)
    }
}

/// How one product of a batch is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tiling {
    /// Rows in panels for the micro-kernel.
    pub panels: Parts,
    /// Strips of columns; the last may be cut short.
    pub strips: usize,
    /// Steps of the depth in blocks that are summed in registers.
    pub blocks: Parts,
    /// Panels in tiles.
    pub row_tiles: Parts,
    /// Strips in tiles.
    pub column_tiles: Parts,
    /// Blocks in tiles: partial results that are summed in their order.
    pub depth_tiles: Parts,
}

impl Tiling {
    /// The tiling of `[rows, depth] × [depth, columns]` in strips of `strip` columns, one of `batches` products.
    pub(crate) fn new(rows: usize, columns: usize, depth: usize, strip: usize, batches: usize) -> Self {
        let panels = Parts::of_at_most(rows, ROWS);
        let strips = columns.div_ceil(strip);
        let blocks = Parts::of_at_most(depth, DEEPEST);
        let work = rows.saturating_mul(columns).saturating_mul(depth);
        let all = work.saturating_mul(batches);
        let wanted = (all / USUAL).max(ENOUGH).min(all / SMALLEST).min(MOST).div_ceil(batches.max(1));
        let (mut row_tiles, mut column_tiles, mut depth_tiles) = (1, 1, 1);
        // Always the longest side is cut once more, so that tiles come out near to square: that reads least.
        while row_tiles * column_tiles * depth_tiles < wanted {
            let side = |length: usize, parts: usize, most: usize| if parts < most { length / parts } else { 0 };
            let row = side(rows, row_tiles, panels.count);
            let column = side(columns, column_tiles, strips);
            let along = side(depth / DEPTH_WEIGHT, depth_tiles, blocks.count);
            if row.max(column).max(along) == 0 {
                break;
            } else if column >= row.max(along) {
                column_tiles += 1;
            } else if row >= along {
                row_tiles += 1;
            } else {
                depth_tiles += 1;
            }
        }
        Tiling {
            panels,
            strips,
            blocks,
            row_tiles: Parts::new(panels.count, row_tiles),
            column_tiles: Parts::new(strips, column_tiles),
            depth_tiles: Parts::new(blocks.count, depth_tiles),
        }
    }

    /// Tiles of one product.
    pub(crate) fn tiles(&self) -> usize {
        self.row_tiles.count * self.column_tiles.count * self.depth_tiles.count
    }
}

/// How many small products of a batch one tile takes; 1 of an empty batch.
pub(crate) fn products_a_tile(work: usize, batches: usize) -> usize {
    let all = work.saturating_mul(batches);
    let wanted = (all / USUAL).max(ENOUGH).min(all / SMALLEST).clamp(1, batches.max(1));
    batches.div_ceil(wanted).max(1)
}
