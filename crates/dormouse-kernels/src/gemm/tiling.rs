//! How a product is cut: into tiles for the workers and, within a tile, into blocks of the depth. It is a file of its
//! own because everything here follows from the shape alone, which is what keeps the bits the same on every machine.

use super::micro::{MOST_PANELS, MOST_STRIPS, ROWS};

/// Multiply-adds of a tile at least, about 5 µs: below, it is not worth handing to another worker.
const SMALLEST: usize = 1 << 19;
/// Tiles of that size at most; a product that is bigger has bigger tiles.
const ENOUGH: usize = 16;
/// Multiply-adds of a tile where a product has more than [`ENOUGH`] of them, about 150 µs.
const USUAL: usize = 1 << 24;
/// Tiles of that size at most. The bigger a tile, the fewer times an operand is read from a far cache.
const MANY: usize = 64;
/// Multiply-adds of a tile where a product has more than [`MANY`] of the usual ones, about 700 µs.
const BIGGEST: usize = 1 << 26;
/// Tiles at most: enough for any machine, and few enough to hand out one by one.
const MOST: usize = 512;
/// Steps of the depth at most that are summed in registers before they are added to the result: a strip of them is
/// 22 KiB, which leaves room for a panel of A in a first-level cache of 32 KiB.
pub(crate) const DEEPEST: usize = 352;
/// Panels that are multiplied with all strips at hand before the next ones: their rows of A and of the result lie in fewer
/// pages than the machine has at hand, and A in the second-level cache.
pub(crate) const PANELS_TOGETHER: usize = 12;
/// Strips of B that are packed together where the tile packs them.
pub(crate) const STRIPS_TOGETHER: usize = 32;
/// Rows up to which only columns are cut, unless there are too few of them.
pub(crate) const FEW_ROWS: usize = 192;
/// The same where there are so many columns that B lies in no cache, and is better read once: A then lies in the second-level
/// cache.
const SOME_ROWS: usize = 768;
/// Columns from which on this holds.
const MANY_COLUMNS: usize = 4096;
/// How many columns a tile has for each row, about.
const WIDE: usize = 4;
/// How much longer a tile's depth may be than its sides. Cutting the depth costs a pass over the result for each part.
const DEPTH_WEIGHT: usize = 16;

/// Items laid out in parts of whole units that differ by one unit at most, the longer ones first; the last unit may be short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parts {
    /// The number of parts.
    pub count: usize,
    items: usize,
    unit: usize,
    shortest: usize,
    longer: usize,
}

impl Parts {
    /// `items` in units of `unit`, these in `count` parts, in at least one.
    pub(crate) fn new(items: usize, unit: usize, count: usize) -> Self {
        let (units, count) = (items.div_ceil(unit), count.max(1));
        Parts { count, items, unit, shortest: units / count, longer: units % count }
    }

    /// `items` in parts of `most` at most.
    pub(crate) fn of_at_most(items: usize, most: usize) -> Self {
        Parts::new(items, 1, items.div_ceil(most))
    }

    /// The first item of a part; the number of items for the part after the last.
    #[inline(always)]
    pub(crate) fn start(self, part: usize) -> usize {
        ((part * self.shortest + part.min(self.longer)) * self.unit).min(self.items)
    }

    /// The items of a part.
    pub(crate) fn range(self, part: usize) -> std::ops::Range<usize> {
        self.start(part)..self.start(part + 1)
    }

    /// The items of the longest part.
    pub(crate) fn longest(self) -> usize {
        ((self.shortest + usize::from(self.longer > 0)) * self.unit).min(self.items)
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
    /// The tiling of `[rows, depth] × [depth, columns]` in strips of `strip` columns, one of `batches` products; whether B is
    /// packed by somebody.
    pub(crate) fn new([rows, columns, depth]: [usize; 3], strip: usize, batches: usize, packs: bool) -> Self {
        let panels = Parts::of_at_most(rows, ROWS);
        let strips = columns.div_ceil(strip);
        let blocks = Parts::of_at_most(depth, DEEPEST);
        let work = rows.saturating_mul(columns).saturating_mul(depth);
        let all = work.saturating_mul(batches);
        let wanted = tiles_of(all).min(MOST).div_ceil(batches.max(1));
        let (mut row_tiles, mut column_tiles, mut depth_tiles) = (1, 1, 1);
        let (pairs, strip_pairs) = (panels.count.div_ceil(MOST_PANELS), strips.div_ceil(MOST_STRIPS));
        // Few rows stay together as long as columns can be cut: all of them use a strip that is packed.
        let few = packs && (rows <= FEW_ROWS || rows <= SOME_ROWS && columns >= MANY_COLUMNS);
        let row_weight = if few { rows.max(1) } else { 1 };
        // Always the longest side is cut once more, so that tiles come out alike; they are wider than high, for a strip is read
        // once for each group of panels, and pages of A and of the result are fewer.
        while row_tiles * column_tiles * depth_tiles < wanted {
            let side = |length: usize, parts: usize, most: usize| if parts < most { length.div_ceil(parts) } else { 0 };
            let row = side(WIDE * rows.div_ceil(row_weight), row_tiles, pairs);
            let column = side(columns, column_tiles, strip_pairs);
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
            row_tiles: Parts::new(panels.count, MOST_PANELS, row_tiles),
            column_tiles: Parts::new(strips, MOST_STRIPS, column_tiles),
            depth_tiles: Parts::new(blocks.count, 1, depth_tiles),
        }
    }

    /// Tiles of one product.
    pub(crate) fn tiles(&self) -> usize {
        self.row_tiles.count * self.column_tiles.count * self.depth_tiles.count
    }
}

/// Tiles that so many multiply-adds are cut into.
fn tiles_of(work: usize) -> usize {
    (work / SMALLEST).min(ENOUGH).max((work / USUAL).min(MANY)).max(work / BIGGEST)
}

/// How many small products of a batch one tile takes; 1 of an empty batch.
pub(crate) fn products_a_tile(work: usize, batches: usize) -> usize {
    let all = work.saturating_mul(batches);
    let wanted = tiles_of(all).clamp(1, batches.max(1));
    batches.div_ceil(wanted).max(1)
}
