//! Inference of neural networks' operations.

use dormouse_value::{DType, Dim, Padding, PoolOp, Shape, Window2d, Window3d};
use smallvec::{SmallVec, smallvec};

use super::elementwise::floats;
use super::reduction::index_dtype;
use super::{Facts, axis_of, of_rank, one, same_dtype, unified};
use crate::node::Fact;

pub(super) fn softmax(axis: i32, x: &Fact) -> Facts {
    if let Some(rank) = x.shape.rank() {
        axis_of(axis, rank)?;
    }
    floats(x)
}

pub(super) fn cross_entropy(logits: &Fact, labels: &Fact) -> Facts {
    floats(logits)?;
    same_dtype(logits, labels)?;
    let shape = unified("logits and labels differ in shape", &logits.shape, &labels.shape)?;
    let rows = match shape.dims() {
        None => Shape::unknown(),
        Some(dims) => rows_and_classes(dims)?.0,
    };
    Ok(losses(logits.dtype, rows, shape))
}

pub(super) fn sparse_cross_entropy(logits: &Fact, labels: &Fact) -> Facts {
    floats(logits)?;
    index_dtype(labels.dtype).map_err(|_| format!("labels are i32 or i64, not {}; cast them", labels.dtype))?;
    let (rows, classes) = match logits.shape.dims() {
        None => (Shape::unknown(), Dim::Unknown),
        Some(dims) => rows_and_classes(dims)?,
    };
    if classes == Dim::Known(0) {
        return Err(format!("logits {} have no classes", logits.shape));
    }
    let rows = rows
        .unify(&labels.shape)
        .ok_or_else(|| format!("logits {} and labels {} differ in rows", logits.shape, labels.shape))?;
    let whole = rows.dims().map(|rows| rows.iter().copied().chain([classes]).collect());
    Ok(losses(logits.dtype, rows, whole.unwrap_or_else(Shape::unknown)))
}

/// All axes but the last, and that.
fn rows_and_classes(dims: &[Dim]) -> Result<(Shape, Dim), String> {
    let (classes, rows) = dims.split_last().ok_or("logits need an axis of classes")?;
    Ok((rows.iter().copied().collect(), *classes))
}

/// A loss a row, and the gradient.
fn losses(dtype: DType, rows: Shape, whole: Shape) -> SmallVec<[Fact; 1]> {
    smallvec![Fact { dtype, shape: rows }, Fact { dtype, shape: whole }]
}

/// What a convolution's windows are, over two axes or three.
pub(super) struct Windows {
    strides: SmallVec<[u32; 3]>,
    dilations: SmallVec<[u32; 3]>,
    padding: Padding,
    /// Whether each channel has filters of its own.
    depthwise: bool,
}

pub(super) fn conv2d(window: &Window2d) -> Windows {
    let Window2d { strides, dilations, padding } = *window;
    Windows {
        strides: strides.into_iter().collect(),
        dilations: dilations.into_iter().collect(),
        padding,
        depthwise: false,
    }
}

pub(super) fn depthwise(window: &Window2d) -> Windows {
    Windows { depthwise: true, ..conv2d(window) }
}

pub(super) fn conv3d(window: &Window3d) -> Windows {
    let Window3d { strides, dilations, padding } = *window;
    Windows {
        strides: strides.into_iter().collect(),
        dilations: dilations.into_iter().collect(),
        padding,
        depthwise: false,
    }
}

fn check_window(strides: &[u32], dilations: &[u32], padding: Padding) -> Result<(), String> {
    const MOST: u32 = 1 << 20;
    if strides.iter().chain(dilations).any(|n| *n == 0 || *n > MOST) {
        return Err(format!("strides {strides:?} and dilations {dilations:?} are at least 1"));
    }
    match padding {
        Padding::Explicit(_) if strides.len() != 2 => Err("explicit padding is of height and width only".to_owned()),
        Padding::Explicit(cells) if cells.as_flattened().iter().any(|n| *n > MOST) => {
            Err(format!("a padding of {cells:?} is too large"))
        }
        Padding::Same | Padding::Valid | Padding::Explicit(_) => Ok(()),
    }
}

/// Windows along axis `place` of those they lie over.
fn windows(
    what: &str,
    n: Dim,
    taps: Dim,
    [stride, dilation]: [u32; 2],
    padding: Padding,
    place: usize,
) -> Result<Dim, String> {
    let (Some(n), Some(taps)) = (n.known(), taps.known()) else { return Ok(Dim::Unknown) };
    if taps == 0 {
        return Err(format!("the {what} has no cells"));
    }
    let stride = stride as usize;
    let around = match padding {
        Padding::Same => return Ok(Dim::from(n.div_ceil(stride))),
        Padding::Valid => 0,
        Padding::Explicit(cells) => cells[place].iter().map(|cells| *cells as usize).sum(),
    };
    let span = (taps - 1)
        .checked_mul(dilation as usize)
        .and_then(|s| s.checked_add(1))
        .ok_or_else(|| format!("the {what} is too large"))?;
    let rest = n.saturating_add(around).checked_sub(span).ok_or_else(|| {
        format!("the {what} spans {span} cells, the input has {n}; use Padding::Same or a smaller {what}")
    })?;
    Ok(Dim::from(rest / stride + 1))
}

fn output_of(window: &Windows, x: &Fact, filter: &Fact) -> Result<Shape, String> {
    check_window(&window.strides, &window.dilations, window.padding)?;
    let axes = window.strides.len();
    let x_dims = of_rank("the input", &x.shape, axes + 2)?;
    let f = of_rank("the filter", &filter.shape, axes + 2)?;
    let channels = if window.depthwise {
        if x_dims[axes + 1].unify(f[axes]).is_none() {
            return Err(format!("channels differ: input {}, filter {}", x.shape, filter.shape));
        }
        match (f[axes].unify(x_dims[axes + 1]).and_then(Dim::known), f[axes + 1].known()) {
            (Some(channels), Some(times)) => {
                Dim::from(channels.checked_mul(times).ok_or("there are too many channels")?)
            }
            (_, _) => Dim::Unknown,
        }
    } else {
        if let (Some(inputs), Some(own)) = (x_dims[axes + 1].known(), f[axes].known())
            && inputs != own
        {
            let groups = inputs.checked_div(own).filter(|n| *n > 0 && n * own == inputs);
            let outputs = f[axes + 1].known();
            if groups.is_none_or(|n| outputs.is_some_and(|outputs| !outputs.is_multiple_of(n))) {
                return Err(format!("channels are no groups: input {}, filter {}", x.shape, filter.shape));
            }
        }
        f[axes + 1]
    };
    let mut dims: SmallVec<[Dim; 5]> = SmallVec::from_slice(&[x_dims[0]]);
    for (i, (stride, dilation)) in window.strides.iter().zip(&window.dilations).enumerate() {
        dims.push(windows("filter", x_dims[i + 1], f[i], [*stride, *dilation], window.padding, i)?);
    }
    dims.push(channels);
    Ok(dims.into_iter().collect())
}

pub(super) fn convolution(window: &Windows, x: &Fact, filter: &Fact) -> Facts {
    floats(x)?;
    same_dtype(x, filter)?;
    one(Fact { dtype: x.dtype, shape: output_of(window, x, filter)? })
}

/// A gradient of a convolution: `dy` must be shaped as its output, the result is shaped as `like`.
pub(super) fn convolution_grad(window: &Windows, x: &Fact, filter: &Fact, dy: &Fact, like: &Fact) -> Facts {
    floats(dy)?;
    same_dtype(x, filter)?;
    same_dtype(dy, filter)?;
    let output = output_of(window, x, filter)?;
    unified("the gradient is not shaped as the convolution", &dy.shape, &output)?;
    let like_dims = of_rank("the operand", &like.shape, window.strides.len() + 2)?;
    one(Fact { dtype: dy.dtype, shape: like_dims.into_iter().collect() })
}

fn pooled(size: [u32; 2], window: &Window2d, x: &Fact) -> Result<Shape, String> {
    check_window(&window.strides, &window.dilations, window.padding)?;
    let dims = of_rank("the input", &x.shape, 4)?;
    if size.contains(&0) {
        return Err(format!("a window of {size:?} has no cells"));
    }
    if window.dilations != [1, 1] {
        return Err("windows of pooling are not dilated".to_owned());
    }
    let extent = |i: usize| {
        windows("window", dims[i + 1], Dim::from(size[i] as usize), [window.strides[i], 1], window.padding, i)
    };
    Ok([dims[0], extent(0)?, extent(1)?, dims[3]].into_iter().collect())
}

pub(super) fn pool(op: PoolOp, size: [u32; 2], window: &Window2d, x: &Fact) -> Facts {
    match op {
        PoolOp::Average if matches!(window.padding, Padding::Explicit(_)) => {
            return Err("explicit padding is for the largest; pad the input, or use Padding::Same".to_owned());
        }
        PoolOp::Average => drop(floats(x)?),
        PoolOp::Max if x.dtype == DType::Bool => return Err("takes numbers, not bool".to_owned()),
        PoolOp::Max => {}
    }
    one(Fact { dtype: x.dtype, shape: pooled(size, window, x)? })
}

/// (x, y, d): d is shaped as y and the result as x when `to_input`, else the other way round.
pub(super) fn max_pool_grad(size: [u32; 2], window: &Window2d, operands: &[Fact], to_input: bool) -> Facts {
    let [x, y, d] = operands else { return Err("takes three operands".to_owned()) };
    floats(x)?;
    same_dtype(x, y)?;
    same_dtype(x, d)?;
    let output = unified("y is not shaped as the pooled x", &y.shape, &pooled(size, window, x)?)?;
    let (given, result) = if to_input { (&output, &x.shape) } else { (&x.shape, &output) };
    unified("the gradient has another shape", &d.shape, given)?;
    one(Fact { dtype: x.dtype, shape: result.clone() })
}

pub(super) fn average_pool_grad(size: [u32; 2], window: &Window2d, dy: &Fact, like: &Fact) -> Facts {
    floats(dy)?;
    unified("the gradient is not shaped as the pooled input", &dy.shape, &pooled(size, window, like)?)?;
    one(Fact { dtype: dy.dtype, shape: of_rank("the input", &like.shape, 4)?.into_iter().collect() })
}
