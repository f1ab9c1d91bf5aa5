//! The methods of `tests/fixtures/arrays.txt`, which `tests/oracle/arrays.py` writes.

use dormouse::prelude::*;

use crate::case::{Attributes, Case};

/// Methods that need to know extents when they are called.
pub(crate) const EXTENTS_ASKED: &[&str] = &[
    "unstack",
    "diag",
    "diag_part",
    "scatter_update",
    "scatter_add",
    "scatter_sub",
    "scatter_nd_update",
    "scatter_nd_add",
    "scatter_nd_sub",
];

/// The results of a case's method; `None` where it is not one of arrays.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let (a, graph) = (&case.attributes, x[0].graph());
    let pairs = |key: &str| -> Vec<[u32; 2]> {
        let flat: Vec<u32> = a.list(key);
        flat.chunks(2).map(|pair| [pair[0], pair[1]]).collect()
    };
    let result = match case.method {
        "unstack" => return Some(x[0].unstack_all(a.number("axis"))),
        "split_many" => return Some(x[0].split_many(a.number("parts"), a.number("axis"))),
        "split_sizes" => return Some(x[0].split_sizes(a.list::<i64>("sizes"), a.number("axis"))),
        "meshgrid" => {
            let mesh = if a.text("mesh") == Some("ij") { Mesh::Ij } else { Mesh::Xy };
            return Some(graph.meshgrid(x, mesh));
        }

        "strided_slice" => {
            let masks = StridedSlice {
                begin_mask: a.number("begin_mask"),
                end_mask: a.number("end_mask"),
                ellipsis_mask: a.number("ellipsis_mask"),
                new_axis_mask: a.number("new_axis_mask"),
                shrink_axis_mask: a.number("shrink_axis_mask"),
            };
            x[0].strided_slice_with(a.list::<i64>("begin"), a.list::<i64>("end"), a.list::<i64>("strides"), masks)
        }
        "reverse" => x[0].reverse(&a.list::<i32>("axes")),
        "roll" => x[0].roll(&a.list::<i64>("shifts"), &a.list::<i32>("axes")),
        "stack" => graph.stack(x, a.number("axis")),
        "pad_reflect" => x[0].pad_reflect(&pairs("paddings")),
        "pad_symmetric" => x[0].pad_symmetric(&pairs("paddings")),

        "gather_nd" => x[0].gather_nd(x[1]),
        "gather_nd_batched" => x[0].gather_nd_batched(x[1], a.number("batch")),
        "batch_gather" => x[0].batch_gather(x[1]),
        "tensor_scatter_update" => x[0].tensor_scatter_update(x[1], x[2]),
        "tensor_scatter_add" => x[0].tensor_scatter_add(x[1], x[2]),
        "tensor_scatter_sub" => x[0].tensor_scatter_sub(x[1], x[2]),
        "scatter_nd" => x[0].scatter_nd(x[1], &a.list::<usize>("shape")),
        "scatter_update" | "scatter_add" | "scatter_sub" | "scatter_nd_update" | "scatter_nd_add"
        | "scatter_nd_sub" => {
            return Some(vec![variable(case.method, x)]);
        }
        "sequence_mask" => x[0].sequence_mask(a.number("maxlen")),

        "range" => graph.range_with(a.number("start"), a.number("end"), a.number("step"), a.dtype("dtype")),
        "linspace" => graph.linspace(a.number("start"), a.number("stop"), a.number("count"), a.dtype("dtype")),
        "eye" => {
            let batch: Vec<usize> = a.list("batch");
            graph.eye_with(&batch, a.number("rows"), a.number("columns"), a.dtype("dtype"))
        }
        "rank_of" => x[0].rank_of(),

        "diag" => x[0].diag(),
        "diag_part" => x[0].diag_part(),
        "matrix_diag" => x[0].matrix_diag(),
        "matrix_diag_part" => x[0].matrix_diag_part(),
        "matrix_set_diag" => x[0].matrix_set_diag(x[1]),
        "matrix_transpose" => x[0].matrix_transpose(),
        "matrix_band_part" => x[0].matrix_band_part(a.number("lower"), a.number("upper")),
        "trace" => x[0].trace(),

        "space_to_depth" => x[0].space_to_depth(a.number("block")),
        "depth_to_space" => x[0].depth_to_space(a.number("block")),
        "space_to_batch_nd" => x[0].space_to_batch_nd(&a.list::<u32>("block"), &pairs("pairs")),
        "batch_to_space_nd" => x[0].batch_to_space_nd(&a.list::<u32>("block"), &pairs("pairs")),

        "tensordot" => tensordot(a, x),
        "einsum" => graph.einsum(a.text("equation").unwrap(), x),
        _ => return None,
    };
    Some(vec![result])
}

fn tensordot(a: &Attributes, x: &[Tensor]) -> Tensor {
    match a.text("inner") {
        Some(_) => x[0].tensordot(x[1], a.number::<usize>("inner")),
        None => x[0].tensordot(x[1], (a.list::<i32>("left"), a.list::<i32>("right"))),
    }
}

/// A variable set to the first operand, then changed.
fn variable(method: &str, x: &[Tensor]) -> Tensor {
    let graph = x[0].graph();
    let dims = x[0].shape().to_dims().unwrap();
    let w = graph.variable(graph.fill(&dims, 0.0, x[0].dtype()));
    graph.control_dependencies(w.assign(x[0]), || match method {
        "scatter_update" => w.scatter_update(x[1], x[2]),
        "scatter_add" => w.scatter_add(x[1], x[2]),
        "scatter_sub" => w.scatter_sub(x[1], x[2]),
        "scatter_nd_update" => w.scatter_nd_update(x[1], x[2]),
        "scatter_nd_add" => w.scatter_nd_add(x[1], x[2]),
        _ => w.scatter_nd_sub(x[1], x[2]),
    })
}
