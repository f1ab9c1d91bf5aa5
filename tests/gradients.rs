//! Gradients as numbers: what the symbolic pass builds, run by a session, against central differences in f64.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::graph::{BatchStatistics, Combined, Conv1d, Conv3d, LocalResponse, Partition, Pool1d, Pool3d};
use dormouse::prelude::*;
use ndarray::{ArrayD, IxDyn};

/// A function by name.
type Named = (&'static str, fn(Tensor) -> Tensor);

/// Checks the gradient of the sum of `f(x)` with respect to x, and that of the gradient's own squared sum.
fn check(name: &str, dims: &[usize], f: impl Fn(Tensor) -> Tensor) {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F64, dims.to_vec());
    let y = f(x).sum();
    let [dy] = gradients(y, [x]);
    let z = dy.square().sum() + y;
    let [dz] = gradients(z, [x]);
    let session = Session::new(&graph).unwrap_or_else(|e| panic!("{name}: {e}"));
    let n: usize = dims.iter().product();
    let numbers = (0..n).map(|i| 0.3 + 0.9 * ((i * 7 + 3) % n) as f64 / n as f64).collect();
    let data: ArrayD<f64> = ArrayD::from_shape_vec(IxDyn(dims), numbers).unwrap();
    for (what, value, gradient) in [("first", y, dy), ("second", z, dz)] {
        let symbolic: ArrayD<f64> = session.run(gradient, feeds![x => &data]).unwrap().try_into().unwrap();
        assert_eq!(symbolic.shape(), dims, "{name}");
        for (index, expected) in symbolic.indexed_iter() {
            let at = |delta: f64| -> f64 {
                let mut moved = data.clone();
                moved[&index] += delta;
                session.run(value, feeds![x => &moved]).unwrap().scalar().unwrap()
            };
            let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (numeric - expected).abs() <= 1e-6 * numeric.abs().max(1.0),
                "{name}, {what} gradient at {index:?}: {expected} by rule, {numeric} by differences"
            );
        }
    }
}

#[test]
fn element_wise_functions() {
    let functions: [Named; 16] = [
        ("exp", |x| x.exp()),
        ("log", |x| x.log()),
        ("sqrt", |x| x.sqrt()),
        ("rsqrt", |x| x.rsqrt()),
        ("sin", |x| x.sin()),
        ("cos", |x| x.cos()),
        ("tan", |x| x.tan()),
        ("tanh", |x| x.tanh()),
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus()),
        ("relu", |x| (x - 0.7123).relu() * x),
        ("elu", |x| (x - 0.7123).elu()),
        ("reciprocal", |x| x.reciprocal()),
        ("pow", |x| x.pow(2.5)),
        ("expm1", |x| x.expm1()),
        ("log1p", |x| x.log1p()),
    ];
    for (name, f) in functions {
        check(name, &[2, 3], f);
    }
}

#[test]
fn broadcasts_and_reductions() {
    check("broadcast", &[2, 3], |x| x * x.sum_over(keep_dims(0)) / x.mean_over(keep_dims(1)));
    check("squared difference", &[4], |x| x.squared_difference(x.mean()));
    check("maximum", &[3], |x| x.maximum(0.7123) * x.minimum(0.7123));
    check("largest", &[2, 3], |x| x.max_over(1) * x.min_over(1));
    check("product", &[2, 3], |x| x.prod_over(1));
    check("running sum", &[4], |x| x.cumsum(0, Running { exclusive: true, reverse: true }).square());
    check("l2 loss", &[2, 3], |x| x.l2_loss());
    check("select", &[4], |x| x.greater(0.7123).select(x.square(), x * 3.0));
}

#[test]
fn arrays() {
    check("matmul", &[2, 3], |x| x.matmul(x.transpose()).matmul(x));
    let transposed = MatMul { transpose_a: true, transpose_b: true };
    check("matmul, transposed", &[3, 3], |x| x.matmul_with(x, transposed).square());
    check("reshape", &[2, 3], |x| x.reshape([3, -1]).matmul(x).expand_dims(0).squeeze());
    check("concat", &[2, 2], |x| x.graph().concat(&[x, x.square()], 1).square());
    check("slice", &[2, 3], |x| x.slice([0, 1], [2, 2]).square());
    check("pad and tile", &[2, 2], |x| x.pad(&[[1, 0], [0, 2]]).tile(&[2, 1]).square());
    check("gather", &[3, 2], |x| x.gather(x.graph().constant([2_i32, 0, 2])).square());
}

#[test]
fn classification() {
    check("softmax", &[2, 3], |x| x.softmax().square());
    check("log softmax", &[2, 3], |x| x.log_softmax().square());
    check("sparse cross entropy", &[2, 3], |x| x.sparse_softmax_cross_entropy(x.graph().constant([2_i64, 0])));
    check("cross entropy", &[2, 3], |x| {
        x.softmax_cross_entropy(x.graph().constant([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])).square()
    });
}

#[test]
fn convolution() {
    let options = Conv2d { strides: [2, 1], padding: Padding::Same, dilations: [1, 1] };
    check("convolution", &[1, 3, 4, 1], |x| {
        let filter = x.graph().constant([0.5, -1.0, 2.0, 0.25]).reshape([2, 2, 1, 1]);
        x.conv2d(filter, options).square()
    });
    check("filter", &[2, 2, 1, 2], |f| {
        let image = f.graph().constant([1.0, -2.0, 0.5, 3.0, 1.5, -1.0]).reshape([1, 2, 3, 1]);
        image.conv2d(f, Conv2d::default()).square()
    });
}

#[test]
fn pooling() {
    let pool = |size, strides, padding| Pool { size, strides, padding };
    for (name, options) in [
        ("2 × 2", Pool::default()),
        ("overlapping", pool([3, 2], [1, 1], Padding::Same)),
        ("whole windows", pool([2, 2], [1, 2], Padding::Valid)),
        ("apart", pool([1, 2], [2, 3], Padding::Same)),
    ] {
        check(&format!("max pool, {name}"), &[2, 3, 5, 1], |x| x.max_pool(options).square());
        check(&format!("average pool, {name}"), &[1, 3, 4, 2], |x| x.avg_pool(options).square());
    }
}

#[test]
fn functions_made_of_others() {
    let functions: [Named; 17] = [
        ("log sigmoid", |x| (x - 0.7123).log_sigmoid()),
        ("leaky relu", |x| (x - 0.7123).leaky_relu(0.2) * x),
        ("gelu", |x| (x - 0.7123).gelu()),
        ("gelu by tanh", |x| (x - 0.7123).gelu_approximate()),
        ("swish", |x| (x - 0.7123).swish()),
        ("crelu", |x| (x - 0.7123).crelu() * x.graph().concat(&[x, x], -1)),
        ("div_no_nan", |x| x.div_no_nan(x + 1.0)),
        ("div_no_nan by 0", |x| x.div_no_nan(x * 0.0)),
        ("multiply_no_nan", |x| x.multiply_no_nan(x + 1.0)),
        ("reciprocal_no_nan", |x| x.reciprocal_no_nan() + (x * 0.0).reciprocal_no_nan()),
        ("xlogy", |x| x.xlogy(x)),
        ("xlogy of 0", |x| (x * 0.0).xlogy(x)),
        ("xlog1py", |x| x.xlog1py(x)),
        ("xdivy", |x| x.xdivy(x.square() + 1.0)),
        ("polyval", |x| x.polyval(&[x, x.square(), x])),
        ("one coefficient", |x| x.polyval(&[x])),
        ("lbeta", |x| x.lbeta()),
    ];
    for (name, f) in functions {
        check(name, &[2, 3], f);
    }
}

#[test]
fn equations() {
    // Positive definite, whatever x.
    let square = |x: Tensor| x.matmul(x.transpose()) + x.graph().eye(2).cast(DType::F64) * 0.5;
    check("cholesky", &[2, 3], |x| square(x).cholesky().square());
    check("cholesky_solve", &[2, 3], |x| square(x).cholesky().cholesky_solve(x));
    check("triangular_solve", &[2, 3], |x| {
        square(x).triangular_solve(x, Triangle { lower: false, adjoint: true }).square()
    });
    check("matrix_solve", &[2, 3], |x| square(x).matrix_solve(x).square());
    check("matrix_solve, transposed", &[2, 2], |x| {
        (x + x.graph().constant([[3.0, 0.0], [1.0, 2.0]])).matrix_solve_adjoint(x).square()
    });
    check("matrix_inverse", &[2, 3], |x| square(x).matrix_inverse().square());
    check("determinant", &[2, 3], |x| square(x).determinant().square());
    check("slogdet", &[2, 3], |x| square(x).slogdet().1.square());
    check("logdet", &[2, 3], |x| square(x).logdet().square());
    check("lstsq", &[3, 2], |x| x.lstsq(x.square(), 0.25).square());
    check("lstsq of few rows", &[2, 3], |x| x.lstsq(x.square(), 0.25).square());
}

#[test]
fn statistics() {
    let functions: [Named; 18] = [
        ("logsumexp", |x| x.logsumexp()),
        ("logsumexp along an axis", |x| x.logsumexp_over(1)),
        ("norm", |x| x.norm()),
        ("norm of power 3", |x| x.norm_over(Norm::Power(3.0), 0)),
        ("largest norm", |x| x.norm_with(Norm::Infinity) * x.norm_with(Norm::One)),
        ("matrix norms", |x| x.matrix_norm(Norm::One, 0, 1) * x.matrix_norm(Norm::Infinity, 0, 1)),
        ("variance", |x| x.variance_over([0, 1])),
        ("deviation", |x| x.std_over(keep_dims(1))),
        ("mean of moments", |x| x.moments(0).0 * x),
        ("variance of moments", |x| x.moments(1).1),
        ("weighted moments", |x| x.weighted_moments(0, x.square()).1),
        ("shifted moments", |x| {
            let shift = Some(x.graph().constant(0.5));
            let (counts, sums, squares) = x.sufficient_statistics(1, shift);
            let (mean, variance) = normalize_moments(counts, sums, squares, shift);
            mean * variance
        }),
        ("cross", |x| x.cross(x.square())),
        ("sort", |x| x.sort(0, Direction::Ascending) * x),
        ("descending", |x| x.sort(-1, Direction::Descending) * x),
        ("median", |x| x.nth_element(1, Direction::Ascending).square()),
        ("mean of segments", |x| x.segment_mean(x.graph().constant([0_i64, 1]), 3)),
        ("scaled sum of segments", |x| x.unsorted_segment_sqrt_n(x.graph().constant([1_i32, 1]), 2)),
    ];
    for (name, f) in functions {
        check(name, &[2, 3], f);
    }
}

/// Numbers without a pattern, in a shape.
fn numbers(like: Tensor, dims: &[usize]) -> Tensor {
    let n: usize = dims.iter().product();
    let elements = (0..n).map(|i| ((i * 7919 + 3) % 101) as f64 / 50.0 - 1.0).collect();
    like.graph().constant(Value::from_elements(dims, elements).unwrap())
}

#[test]
fn further_convolutions_and_pools() {
    check("depthwise", &[1, 3, 4, 2], |x| {
        x.depthwise_conv2d(numbers(x, &[2, 3, 2, 2]), Conv2d { strides: [1, 2], ..Conv2d::default() }).square()
    });
    check("depthwise, filter", &[2, 2, 2, 1], |f| {
        numbers(f, &[2, 3, 3, 2]).depthwise_conv2d(f, Conv2d::default()).square()
    });
    check("separable", &[1, 3, 3, 2], |x| {
        x.separable_conv2d(numbers(x, &[2, 2, 2, 1]), numbers(x, &[1, 1, 2, 3]), Conv2d::default()).square()
    });
    check("transposed", &[2, 2, 3, 2], |x| {
        x.conv2d_transpose(numbers(x, &[3, 2, 1, 2]), [4, 6], Conv2d { strides: [2, 2], ..Conv2d::default() }).square()
    });
    check("of sequences", &[2, 5, 1], |x| x.conv1d(numbers(x, &[3, 1, 2]), Conv1d::default()).square());
    check("in groups", &[1, 3, 3, 4], |x| x.conv2d(numbers(x, &[2, 2, 2, 4]), Conv2d::default()).square());
    check("with a depth", &[1, 2, 3, 2, 2], |x| {
        x.conv3d(numbers(x, &[2, 2, 1, 2, 2]), Conv3d { strides: [1, 2, 1], ..Conv3d::default() }).square()
    });
    check("with a depth, filter", &[2, 2, 1, 1, 2], |f| {
        numbers(f, &[1, 3, 3, 2, 1]).conv3d(f, Conv3d::default()).square()
    });
    let padding = Padding::Explicit([[1, 0], [2, 1]]);
    check("with cells of padding", &[1, 3, 3, 1], |x| {
        x.conv2d(numbers(x, &[2, 2, 1, 1]), Conv2d { padding, ..Conv2d::default() }).square()
    });
    // No window without a cell, whose largest is −∞.
    let padding = Padding::Explicit([[1, 0], [0, 1]]);
    check("max pool with cells of padding", &[1, 4, 3, 2], |x| {
        x.max_pool(Pool { padding, ..Pool::default() }).square()
    });
    check("max pool with a depth", &[1, 3, 4, 3, 1], |x| x.max_pool3d(Pool3d::default()).square());
    check("average pool with a depth", &[1, 3, 4, 3, 1], |x| x.avg_pool3d(Pool3d::default()).square());
    check("max pool of sequences", &[2, 5, 2], |x| x.max_pool1d(Pool1d::default()).square());
}

#[test]
fn normalizations_and_losses() {
    let batch = BatchStatistics::Batch;
    check("batch", &[4, 2], |x| x.fused_batch_norm(numbers(x, &[2]), numbers(x, &[2]), batch, 0.1).y.square());
    check("batch, statistics", &[4, 2], |x| {
        let found = x.fused_batch_norm(numbers(x, &[2]), numbers(x, &[2]), batch, 0.1);
        found.mean.square() + found.variance
    });
    check("by given ones", &[3, 2], |x| {
        x.batch_normalization(x.at(0), x.at(1).square(), x.at(2), x.at(0), 0.1).square()
    });
    check("layer", &[2, 4], |x| x.layer_norm(-1, numbers(x, &[4]), numbers(x, &[4]), 0.1).square());
    let options = LocalResponse { depth_radius: 1, bias: 1.0, alpha: 0.5, beta: 0.75 };
    check("local response", &[2, 5], |x| x.local_response_normalization(options).square());
    check("length", &[2, 3], |x| x.l2_normalize(1) * numbers(x, &[2, 3]));
    check("independent labels", &[2, 3], |x| (x - 0.7123).sigmoid_cross_entropy(numbers(x, &[2, 3])));
    check("weighted labels", &[2, 3], |x| (x - 0.7123).weighted_cross_entropy(numbers(x, &[2, 3]), 2.5));
    check("one label for all", &[3, 2], |x| x.softmax_cross_entropy(x.graph().constant([[0.25, 0.75]])).square());
    check("pairs", &[2, 3], |x| losses::mean_pairwise_squared_error(numbers(x, &[2, 3]), x.square()));
    check("distance", &[2, 3], |x| losses::huber_loss_beyond(numbers(x, &[2, 3]), x, 0.3, losses::Weighting::by(2.0)));
    check("rows", &[3, 2], |x| {
        let ids = x.graph().constant([0_i64, 4, 3, 4]);
        x.graph().embedding_lookup(&[x, x.slice([0, 0], [2, 2]).square()], ids, Partition::Mod).square()
    });
    check("combined rows", &[3, 2], |x| {
        let (ids, examples) = (x.graph().constant([0_i64, 2, 2]), x.graph().constant([0_i64, 0, 1]));
        x.graph().embedding_lookup_sparse(&[x], ids, examples, 2, None, Combined::SqrtN).square()
    });
}

/// Where zeros run, a product's gradient has a gradient by each of the others.
#[test]
fn running_products_have_second_gradients_at_zeros() {
    for data in
        [[2.0, 0.0, -3.0, 0.0, 5.0], [0.0, 0.0, 0.0, 1.5, 2.0], [1.0, 2.0, 0.0, 3.0, 4.0], [0.0, 1.0, 2.0, 3.0, 0.0]]
    {
        for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let graph = Graph::new();
            let x = graph.placeholder(DType::F64, [2, 5, 2]);
            let weights = graph.constant([0.5_f64, -1.0, 2.0, 1.5, -0.25]).reshape([5, 1]);
            let [dx] = gradients((x.cumprod(1, Running { exclusive, reverse }) * weights).sum(), [x]);
            let [ddx] = gradients((dx * weights.square()).sum(), [x]);
            let session = Session::new(&graph).unwrap();
            let at = |moved: usize, delta: f64| {
                let numbers = (0..20).map(|i| data[i / 2 % 5] + if i == moved { delta } else { 0.0 }).collect();
                Value::from_elements(&[2, 5, 2], numbers).unwrap()
            };
            let symbolic: Vec<f64> = session.run(ddx, feeds![x => at(0, 0.0)]).unwrap().to_vec().unwrap();
            let factors = [0.25, 1.0, 4.0, 2.25, 0.0625];
            for (i, found) in symbolic.into_iter().enumerate() {
                let value = |delta| -> f64 {
                    let dx: Vec<f64> = session.run(dx, feeds![x => at(i, delta)]).unwrap().to_vec().unwrap();
                    dx.iter().enumerate().map(|(i, dx)| dx * factors[i / 2 % 5]).sum()
                };
                let numeric = (value(1e-4) - value(-1e-4)) / 2e-4;
                assert!((numeric - found).abs() < 1e-6 * numeric.abs().max(1.0), "{data:?} at {i}: {found}, {numeric}");
            }
        }
    }
}
