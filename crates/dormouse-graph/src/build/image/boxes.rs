//! Boxes in images: edges top, left, bottom and right, in parts of the image. Parts are cut out and resized, boxes drawn,
//! and of many that overlap the best kept.

use dormouse_value::{DType, Op, Real, Value};
use smallvec::smallvec;

use super::{extent, places};
use crate::build::array::Array;
use crate::build::dynamic::Dynamic;
use crate::build::elementwise::Elementwise;
use crate::build::indexing::Indexing;
use crate::build::reduction::Reduction;
use crate::build::slicing::Slicing;
use crate::tensor::{Operand, Symbol, Tensor};

/// How [`Boxes::crop_and_resize_with`] makes cells of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropAndResize {
    /// Whether a cell is the nearest one, and not made of four.
    pub nearest: bool,
    /// What lies outside of an image.
    pub outside: f64,
}

impl Default for CropAndResize {
    fn default() -> Self {
        CropAndResize { nearest: false, outside: 0.0 }
    }
}

/// How [`Boxes::non_max_suppression`] chooses boxes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonMaxSuppression {
    /// How many are chosen at most.
    pub most: u32,
    /// How much of two boxes together they may have in common.
    pub overlap: f64,
    /// The score that a box is to be above.
    pub score: f64,
}

impl Default for NonMaxSuppression {
    fn default() -> Self {
        NonMaxSuppression { most: 100, overlap: 0.5, score: f64::NEG_INFINITY }
    }
}

/// Methods of images with boxes, and of boxes.
pub trait Boxes: Symbol {
    /// Parts of images `[n, h, w, c]`, each `[height, width]` by bilinear interpolation: boxes `[m, 4]`, each of the image
    /// that `of [m]` says, i32 → `[m, height, width, c]`. Integers become f32. A box beyond an image is 0 there.
    #[track_caller]
    fn crop_and_resize(self, boxes: impl Operand, of: impl Operand, size: [usize; 2]) -> Tensor {
        self.crop_and_resize_with(boxes, of, size, CropAndResize::default())
    }

    /// As [`Boxes::crop_and_resize`], as the options say. Gradients go to images and, where cells are made of four, to
    /// boxes.
    #[track_caller]
    fn crop_and_resize_with(
        self,
        boxes: impl Operand,
        of: impl Operand,
        size: [usize; 2],
        options: CropAndResize,
    ) -> Tensor {
        let x = self.tensor();
        let (boxes, of) = (boxes.tensor_like(x), of.tensor_like(x.graph().constant(0)));
        let shapes = (x.shape(), boxes.shape(), of.shape());
        let fits = shapes.0.rank() == Some(4) && shapes.1.rank() == Some(2) && shapes.2.rank() == Some(1);
        if !fits || shapes.1.dim(-1).known().is_some_and(|n| n != 4) || x.dtype() == DType::Bool {
            let message = "takes images [n, h, w, c] of numbers, boxes [m, 4] and their images [m]";
            return x
                .poisoned_or(format!("crop_and_resize: {message}, not {}, {} and {}", shapes.0, shapes.1, shapes.2));
        }
        if size.contains(&0) || size.iter().any(|n| i32::try_from(*n).is_err()) {
            return x.poisoned_or(format!("crop_and_resize: {size:?} is no size"));
        }
        let graph = x.graph();
        graph.located(|| graph.name_scope("CropAndResize", || cropped(x, boxes, of, size, options)))
    }

    /// Images `[n, h, w, c]` of floats with the borders of boxes `[n, m, 4]` drawn, the later over the earlier, in ten
    /// colors in turn, of one, three or four channels between 0 and 1.
    #[track_caller]
    fn draw_bounding_boxes(self, boxes: impl Operand) -> Tensor {
        let x = self.tensor();
        let boxes = boxes.tensor_like(x);
        let channels = x.shape().dim(-1).known();
        let Some(channels) = channels.filter(|c| matches!(c, 1 | 3 | 4)) else {
            return x.poisoned_or(format!("draw_bounding_boxes: {} must have 1, 3 or 4 channels", x.shape()));
        };
        let [one, half] = [1.0_f32, 0.5];
        let mut table = [
            [one, one, 0.0],
            [0.0, 0.0, one],
            [one, 0.0, 0.0],
            [0.0, one, 0.0],
            [half, 0.0, half],
            [half, half, 0.0],
            [half, 0.0, 0.0],
            [0.0, 0.0, half],
            [0.0, one, one],
            [one, 0.0, one],
        ];
        if channels == 1 {
            table.iter_mut().for_each(|color| color[0] = one);
        }
        let row = |color: [f32; 3]| color.into_iter().chain([one]).take(channels).collect::<Vec<f32>>();
        let rows: Vec<f32> = table.into_iter().flat_map(row).collect();
        let colors = ndarray::Array2::from_shape_vec((table.len(), channels), rows);
        let colors = x.graph().constant(colors.map_or_else(|_| Value::from(0.0_f32), Value::from));
        self.draw_bounding_boxes_in(boxes, colors.cast(x.dtype()))
    }

    /// As [`Boxes::draw_bounding_boxes`], in these colors `[k, c]` in turn.
    #[track_caller]
    fn draw_bounding_boxes_in(self, boxes: impl Operand, colors: impl Operand) -> Tensor {
        let x = self.tensor();
        let (boxes, colors) = (boxes.tensor_like(x), colors.tensor_like(x));
        let ranks = [x, boxes, colors].map(|t| t.shape().rank());
        let dims = [x, colors].map(|t| t.shape().dim(-1));
        if !x.dtype().is_float() || ranks != [Some(4), Some(3), Some(2)] || dims[0].unify(dims[1]).is_none() {
            let shapes = [x, boxes, colors].map(Tensor::shape);
            return x.poisoned_or(format!(
                "draw_bounding_boxes: takes images [n, h, w, c] of floats, boxes [n, m, 4] and colors [k, c], not {}, {} and {}",
                shapes[0], shapes[1], shapes[2]
            ));
        }
        let graph = x.graph();
        graph.located(|| graph.name_scope("DrawBoundingBoxes", || drawn(x, boxes.cast(DType::F32), colors)))
    }

    /// Of boxes `[n, 4]` with scores `[n]`, the indices of those that overlap none of a better score too much, best first,
    /// i32. How many they are is known in the run.
    #[track_caller]
    fn non_max_suppression(self, scores: impl Operand, options: NonMaxSuppression) -> Tensor {
        let boxes = self.tensor();
        let graph = boxes.graph();
        let [indices, count] = self.non_max_suppression_padded(scores, options);
        graph.located(|| indices.slice_at(graph.constant([0]), count.expand_dims(0)))
    }

    /// As [`Boxes::non_max_suppression`], with as many indices as there may be at most, 0 beyond those chosen, and how many
    /// are chosen.
    #[track_caller]
    fn non_max_suppression_padded(self, scores: impl Operand, options: NonMaxSuppression) -> [Tensor; 2] {
        let boxes = self.tensor();
        let scores = scores.tensor_like(boxes);
        let NonMaxSuppression { most, overlap, score } = options;
        let op = Op::NonMaxSuppression { size: most, overlap: Real(overlap), score: Real(score) };
        let indices = boxes.graph().apply(op, &[boxes, scores]);
        [indices, indices.port(1)]
    }
}

impl<S: Symbol> Boxes for S {}

/// Cells of boxes along one axis: the one before, the one after, how far between, and whether inside.
struct Along {
    before: Tensor,
    after: Tensor,
    distance: Tensor,
    inside: Tensor,
}

/// An axis of a box, from `first` to `last [m, 1]` in parts of so many cells, cut into `count` places: each `[m, count]`.
#[track_caller]
fn along(first: Tensor, last: Tensor, cells: Tensor, count: usize, nearest: bool) -> Along {
    let graph = first.graph();
    let end = cells - 1;
    let far = end.cast(first.dtype());
    let source = if count > 1 {
        let step = (last - first) * far / (count - 1) as f64;
        first * far + graph.range(0, count as i32).cast(first.dtype()) * step
    } else {
        (first + last) * 0.5 * far
    };
    let inside = source.greater_equal(0.0) & source.less_equal(far);
    let floor = source.floor();
    let bounded = |cell: Tensor| cell.cast(DType::I32).maximum(0).minimum(end);
    if nearest {
        // Halves go up.
        let cell = (source - floor).greater_equal(0.5).select(floor + 1.0, floor);
        return Along { before: bounded(cell), after: bounded(cell), distance: source - floor, inside };
    }
    Along { before: bounded(floor), after: bounded(source.ceil()), distance: source - floor, inside }
}

#[track_caller]
fn cropped(x: Tensor, boxes: Tensor, of: Tensor, size: [usize; 2], options: CropAndResize) -> Tensor {
    let CropAndResize { nearest, outside } = options;
    let graph = x.graph();
    let x = if x.dtype().is_float() { x } else { x.cast(DType::F32) };
    let boxes = boxes.cast(x.dtype()).check_numerics("crop_and_resize: boxes");
    let edge = |i: i32| boxes.at((.., i..i + 1));
    let (height, width) = (extent(x, -3), extent(x, -2));
    let down = along(edge(0), edge(2), height, size[0], nearest);
    let across = along(edge(1), edge(3), width, size[1], nearest);
    // Rows of cells, one after the other; an image that there is not has none.
    let cells = graph.apply(Op::Regroup { axis: 0, count: 3, dims: smallvec![-1] }, &[x]);
    let first = of.expand_dims(-1) * height;
    let at = |row: Tensor, column: Tensor| {
        let rows = ((first + row) * width).expand_dims(2);
        cells.gather(rows + column.expand_dims(1))
    };
    let value = if nearest {
        at(down.before, across.before)
    } else {
        let [right, below] = [across.distance.expand_dims(1), down.distance.expand_dims(2)].map(|d| d.expand_dims(-1));
        let between = |a: Tensor, b: Tensor, part: Tensor| a + (b - a) * part;
        let row = |row: Tensor| between(at(row, across.before), at(row, across.after), right);
        between(row(down.before), row(down.after), below)
    };
    let inside = down.inside.expand_dims(2) & across.inside.expand_dims(1);
    inside.expand_dims(-1).select(value, outside)
}

#[track_caller]
fn drawn(x: Tensor, boxes: Tensor, colors: Tensor) -> Tensor {
    // Cells [n, 1, h, w] against edges [n, m, 1, 1].
    let cells = x.at((.., .., .., 0)).expand_dims(1);
    let (row, column) = (places(cells, 2), places(cells, 3));
    let edge = |i: i32, axis: i32| {
        let far = (extent(x, axis) - 1).cast(DType::F32);
        (boxes.at((.., .., i)) * far).cast(DType::I32).expand_dims(-1).expand_dims(-1)
    };
    let (top, left, bottom, right) = (edge(0, -3), edge(1, -2), edge(2, -3), edge(3, -2));
    let within = |x: Tensor, from: Tensor, to: Tensor| x.greater_equal(from) & x.less_equal(to);
    let border = (row.equal(top) | row.equal(bottom)) & within(column, left, right)
        | (column.equal(left) | column.equal(right)) & within(row, top, bottom);
    let border = border & top.less_equal(bottom) & left.less_equal(right);
    let number = boxes.at((.., .., 0)).index_along(1, DType::I32).expand_dims(-1).expand_dims(-1) + 1;
    let last = border.select(number, 0).max_over(1);
    let color = colors.gather((last - 1).maximum(0).floor_mod(extent(colors, -2)));
    last.greater(0).expand_dims(-1).select(color, x)
}
