//! From a case's name and attributes to a call, as users write it.

use dormouse::prelude::*;

use crate::case::{Attributes, Case};

/// The tensor that a case is about.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Tensor {
    let a = &case.attributes;
    let graph = x[0].graph();
    let running = || Running { exclusive: a.flag("exclusive"), reverse: a.flag("reverse") };
    match case.method {
        "neg" => -x[0],
        "abs" => x[0].abs(),
        "sign" => x[0].sign(),
        "square" => x[0].square(),
        "sqrt" => x[0].sqrt(),
        "rsqrt" => x[0].rsqrt(),
        "reciprocal" => x[0].reciprocal(),
        "exp" => x[0].exp(),
        "expm1" => x[0].expm1(),
        "log" => x[0].log(),
        "log1p" => x[0].log1p(),
        "sin" => x[0].sin(),
        "cos" => x[0].cos(),
        "tan" => x[0].tan(),
        "tanh" => x[0].tanh(),
        "sigmoid" => x[0].sigmoid(),
        "softplus" => x[0].softplus(),
        "relu" => x[0].relu(),
        "elu" => x[0].elu(),
        "floor" => x[0].floor(),
        "ceil" => x[0].ceil(),
        "round" => x[0].round(),
        "logical_not" => x[0].logical_not(),
        "cast" => x[0].cast(a.dtype("to")),
        "clip_by_value" => x[0].clip_by_value(a.number::<f64>("low"), a.number::<f64>("high")),

        "add" => x[0] + x[1],
        "sub" => x[0] - x[1],
        "mul" => x[0] * x[1],
        "div" => x[0] / x[1],
        "true_div" => x[0].true_div(x[1]),
        "floor_div" => x[0].floor_div(x[1]),
        "floor_mod" => x[0].floor_mod(x[1]),
        "pow" => x[0].pow(x[1]),
        "maximum" => x[0].maximum(x[1]),
        "minimum" => x[0].minimum(x[1]),
        "squared_difference" => x[0].squared_difference(x[1]),
        "equal" => x[0].equal(x[1]),
        "not_equal" => x[0].not_equal(x[1]),
        "less" => x[0].less(x[1]),
        "less_equal" => x[0].less_equal(x[1]),
        "greater" => x[0].greater(x[1]),
        "greater_equal" => x[0].greater_equal(x[1]),
        "logical_and" => x[0].logical_and(x[1]),
        "logical_or" => x[0].logical_or(x[1]),
        "logical_xor" => x[0].logical_xor(x[1]),
        "select" => x[0].select(x[1], x[2]),
        "add_n" => graph.add_n(x),

        "sum" => axes(a).map_or_else(|| x[0].sum(), |axes| x[0].sum_over(axes)),
        "mean" => axes(a).map_or_else(|| x[0].mean(), |axes| x[0].mean_over(axes)),
        "prod" => axes(a).map_or_else(|| x[0].prod(), |axes| x[0].prod_over(axes)),
        "max" => axes(a).map_or_else(|| x[0].max(), |axes| x[0].max_over(axes)),
        "min" => axes(a).map_or_else(|| x[0].min(), |axes| x[0].min_over(axes)),
        "any" => axes(a).map_or_else(|| x[0].any(), |axes| x[0].any_over(axes)),
        "all" => axes(a).map_or_else(|| x[0].all(), |axes| x[0].all_over(axes)),
        "argmax" => x[0].argmax(a.number("axis")),
        "argmin" => x[0].argmin(a.number("axis")),
        "cumsum" => x[0].cumsum(a.number("axis"), running()),
        "cumprod" => x[0].cumprod(a.number("axis"), running()),
        "l2_loss" => x[0].l2_loss(),

        "matmul" => {
            let options = MatMul { transpose_a: a.flag("transpose_a"), transpose_b: a.flag("transpose_b") };
            x[0].matmul_with(x[1], options)
        }
        "transpose" => x[0].transpose_axes(&a.list("perm")),
        "reshape" => x[0].reshape(a.list::<i64>("dims")),
        "expand_dims" => x[0].expand_dims(a.number("axis")),
        "squeeze" => x[0].squeeze_axes(&a.list("axes")),
        "concat" => graph.concat(x, a.number("axis")),
        "slice" => x[0].slice(a.list::<i64>("begin"), a.list::<i64>("size")),
        "pad" => {
            let flat: Vec<u32> = a.list("paddings");
            let pairs: Vec<[u32; 2]> = flat.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
            x[0].pad_with(&pairs, a.number("value"))
        }
        "tile" => x[0].tile(&a.list("multiples")),
        "gather" => x[0].gather_axis(x[1], a.number("axis")),
        "one_hot" => x[0].one_hot_with(OneHot {
            depth: a.number("depth"),
            axis: a.number("axis"),
            on: a.number("on"),
            off: a.number("off"),
            dtype: a.dtype("dtype"),
        }),
        "broadcast_to" => x[0].broadcast_to(&a.list("dims")),
        "shape_of" => x[0].shape_of(),
        "size_of" => x[0].size_of(),

        "softmax" => x[0].softmax_axis(a.number("axis")),
        "log_softmax" => x[0].log_softmax_axis(a.number("axis")),
        "sparse_softmax_cross_entropy" => x[0].sparse_softmax_cross_entropy(x[1]),
        "softmax_cross_entropy" => x[0].softmax_cross_entropy(x[1]),
        "bias_add" => x[0].bias_add(x[1]),
        "conv2d" => {
            let options = Conv2d { strides: a.pair("strides"), padding: padding(a), dilations: a.pair("dilations") };
            x[0].conv2d(x[1], options)
        }
        "max_pool" => x[0].max_pool(pool(a)),
        "avg_pool" => x[0].avg_pool(pool(a)),
        other => panic!("no method {other}"),
    }
}

/// The axes of a reduction; `None` is all.
pub(crate) fn axes(a: &Attributes) -> Option<dormouse::graph::Axes> {
    a.text("axes")?;
    let axes: Vec<i32> = a.list("axes");
    Some(if a.flag("keep") { keep_dims(axes) } else { axes.into() })
}

fn padding(a: &Attributes) -> Padding {
    if a.text("padding") == Some("SAME") { Padding::Same } else { Padding::Valid }
}

fn pool(a: &Attributes) -> Pool {
    Pool { size: a.pair("size"), strides: a.pair("strides"), padding: padding(a) }
}
