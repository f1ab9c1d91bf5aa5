//! Every expression of `docs/from-tensorflow.md`, compiled and built.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::hint::black_box;
use std::path::Path;

use dormouse::data::image::Channels;
use dormouse::data::{Dataset, Mnist, Order};
use dormouse::gradient::{hessians, jacobian};
use dormouse::graph::{BatchStatistics, Combined, Conv1d, Conv3d, LocalResponse, Pool1d, Pool3d, Windows};
use dormouse::graph::{CustomOp, DistortedBox, Fact, NonMaxSuppression};
use dormouse::prelude::*;
use dormouse::session::SessionOptions;
use dormouse::train::candidates::{self, Candidates, LogUniform};
use dormouse::train::metrics::streaming::Curve;
use dormouse::value::ValueView;
use ndarray::Array2;

/// An operation of one's own.
#[derive(Debug)]
struct Doubled;

impl CustomOp for Doubled {
    fn name(&self) -> &'static str {
        "Doubled"
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        Ok(operands.to_vec())
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        let ValueView::F32(x) = &operands[0] else { return Err("takes f32".to_owned()) };
        Ok(vec![x.mapv(|x| 2.0 * x).into()])
    }
}

/// Evaluates each row.
macro_rules! rows {
    ($($row:expr;)*) => { $(let _ = black_box($row);)* };
}

#[test]
fn every_expression_builds() -> Result<(), Box<dyn std::error::Error>> {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?, 784]);
    let array = Array2::<f32>::zeros((32, 784));
    let [a, b] = [[1.0_f32, 2.0], [3.0, 4.0]].map(|numbers| graph.constant(numbers));
    let y = graph.constant([[1.0_f32, 2.0]]);
    let w = graph.variable(graph.zeros(&[784, 10]));
    let bias = graph.variable(graph.zeros(&[784]));
    let value = w * 0.5;
    let image = graph.placeholder(DType::F32, shape![?, 28, 28, 1]);
    let filter = graph.random(&[5, 5, 1, 32], TruncatedNormal::new(0.1));
    let [m, n] = [[[1.0_f32, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]].map(|numbers| graph.constant(numbers));
    let at = graph.constant([[0, 1], [1, 0]]);
    let slices = IndexedSlices::new(m, at.at(0), graph.zeros(&[4, 2]));
    let array4 = graph.placeholder(DType::F32, shape![1, ?, ?, 3]);
    let boxes = graph.placeholder(DType::F32, shape![1, ?, 4]);
    let picture = graph.placeholder(DType::F32, shape![1, 32, 32, 3]);
    let corners = graph.placeholder(DType::F32, shape![2, 4]);
    let scores = graph.placeholder(DType::F32, shape![2]);
    let of = graph.constant([0, 0]);
    let photo = graph.placeholder(DType::F32, shape![?, ?, 3]);
    let labels = graph.placeholder(DType::I64, shape![?]);
    let rows = labels.one_hot(10);
    let kernel = graph.random(&[3, 3, 1, 1], TruncatedNormal::new(0.1));
    let drawn = Candidates {
        sampled: graph.constant([0, 1]),
        true_expected: m.abs(),
        sampled_expected: a.abs(),
        remove_accidental_hits: true,
    };
    let logits = x.matmul(w);
    let loss = w.l2_loss() + bias.l2_loss();
    let vectors = graph.constant([[1.0_f32, 2.0, 3.0]]);
    let places = graph.constant([0_i64, 2]);
    let step = global_step(&graph);
    let average = ExponentialMovingAverage::new(0.99);
    let maintain = average.apply(&[w]);
    let optimizer = GradientDescent::new(0.1);
    let pairs = optimizer.compute_gradients(loss, &[w, bias]);
    let train = optimizer.apply_gradients(&pairs, None);
    rows! {
        Graph::new();
        x.graph();
        DType::F32;
        graph.placeholder(DType::F32, shape![?, 784]).named("x");
        graph.constant([[1.0_f32, 2.0]]);
        DType::I32;
        graph.random(&[2, 3], TruncatedNormal::new(0.1).seed(1));
        DType::I64;
        graph.random(&[2, 3], Normal::new(1.0).seed(1));
        DType::U8;
        DType::F16;
        DType::Bf16;
        DType::I8;
        DType::I16;
        DType::U16;
        DType::U32;
        DType::U64;
        graph.constant(&array);
        shape![?, 10];
        labels.one_hot(10);
        graph.ones(&[2, 3]);
        graph.zeros(&[2, 3]);
        DType::F64;
        graph.random(&[2, 3], Uniform::new(-1.0, 1.0).seed(1));
        graph.random(&[2, 3], UniformInt::new(0, 10).seed(1));
        a.random_gamma(&[5], Some(1));
        a.random_poisson(&[5], DType::I32, Some(1));
        logits.categorical(5, Some(1));
        y.shuffle(Some(1));
        array4.random_crop(&[1, 24, 24, 3], Some(1));
        graph.sample_distorted_bounding_box(photo.shape_of(), boxes, DistortedBox { seed: Some(1), ..DistortedBox::default() });
        x.mean();
        x.matmul(w);
        logits.argmax(1);
        labels.cast(DType::F32);
        labels.saturate_cast(DType::U8);
        graph.add_n(&[a, b]);
        a.equal(b);
        x.sum();
        clip_by_global_norm(&[a, b], 5.0);
        a.less(b) & a.greater(0.0);
        x.clip_by_value(1e-10, 1.0);
        a.greater(b);
        x.square();
        a + b;
        a.less(b);
        a.less_equal(b);
        a * b;
        a.not_equal(b);
        a.less(b).all();
        x.sqrt();
        x.log();
        x.pow(2.0);
        x.sigmoid();
        a.greater(b).select(a, b);
        x.asin();
        x.acos();
        x.atan();
        a.atan2(b);
        x.sinh();
        x.cosh();
        x.asinh();
        x.acosh();
        x.atanh();
        x.erf();
        x.erfc();
        x.lgamma();
        x.digamma();
        a.polygamma(b);
        a.zeta(b);
        x.lbeta();
        array4.channels_first(|x| x.max_pool(Pool::default()));
        a.igamma(b);
        a.betainc(b, 0.5);
        x.bessel_i0();
        labels.bitcast(DType::U32);
        a.truncate_div(b);
        a.truncate_mod(b);
        a.div_no_nan(b);
        a.multiply_no_nan(b);
        x.reciprocal_no_nan();
        a.xlogy(b);
        a.polyval(&[a, b]);
        x.is_nan();
        x.is_inf();
        x.is_finite();
        labels.bitwise_and(7);
        labels.invert();
        labels.left_shift(2);
        x.log_sigmoid();
        x.softsign();
        x.relu6();
        x.leaky_relu(0.2);
        x.crelu();
        x.selu();
        x.gelu();
        x.swish();
        graph.eye(3);
        bias.diag();
        y.matrix_diag();
        m.matrix_band_part(-1, 0);
        m.matrix_transpose();
        m.trace();
        m.tensordot(n, 1);
        graph.einsum("ij,jk->ik", &[m, n]);
        x.logsumexp();
        x.norm();
        x.norm_over(Norm::Euclidean, 1);
        x.variance();
        x.std();
        x.moments(0);
        x.sufficient_statistics(0, None);
        x.count_nonzero();
        x.zero_fraction();
        x.argmin(1);
        x.cumulative_logsumexp(1, Running::default());
        vectors.cross(vectors);
        graph.add_n(&[a, a]);
        x.top_k(5);
        x.sort(-1, Direction::Ascending);
        x.argsort(-1, Direction::Descending);
        logits.in_top_k(labels, 5);
        a.searchsorted(b, Side::Left);
        a.segment_sum(places, 3);
        a.unsorted_segment_sum(places, 3);
        labels.bincount(10);
        x.histogram_fixed_width(0.0, 1.0, 100);
        labels.confusion_matrix(labels, 10);
        x.erfinv();
        x.ndtri();
        m.cholesky();
        m.cholesky_solve(n);
        m.triangular_solve(n, Triangle::default());
        m.matrix_solve(n);
        m.lstsq(n, 0.0);
        m.qr();
        m.svd();
        m.self_adjoint_eig();
        m.pinv();
        m.matrix_rank();
        m.matrix_inverse();
        m.matrix_exponential();
        m.determinant();
        m.slogdet();
        m.logdet();
        x.reshape([-1, 28, 28, 1]);
        graph.concat(&[a, b], 0);
        y.transpose();
        x.shape_of();
        x.size_of();
        x.expand_dims(0);
        x.identity();
        x.slice([0, 0], [-1, 2]);
        x.strided_slice([0, 1], [4, 3], [1, 2]);
        image.squeeze_axes(&[3]);
        m.pad(&[[1, 1], [0, 2]]);
        m.tile(&[2, 3]);
        x.split::<2>(1);
        graph.stack(&[a, b], 0);
        a.unstack_all(0);
        m.reverse(&[1]);
        a.roll(&[1], &[0]);
        m.gather_axis(at, 1);
        m.gather_nd(at);
        m.batch_gather(at);
        y.scatter_nd(graph.constant([[1]]), &[3, 2]);
        m.tensor_scatter_update(at, graph.constant([5.0_f32, 6.0]));
        w.scatter_update(labels, logits);
        y.broadcast_to(&[3, 2]);
        a.rank_of();
        image.space_to_depth(2);
        image.space_to_depth(2).depth_to_space(2);
        image.space_to_batch_nd(&[2, 2], &[[0, 0], [0, 0]]);
        image.batch_to_space_nd(&[1, 1], &[[2, 2], [2, 2]]);
        graph.meshgrid(&[bias, bias], Mesh::Xy);
        labels.sequence_mask(10);
        graph.range(0, 10);
        graph.linspace(0.0, 1.0, 11, DType::F32);
        graph.control_dependencies([train, maintain], || graph.no_op());
        graph.no_op();
        x.nonzero();
        x.boolean_mask(x.greater(0.0));
        bias.unique();
        x.dynamic_partition(labels.cast(DType::I32), 2);
        x.reshape_to(b.shape_of());
        graph.cond(loss.greater(0.0), || loss, || -loss);
        graph.case([(loss.less(0.0), || -loss)], || loss);
        x.assert_positive("pixels");
        x.print("x = ");
        x.check_numerics("x");
        graph.add_check_numerics_ops();
        graph.custom_gradient(&[x], || x.round(), |of| vec![of.upstream[0]]);
        graph.apply_custom(Doubled, &[x]);
        gradients(loss, [w, bias]);
        Gradients::of([loss, loss]).upstream([loss, loss]).with_respect_to([w]);
        Gradients::of(loss).stop_at(value).with_respect_to([w]);
        Gradients::of(loss).or_zeros([w]);
        IndexedSlices::new(m, at.at(0), w);
        slices.with_values(slices.values() * 0.5).dense();
        hessians(bias.l2_loss(), [bias]);
        jacobian(a, b);
        graph.group([train, maintain]);
        logits.sparse_softmax_cross_entropy(labels);
        L2(0.0001).penalty(w);
        x.relu();
        w.gather(labels);
        x.dropout(0.5, Some(1));
        logits.softmax_cross_entropy(rows);
        losses::mean_squared_error(a, b);
        losses::softmax_cross_entropy(rows, logits);
        x.bias_add(bias);
        image.conv2d(filter, Conv2d { padding: Padding::Valid, ..Conv2d::default() });
        logits.softmax();
        losses::total_loss(&graph);
        metrics::accuracy(labels, logits);
        image.avg_pool(Pool { strides: [1, 1], ..Pool::default() });
        x.elu();
        image.max_pool(Pool::default());
        image.depthwise_conv2d(kernel, Conv2d::default());
        image.separable_conv2d(kernel, filter.at((..1, ..1)), Conv2d::default());
        image.conv2d_transpose(kernel, [56, 56], Conv2d { strides: [2, 2], ..Conv2d::default() });
        y.expand_dims(0).conv1d(graph.zeros(&[3, 2, 4]), Conv1d::default());
        image.expand_dims(1).conv3d(kernel.expand_dims(0), Conv3d::default());
        image.atrous_conv2d(kernel, 2, Padding::Same);
        image.expand_dims(1).max_pool3d(Pool3d::default());
        x.batch_normalization(bias, bias, None, None, 1e-3);
        image.fused_batch_norm(y.at((0, ..1)), y.at((0, ..1)), BatchStatistics::Batch, 1e-3).y;
        x.layer_norm(-1, bias, bias, 1e-12);
        image.local_response_normalization(LocalResponse::default());
        x.l2_normalize(1);
        logits.sigmoid_cross_entropy(rows);
        logits.weighted_cross_entropy(rows, 2.0);
        graph.embedding_lookup_sparse(&[m], at.at(0), at.at(1), 2, None, Combined::Mean);
        candidates::sampled_softmax_loss(m, a, at, m, drawn);
        losses::absolute_difference(a, b);
        losses::huber_loss(a, b);
        losses::hinge_loss(a, b);
        losses::log_loss(a, b);
        losses::sigmoid_cross_entropy(rows, logits);
        losses::cosine_distance(m, n, 1);
        losses::mean_pairwise_squared_error(m, n);
        losses::compute_weighted_loss(a, losses::Weighting::by(b));
        graph.initializer();
        graph.variable([0.0_f32; 10]).named("b");
        graph.trainable_variables();
        graph.get_variable("kernel", [784, 500], TruncatedNormal::new(0.1));
        graph.scope("layer1", || x.relu());
        graph.collection("losses");
        graph.name_scope("input", || x.relu());
        Fill::new(0.1);
        graph.reuse();
        Uniform::new(-0.05, 0.05);
        picture.convert_image_dtype(DType::F32);
        picture.resize_images([224, 224]);
        picture.random_brightness(0.2, Some(1));
        picture.adjust_hue(0.1);
        picture.central_crop(0.5);
        picture.draw_bounding_boxes(boxes);
        picture.random_contrast(0.5, 1.5, Some(1));
        picture.random_flip_left_right(Some(1));
        picture.random_hue(0.2, Some(1));
        picture.random_saturation(0.5, 1.5, Some(1));
        picture.resize_with_crop_or_pad([32, 32]);
        picture.transpose_image();
        picture.crop_to_bounding_box([1, 2], [20, 20]);
        picture.pad_to_bounding_box([1, 2], [40, 40]);
        picture.flip_left_right();
        picture.rot90(1);
        picture.adjust_brightness(0.1);
        picture.adjust_contrast(1.5);
        picture.adjust_saturation(1.5);
        picture.adjust_gamma(2.2, 1.0);
        picture.rgb_to_hsv();
        picture.rgb_to_grayscale();
        image.grayscale_to_rgb();
        picture.per_image_standardization();
        picture.crop_and_resize(corners, of, [14, 14]);
        corners.non_max_suppression(scores, NonMaxSuppression { most: 10, ..NonMaxSuppression::default() });
        picture.total_variation();
        picture.sobel_edges();
        picture.image_gradients();
        picture.psnr(picture, 1.0);
        picture.ssim(picture, 1.0);
        GlorotUniform::default().seed(1);
        GlorotNormal::default();
        HeNormal::default();
        LecunNormal::default();
        Orthogonal::new(1.0);
        dormouse::graph::Identity::new(1.0);
        VarianceScaling::new(2.0).fan(Fan::Average).spread(Spread::Uniform);
        graph.collect("losses", loss);
        w.assign(value);
        TruncatedNormal::new(0.1);
        graph.variable_collection("moving_average_variables");
        losses::LOSSES;
        graph.variables();
        Ones::default();
        Zeros::default();
        GradientDescent::new(0.1).minimize(loss);
        ExponentialMovingAverage::new(0.99).with_num_updates(step);
        exponential_decay(0.8, step, Decay { steps: 550, rate: 0.99, staircase: true });
        Adam::new(0.001).minimize(loss);
        global_step(&graph);
        Adagrad::new(0.1).minimize_with(loss, Minimize::new().global_step(step));
        Adagrad::new(0.1).minimize(loss);
        RmsProp::new(0.0001).minimize(loss);
        Momentum::new(0.01, 0.9).nesterov().minimize(loss);
        Adadelta::new(1.0).minimize(loss);
        Ftrl::new(0.1).regularization(0.01, 0.0).minimize(loss);
        Dense::new(500).relu().apply(x);
        image.flatten();
        Dense::new(10).apply(x);
        metrics::accuracy(rows, logits);
        layers::Conv2d::new(32, [5, 5]).padding(Padding::Same).relu().apply(image);
        layers::Dropout::new(0.4).apply(x);
        layers::MaxPool::new([2, 2], [2, 2]).apply(image);
        Momentum::new(0.01, 0.9).minimize_with(loss, Minimize::new().global_step(step));
        optimizer.compute_gradients(loss, &graph.trainable_variables());
        optimizer.apply_gradients(&pairs, Some(step));
        average.apply(&graph.trainable_variables());
        average.average(w);
        average.variables_to_restore(&graph);
        graph.variable_scope("layer1", Reuse::Always, || x.relu());
        x.shape().to_dims();
        x.ensure_shape([32, 784]);
        x.at((0, 2..));
        graph.placeholder_with_default([1.0_f32, 2.0], shape![?]);
        graph.fill(&[2, 3], 0.1, DType::F32);
        x.ones_like();
        x.zeros_like();
        labels.cast(DType::F64);
        x.shape().dim(-1).known();
        x.shape().broadcast(&y.shape());
        graph.broadcast_dynamic_shape(a.shape_of(), b.shape_of());
        graph.set_seed(1);
        a - b;
        -x;
        a / b;
        labels.floor_div(2);
        labels.true_div(2);
        a.floor_div(b);
        a.floor_mod(b);
        0.5 * x;
        x.abs();
        x.sign();
        x.reciprocal();
        x.rsqrt();
        x.exp();
        x.expm1();
        x.log1p();
        x.sin();
        x.cos();
        x.tan();
        x.tanh();
        x.floor();
        x.ceil();
        x.round();
        a.maximum(b);
        a.minimum(b);
        a.squared_difference(b);
        a.greater_equal(b);
        a.less(b) | a.greater(0.0);
        a.less(b).logical_xor(a.greater(0.0));
        !a.less(b);
        a.greater(b).select(a, 0.0);
        x.max();
        x.min();
        x.prod();
        a.less(b).any();
        x.argmin(0);
        x.cumsum(1, Running { exclusive: true, reverse: false });
        x.cumprod(1, Running::default());
        dormouse::train::clip_by_norm(x, 5.0);
        dormouse::train::clip_by_average_norm(x, 5.0);
        dormouse::train::global_norm(&[a, b]);
        bias.unique_with_counts();
        bias.difference(a);
        graph.dynamic_stitch(&[at.at(0)], &[m]);
        m.diag_part();
        m.matrix_diag_part();
        m.matrix_set_diag(a);
        m.matvec(a);
        m.normalize(Norm::Euclidean, 1);
        x.is_non_decreasing();
        x.is_strictly_increasing();
        x.bessel_i0e();
        x.bessel_i1();
        x.bessel_i1e();
        a.igammac(b);
        x.erfcinv();
        a.next_after(b);
        a.xlog1py(b);
        a.xdivy(b);
        labels.bitwise_or(7);
        labels.bitwise_xor(7);
        labels.right_shift(2);
        x.softplus();
        x.weighted_moments(0, x.abs());
        normalize_moments(loss, bias.value(), bias.value(), None);
        a.segment_prod(places, 3);
        a.segment_max(places, 3);
        a.segment_min(places, 3);
        a.segment_mean(places, 3);
        a.unsorted_segment_prod(places, 3);
        a.unsorted_segment_max(places, 3);
        a.unsorted_segment_min(places, 3);
        a.unsorted_segment_mean(places, 3);
        a.unsorted_segment_sqrt_n(places, 3);
        a.sparse_segment_sum(of, places, 3);
        a.sparse_segment_mean(of, places, 3);
        a.sparse_segment_sqrt_n(of, places, 3);
        x.histogram_fixed_width_bins(0.0, 1.0, 100);
        m.self_adjoint_eigvals();
        [x, y].map(|x| x.shape_of());
        [a, b].map(|x| x.identity());
        m.repeat(&[2], 0);
        m.reverse_sequence(of, 1, 0);
        of.argsort(-1, Direction::Ascending).invert_permutation();
        places.unravel_index(&[2, 3]);
        m.tensor_scatter_add(at, graph.constant([5.0_f32, 6.0]));
        m.tensor_scatter_sub(at, graph.constant([5.0_f32, 6.0]));
        m.tensor_scatter_max(at, graph.constant([5.0_f32, 6.0]));
        m.tensor_scatter_min(at, graph.constant([5.0_f32, 6.0]));
        w.scatter_add(labels, logits);
        w.scatter_sub(labels, logits);
        w.scatter_mul(labels, logits);
        w.scatter_div(labels, logits);
        w.scatter_max(labels, logits);
        w.scatter_min(labels, logits);
        bias.scatter_nd_update(places.expand_dims(1), a);
        bias.scatter_nd_add(places.expand_dims(1), a);
        bias.scatter_nd_sub(places.expand_dims(1), a);
        w.assign(w.tensor_scatter_update(graph.constant([[0, 1]]), graph.constant([0.5_f32])));
        a.sparse_to_dense(places, &[5], 0.0);
        picture.extract_image_patches(Windows::default());
        image.expand_dims(1).extract_volume_patches([1, 2, 2], [1, 2, 2], Padding::Valid);
        graph.switch_case(of.at(0), [|| loss], || -loss);
        graph.tuple(&[a, b]);
        x.stop_gradient();
        graph.custom_gradient(&[x], || x.floor(), |of| vec![of.upstream[0]]);
        graph.apply_custom(Doubled, &[a]);
        graph.assert(a.less(b), &[a, b], "a is below b");
        a.assert_equal(b, "");
        a.assert_none_equal(b, "");
        a.assert_less(b, "");
        a.assert_less_equal(b, "");
        a.assert_greater(b, "");
        a.assert_greater_equal(b, "");
        a.assert_near(b, 1e-6, 1e-6, "");
        a.assert_negative("");
        a.assert_non_negative("");
        a.assert_non_positive("");
        a.assert_rank(1, "");
        a.assert_rank_at_least(1, "");
        a.assert_rank_in(&[1, 2], "");
        loss.assert_scalar("");
        a.assert_type(DType::F32, "");
        labels.assert_integer("");
        m.assert_shape(shape![2, ?], "");
        x.assert_all_finite("x");
        SessionOptions { check_numerics: true, ..SessionOptions::default() };
        logits.log_softmax();
        x.log_poisson_loss(x.abs(), true);
        w.l2_loss();
        m.xw_plus_b(n, a);
        m.relu_layer(n, a);
        image.conv2d(filter, Conv2d { dilations: [2, 2], ..Conv2d::default() });
        image.conv2d_transpose(kernel, [28, 28], Conv2d::default());
        y.expand_dims(0).conv1d_transpose(graph.zeros(&[3, 4, 2]), 1, Conv1d::default());
        image.expand_dims(1).conv3d_transpose(kernel.expand_dims(0), [1, 28, 28], Conv3d::default());
        image.conv2d_transpose(kernel, [28, 28], Conv2d { dilations: [2, 2], ..Conv2d::default() });
        gradients(image.conv2d(kernel, Conv2d::default()), [kernel]);
        image.dilation2d(graph.zeros(&[3, 3, 1]), Windows::default());
        image.erosion2d(graph.zeros(&[3, 3, 1]), Windows::default());
        image.max_pool(Pool { size: [3, 3], ..Pool::default() });
        y.expand_dims(0).max_pool1d(Pool1d::default());
        y.expand_dims(0).avg_pool1d(Pool1d::default());
        image.expand_dims(1).avg_pool3d(Pool3d::default());
        picture.max_pool_with_argmax(Pool::default(), false);
        x.batch_normalization(bias, bias, bias, bias, 1e-3);
        candidates::nce_loss(m, a, at, m, drawn);
        candidates::log_uniform_candidates(at, LogUniform { count: 2, classes: 5, distinct: false, seed: Some(1) });
        losses::sparse_softmax_cross_entropy(labels, logits);
        graph.collect(losses::LOSSES, loss);
        graph.collection(losses::LOSSES);
        graph.collection(losses::REGULARIZATION_LOSSES);
        losses::regularization_loss(&graph);
        metrics::streaming::mean(a, None);
        metrics::streaming::mean_absolute_error(a, b, None);
        metrics::streaming::mean_squared_error(a, b, None);
        metrics::streaming::root_mean_squared_error(a, b, None);
        metrics::streaming::mean_relative_error(a, b, a, None);
        metrics::streaming::mean_cosine_distance(m, n, 1, None);
        metrics::streaming::percentage_below(a, 0.5, None);
        metrics::streaming::true_positives(a.less(b), b.less(a), None);
        metrics::streaming::false_positives(a.less(b), b.less(a), None);
        metrics::streaming::true_negatives(a.less(b), b.less(a), None);
        metrics::streaming::false_negatives(a.less(b), b.less(a), None);
        metrics::streaming::precision(a.less(b), b.less(a), None);
        metrics::streaming::recall(a.less(b), b.less(a), None);
        metrics::streaming::auc(a.less(b), b.sigmoid(), None, 200, Curve::Roc);
        metrics::streaming::mean_iou(labels, labels, 10, None);
        metrics::streaming::mean_per_class_accuracy(labels, labels, 10, None);
        w.assign_add(value);
        w.assign_sub(value);
        graph.group([w.initializer(), bias.initializer()]);
        Normal::new(1.0);
        VarianceScaling::new(1.0).spread(Spread::Uniform);
        VarianceScaling::new(2.0);
        GlorotUniform::default();
        HeUniform::default();
        LecunUniform::default();
        picture.resize_images_with([224, 224], ResizeImages { method: Interpolation::Bicubic, ..ResizeImages::default() });
        picture.resize_images_with([224, 224], ResizeImages { method: Interpolation::Area, ..ResizeImages::default() });
        picture.resize_images_with([224, 224], ResizeImages { method: Interpolation::Nearest, ..ResizeImages::default() });
        picture.resize_with_pad([64, 48]);
        picture.flip_up_down();
        picture.random_flip_up_down(Some(1));
        picture.hsv_to_rgb();
        picture.rgb_to_yiq();
        picture.yiq_to_rgb();
        picture.rgb_to_yuv();
        picture.yuv_to_rgb();
        corners.non_max_suppression_padded(scores, NonMaxSuppression { most: 10, ..NonMaxSuppression::default() });
        metrics::streaming::accuracy(labels, logits.argmax(1), None);
        graph.tensor("add:0");
    }

    graph.check()?;
    let init = graph.initializer();
    let mut session = Session::new(&graph)?;
    session.run(init, feeds![])?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/mnist");
    let path = path.as_path();
    assert!(path.is_dir());
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    let file = folder.join("model.ckpt");
    save_graph(&graph, &file)?;
    let picture_file = folder.join("picture.png");
    let pixels = Value::from(ndarray::Array3::<u8>::zeros((2, 3, 3)));
    std::fs::write(&picture_file, dormouse::data::image::encode_png(&pixels)?)?;
    let mut mnist = Mnist::open(path)?;
    let (images, targets) = mnist.test.next_batch(10)?;
    rows! {
        Session::new(&graph)?;
        Session::with_options(&graph, SessionOptions { threads: Some(2), ..SessionOptions::default() })?;
        std::env::args();
        std::fs::File::open(path)?;
        path.exists();
        path.is_dir();
        Saver::new().save(&session, &file, 1000)?;
        checkpoint_state(folder)?;
        dormouse::data::image::load(&picture_file, Channels::Rgb)?;
        dormouse::data::image::encode_png(&pixels)?;
        dormouse::data::image::encode_jpeg(&pixels, 95)?;
        load_graph(&file)?;
        latest_checkpoint(folder)?;
        Dataset::new(images, targets, Order::Shuffled { seed: 1 })?;
        session.run((a, b), feeds![x => &array])?;
        session.prepare((loss, train), [x])?;
        session.run(train, feeds![])?;
        session.trace(train, feeds![])?;
        check_gradients(&mut session, a.square(), [a], &feeds![])?;
        Mnist::open(path)?;
        mnist.train.next_batch(100)?;
        Saver::new().variables([("v/ExponentialMovingAverage", w)]);
        session.freeze_variables(&[y])?;
    }
    Ok(())
}

/// The text without what a formatter or a table adds.
fn dense(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect()
}

#[test]
fn every_expression_of_the_page_is_here() {
    let own = dense(include_str!("from_tensorflow.rs"));
    let page = include_str!("../docs/from-tensorflow.md");
    let mut count = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let cell = cells.get(1).copied().unwrap_or_default().trim();
        match cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) {
            Some(expression) => {
                count += 1;
                assert!(
                    own.contains(&format!(";{};", dense(expression)))
                        || own.contains(&format!("{{{};", dense(expression))),
                    "{row}"
                );
            }
            None => assert!(["not yet", "none"].contains(&cell), "{row}"),
        }
    }
    assert!(count > 100, "{count}");
}

/// Every function of TensorFlow's, by whichever of its names: see `tests/oracle/symbols.py`.
#[test]
fn every_symbol_is_on_the_page() {
    let page = include_str!("../docs/from-tensorflow.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `tf.")).collect();
    let told: std::collections::HashSet<&str> = rows
        .iter()
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.split('(').next().unwrap_or(name))
        .collect();
    let symbols = include_str!("fixtures/symbols.txt");
    let missing: Vec<&str> = symbols.lines().filter(|line| !line.split(' ').any(|name| told.contains(name))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(symbols.lines().count() > 600);
}
