//! The methods that `further` of `tests/oracle/probes.py` draws operands of: sequences, windows, places, parts.

use dormouse::graph::Windows;
use dormouse::prelude::*;

use crate::case::{Attributes, Case};
use crate::methods::axes;

/// Methods that need to know extents when they are called.
pub(crate) const EXTENTS_ASKED: &[&str] = &[
    "scatter_mul",
    "scatter_div",
    "scatter_max",
    "scatter_min",
    "broadcast_dynamic_shape",
    "extract_image_patches",
    "extract_volume_patches",
    "dilation2d",
    "erosion2d",
    "max_pool_with_argmax",
    "resize_with_pad",
];

/// Methods whose results' extents are known in runs only.
pub(crate) const MEASURED: &[&str] =
    &["boolean_mask", "difference", "dynamic_partition", "dynamic_stitch", "nonzero", "repeat_by", "unique"];

/// Methods that have to know how many axes there are.
pub(crate) const AXES_ASKED: &[&str] = &[
    "reverse_sequence",
    "repeat",
    "repeat_by",
    "batch_gather",
    "gather_batched",
    "boolean_mask",
    "difference",
    "dynamic_partition",
    "dynamic_stitch",
    "matrix_set_diag",
    "outer",
    "sparse_to_dense",
];

/// The results of a case's method; `None` where it is not one of these.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let (a, graph) = (&case.attributes, x[0].graph());
    let result = match case.method {
        "reverse_sequence" => x[0].reverse_sequence(x[1], a.number("axis"), a.number("batch")),
        "repeat" => x[0].repeat(&a.list::<usize>("times"), a.number("axis")),
        "repeat_by" => x[0].repeat_by(x[1], a.number("axis")),
        "gather_batched" => x[0].gather_batched(x[1], a.number("axis"), a.number("batch")),
        "invert_permutation" => x[0].invert_permutation(),
        "unravel_index" => x[0].unravel_index(&a.list::<usize>("dims")),
        "is_non_decreasing" => x[0].is_non_decreasing(),
        "is_strictly_increasing" => x[0].is_strictly_increasing(),
        "extract_image_patches" => x[0].extract_image_patches(windows(a, a.pair("size"))),
        "extract_volume_patches" => {
            let three = |key: &str| <[u32; 3]>::try_from(a.list::<u32>(key)).unwrap();
            x[0].extract_volume_patches(three("size"), three("strides"), padding(a))
        }
        "dilation2d" => x[0].dilation2d(x[1], windows(a, [1, 1])),
        "erosion2d" => x[0].erosion2d(x[1], windows(a, [1, 1])),
        "max_pool_with_argmax" => {
            let options = Pool { size: a.pair("size"), strides: a.pair("strides"), padding: padding(a) };
            let (largest, places) = x[0].max_pool_with_argmax(options, a.flag("batch"));
            return Some(vec![largest, places]);
        }
        "erfcinv" => x[0].erfcinv(),
        "next_after" => x[0].next_after(x[1]),
        "log_poisson_loss" => x[0].log_poisson_loss(x[1], a.flag("full")),
        "xw_plus_b" => x[0].xw_plus_b(x[1], x[2]),
        "relu_layer" => x[0].relu_layer(x[1], x[2]),
        "tensor_scatter_max" => x[0].tensor_scatter_max(x[1], x[2]),
        "tensor_scatter_min" => x[0].tensor_scatter_min(x[1], x[2]),
        "scatter_mul" | "scatter_div" | "scatter_max" | "scatter_min" => variable(case.method, x),
        "sparse_to_dense" => x[0].sparse_to_dense(x[1], &a.list::<usize>("dims"), a.number("default")),
        "sparse_segment_sum" => x[0].sparse_segment_sum(x[1], x[2], a.number("n")),
        "sparse_segment_mean" => x[0].sparse_segment_mean(x[1], x[2], a.number("n")),
        "sparse_segment_sqrt_n" => x[0].sparse_segment_sqrt_n(x[1], x[2], a.number("n")),
        "histogram_fixed_width_bins" => {
            x[0].histogram_fixed_width_bins(a.number("low"), a.number("high"), a.number("bins"))
        }
        "normalize" => {
            let (unit, norm) = x[0].normalize(Norm::Euclidean, axes(a)?);
            return Some(vec![unit, norm]);
        }
        "matvec" => x[0].matvec(x[1]),
        "outer" => x[0].outer(x[1]),
        "switch_case" => {
            let of = x[1];
            let sides: [Box<dyn FnOnce() -> Tensor>; 2] = [Box::new(move || of * 2.0), Box::new(move || of.sin())];
            graph.switch_case(x[0], sides, || -of)
        }
        "broadcast_dynamic_shape" => graph.broadcast_dynamic_shape(x[0], x[1]),
        "resize_with_pad" => x[0].resize_with_pad(a.pair("size")),
        "unique" => return Some(x[0].unique_with_counts().to_vec()),
        "dynamic_partition" => return Some(x[0].dynamic_partition(x[1], a.number("parts"))),
        "dynamic_stitch" => graph.dynamic_stitch(&x[2..], &x[..2]),
        "difference" => return Some(x[0].difference(x[1]).to_vec()),
        "euclidean_norm" => x[0].norm_over(Norm::Euclidean, axes(a)?),
        _ => return None,
    };
    Some(vec![result])
}

fn padding(a: &Attributes) -> Padding {
    if a.text("padding") == Some("SAME") { Padding::Same } else { Padding::Valid }
}

fn windows(a: &Attributes, size: [u32; 2]) -> Windows {
    Windows { size, strides: a.pair("strides"), rates: a.pair("rates"), padding: padding(a) }
}

/// A variable set to the first operand, then changed.
fn variable(method: &str, x: &[Tensor]) -> Tensor {
    let graph = x[0].graph();
    let dims = x[0].shape().to_dims().unwrap();
    let w = graph.variable(graph.fill(&dims, 0.0, x[0].dtype()));
    graph.control_dependencies(w.assign(x[0]), || match method {
        "scatter_mul" => w.scatter_mul(x[1], x[2]),
        "scatter_div" => w.scatter_div(x[1], x[2]),
        "scatter_max" => w.scatter_max(x[1], x[2]),
        _ => w.scatter_min(x[1], x[2]),
    })
}
