"""Writes what TensorFlow's operations of neural networks and its losses give: the golden numbers of tests/tensorflow.

    python tests/oracle/nn.py > tests/fixtures/nn.txt

A line is a case, as tests/oracle/ops.py has it. An operation of several results has all of them; its gradients are those of
the first.

Left out on purpose: gradients of convolutions that are in groups or dilated, and dilated convolutions with a depth (TensorFlow
has none on a CPU), depthwise convolutions of unequal strides (TensorFlow has none), and logits that broadcast to their labels'
rows (TensorFlow refuses the result), and the gradient of max_pool3d at equals (TensorFlow gives it to each).
"""

import itertools

import numpy as np

from ops import case, f32, f64, grad, i32, i64, inf, nan, noise, tf


def convolutions():
    def pads(cells):
        return [[0, 0], *cells, [0, 0]]

    for x, w, strides, dilations, cells in [
        ([1, 5, 4, 2], [3, 2, 2, 3], [1, 1], [1, 1], [[1, 2], [0, 3]]), ([2, 4, 4, 1], [2, 2, 1, 2], [2, 1], [1, 1], [[3, 0], [2, 2]]),
        ([1, 5, 6, 2], [2, 3, 2, 2], [1, 1], [2, 2], [[1, 1], [2, 0]]), ([1, 3, 3, 1], [1, 1, 1, 1], [1, 1], [1, 1], [[0, 0], [0, 0]]),
    ]:
        make = lambda x, w: tf.nn.conv2d(x, w, strides=[1, *strides, 1], padding=pads(cells), dilations=[1, *dilations, 1])
        (grad if dilations == [1, 1] else case)("conv2d_explicit", make, noise(x), noise(w, seed=1), strides=strides, dilations=dilations, padding=cells)
    make = lambda x, w: tf.nn.conv2d(x, w, strides=1, padding=pads([[0, 0], [0, 0]]))
    case("conv2d_explicit", make, noise([1, 2, 2, 1]), noise([3, 3, 1, 1]), strides=[1, 1], dilations=[1, 1], padding=[[0, 0], [0, 0]])
    for x, w in [([2, 4, 4, 4], [3, 3, 2, 4]), ([1, 5, 5, 6], [2, 2, 1, 6]), ([1, 3, 4, 6], [2, 3, 2, 9])]:
        for padding, strides in [("SAME", [1, 1]), ("VALID", [1, 1]), ("SAME", [2, 2])]:
            make = lambda x, w: tf.nn.conv2d(x, w, strides=[1, *strides, 1], padding=padding)
            case("conv2d", make, noise(x), noise(w, seed=1), strides=strides, dilations=[1, 1], padding=padding)
    make = lambda x, w: tf.nn.conv2d(x, w, strides=1, padding="SAME")
    for x, w in [([1, 3, 3, 3], [1, 1, 2, 2]), ([1, 3, 3, 4], [1, 1, 2, 3])]:
        case("conv2d", make, noise(x), noise(w), strides=[1, 1], dilations=[1, 1], padding="SAME")

    for x, w, strides, padding in [
        ([1, 5, 4, 2], [3, 2, 2, 3], [1, 1], "SAME"), ([2, 5, 6, 3], [3, 3, 3, 1], [2, 2], "SAME"), ([2, 5, 6, 3], [3, 3, 3, 1], [2, 2], "VALID"),
        ([1, 4, 4, 17], [2, 2, 17, 1], [1, 1], "VALID"), ([1, 4, 5, 4], [2, 3, 4, 5], [3, 3], "SAME"),
    ]:
        make = lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, *strides, 1], padding)
        grad("depthwise_conv2d", make, noise(x), noise(w, seed=1), strides=strides, dilations=[1, 1], padding=padding)
    for dilations, padding in itertools.product([[2, 2], [3, 3]], ["SAME", "VALID"]):
        make = lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], padding, dilations=dilations)
        case("depthwise_conv2d", make, noise([1, 7, 8, 2]), noise([3, 2, 2, 2], seed=1), strides=[1, 1], dilations=dilations, padding=padding)
    make = lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME")
    attributes = dict(strides=[1, 1], dilations=[1, 1], padding="SAME")
    case("depthwise_conv2d", make, noise([1, 3, 3, 2], f64), noise([2, 2, 2, 2], f64, seed=1), **attributes)
    case("depthwise_conv2d", make, noise([0, 3, 3, 2]), noise([2, 2, 2, 2]), **attributes)
    case("depthwise_conv2d", make, noise([1, 3, 3, 2]), noise([2, 2, 3, 2]), **attributes)
    case("depthwise_conv2d", make, noise([3, 3, 2]), noise([2, 2, 2, 2]), **attributes)
    for padding, strides in [("SAME", [1, 1]), ("VALID", [2, 2])]:
        make = lambda x, d, p: tf.nn.separable_conv2d(x, d, p, [1, *strides, 1], padding)
        grad("separable_conv2d", make, noise([2, 5, 5, 2]), noise([3, 2, 2, 2], seed=1), noise([1, 1, 4, 3], seed=2), strides=strides, dilations=[1, 1], padding=padding)
    for rate, padding in itertools.product([1, 2, 3], ["SAME", "VALID"]):
        make = lambda x, w: tf.nn.atrous_conv2d(x, w, rate, padding)
        grad("atrous_conv2d", make, noise([1, 8, 9, 2]), noise([2, 3, 2, 2], seed=1), rate=rate, padding=padding)

    for x, w, size, strides, padding in [
        ([2, 3, 4, 3], [3, 3, 2, 3], [6, 8], [2, 2], "SAME"), ([2, 3, 4, 3], [3, 3, 2, 3], [5, 7], [2, 2], "SAME"),
        ([1, 2, 3, 2], [2, 3, 3, 2], [3, 5], [1, 1], "VALID"), ([1, 2, 3, 1], [3, 2, 1, 1], [6, 6], [3, 2], "VALID"), ([1, 3, 3, 2], [1, 1, 1, 2], [3, 3], [1, 1], "SAME"),
    ]:
        make = lambda x, w: tf.nn.conv2d_transpose(x, w, [x.shape[0], *size, w.shape[2]], [1, *strides, 1], padding)
        grad("conv2d_transpose", make, noise(x), noise(w, seed=1), size=size, strides=strides, padding=padding)
    make = lambda x, w: tf.nn.conv2d_transpose(x, w, [1, 4, 4, 1], [1, 2, 2, 1], "SAME")
    case("conv2d_transpose", make, noise([1, 3, 3, 1]), noise([2, 2, 1, 1]), size=[4, 4], strides=[2, 2], padding="SAME")

    for x, w, stride, dilation, padding in [
        ([2, 7, 2], [3, 2, 4], 1, 1, "SAME"), ([2, 7, 2], [3, 2, 4], 2, 1, "VALID"), ([1, 9, 1], [2, 1, 1], 1, 3, "SAME"), ([1, 4, 3], [1, 3, 2], 1, 1, "VALID"),
    ]:
        make = lambda x, w: tf.nn.conv1d(x, w, stride, padding, dilations=dilation)
        (grad if dilation == 1 else case)("conv1d", make, noise(x), noise(w, seed=1), stride=stride, dilation=dilation, padding=padding)
    make = lambda x, w: tf.nn.conv1d(x, w, 1, "VALID")
    case("conv1d", make, noise([1, 2, 1]), noise([3, 1, 1]), stride=1, dilation=1, padding="VALID")
    for width, stride, padding in [(6, 2, "SAME"), (5, 2, "SAME"), (5, 1, "VALID"), (8, 2, "VALID")]:
        make = lambda x, w: tf.nn.conv1d_transpose(x, w, [2, width, 2], stride, padding)
        grad("conv1d_transpose", make, noise([2, 3, 4]), noise([3, 2, 4], seed=1), width=width, stride=stride, padding=padding)

    for x, w, strides, padding in [
        ([1, 3, 4, 5, 2], [2, 3, 2, 2, 3], [1, 1, 1], "SAME"), ([2, 3, 4, 3, 1], [3, 2, 2, 1, 2], [2, 1, 2], "SAME"), ([1, 4, 4, 4, 2], [2, 2, 2, 2, 2], [1, 2, 1], "VALID"),
        ([1, 1, 3, 3, 2], [1, 2, 2, 2, 1], [1, 1, 1], "SAME"),
    ]:
        make = lambda x, w: tf.nn.conv3d(x, w, [1, *strides, 1], padding)
        grad("conv3d", make, noise(x), noise(w, seed=1), strides=strides, padding=padding)
    make = lambda x, w: tf.nn.conv3d(x, w, [1, 1, 1, 1, 1], "SAME")
    case("conv3d", make, noise([1, 2, 2, 2, 1], f64), noise([2, 2, 2, 1, 1], f64), strides=[1, 1, 1], padding="SAME")
    case("conv3d", make, noise([1, 2, 2, 2, 3]), noise([2, 2, 2, 2, 1]), strides=[1, 1, 1], padding="SAME")
    case("conv3d", make, noise([0, 2, 2, 2, 2]), noise([2, 2, 2, 2, 1]), strides=[1, 1, 1], padding="SAME")
    for size, strides, padding in [([4, 6, 3], [2, 2, 1], "SAME"), ([3, 4, 4], [1, 1, 1], "VALID")]:
        x = [1, 2, 3, 3, 2]
        make = lambda x, w: tf.nn.conv3d_transpose(x, w, [1, *size, 3], [1, *strides, 1], padding)
        grad("conv3d_transpose", make, noise(x), noise([2, 2, 2, 3, 2], seed=1), size=size, strides=strides, padding=padding)


def distinct(shape):
    """Numbers without a pattern, no two of them equal."""
    n = int(np.prod(shape))
    return ((np.arange(n) * 7919 % n) / f32(8)).astype(f32).reshape(shape)


def pools():
    for size, stride, padding in [(2, 2, "SAME"), (3, 1, "SAME"), (2, 1, "VALID"), (3, 2, "VALID"), (1, 2, "SAME")]:
        for name, f in (("max_pool1d", tf.nn.max_pool1d), ("avg_pool1d", tf.nn.avg_pool1d)):
            grad(name, lambda x: f(x, size, stride, padding), noise([2, 7, 3]), size=size, stride=stride, padding=padding)
    for size, strides, padding in [
        ([2, 2, 2], [2, 2, 2], "SAME"), ([3, 2, 1], [1, 2, 1], "SAME"), ([2, 2, 2], [1, 1, 1], "VALID"), ([1, 3, 2], [1, 2, 2], "VALID"), ([3, 3, 3], [2, 2, 2], "SAME"),
    ]:
        for name, f in (("max_pool3d", tf.nn.max_pool3d), ("avg_pool3d", tf.nn.avg_pool3d)):
            make = lambda x: f(x, [1, *size, 1], [1, *strides, 1], padding)
            grad(name, make, distinct([2, 3, 5, 4, 2]), size=size, strides=strides, padding=padding)
    make = lambda x: tf.nn.max_pool3d(x, [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], "VALID")
    case("max_pool3d", make, noise([0, 2, 2, 2, 1]), size=[2, 2, 2], strides=[2, 2, 2], padding="VALID")
    case("max_pool3d", make, noise([1, 1, 2, 2, 1]), size=[2, 2, 2], strides=[2, 2, 2], padding="VALID")
    for cells, size, strides in [([[1, 0], [0, 1]], [2, 2], [2, 2]), ([[1, 1], [1, 1]], [3, 3], [1, 1]), ([[0, 0], [2, 1]], [1, 3], [1, 2])]:
        make = lambda x: tf.nn.max_pool(x, [1, *size, 1], [1, *strides, 1], [[0, 0], *cells, [0, 0]])
        grad("max_pool_explicit", make, noise([2, 4, 5, 2]), size=size, strides=strides, padding=cells)


def normalizations():
    x = noise([2, 3, 4, 5])
    stats = lambda seed: (noise([5], seed=seed), np.abs(noise([5], seed=seed + 1)) + f32(0.25))
    mean, variance = stats(1)
    offset, scale = noise([5], seed=3), noise([5], seed=4)
    for epsilon in (1e-3, 0.5):
        make = lambda x, m, v, o, s: tf.nn.batch_normalization(x, m, v, o, s, epsilon)
        grad("batch_normalization", make, x, mean, variance, offset, scale, epsilon=epsilon)
        make = lambda x, m, v: tf.nn.batch_normalization(x, m, v, None, None, epsilon)
        grad("batch_normalization", make, x, mean, variance, epsilon=epsilon)
        # The gradients by given statistics are not compared: TensorFlow gives zeros.
        make = lambda x, s, o: tf.nn.fused_batch_norm(x, s, o, mean=tf.constant(mean), variance=tf.constant(variance), epsilon=epsilon, is_training=False)
        grad("fused_batch_norm_of", make, x, scale, offset, epsilon=epsilon, mean=list(mean), variance=list(variance))
        make = lambda x, s, o: tf.nn.fused_batch_norm(x, s, o, epsilon=epsilon)
        grad("fused_batch_norm", make, x, scale, offset, epsilon=epsilon)
    make = lambda x, s, o: tf.nn.fused_batch_norm(x, s, o, epsilon=1e-9)
    grad("fused_batch_norm", make, noise([8, 1, 1, 2]), noise([2], seed=1), noise([2], seed=2), epsilon=1e-9)
    case("fused_batch_norm", make, noise([1, 1, 1, 2]), noise([2], seed=1), noise([2], seed=2), epsilon=1e-9)
    case("fused_batch_norm", make, noise([1, 2, 2, 2]), noise([3], seed=1), noise([2], seed=2), epsilon=1e-9)

    def layer_norm(x, s, o, axes):
        mean, variance = tf.nn.moments(x, axes, keep_dims=True)
        return tf.nn.batch_normalization(x, mean, variance, o, s, 1e-3)

    for axes, own in (([-1], [5]), ([2, 3], [4, 5]), ([1, 2, 3], [3, 4, 5])):
        make = lambda x, s, o: layer_norm(x, s, o, axes)
        grad("layer_norm", make, x, noise(own, seed=5), noise(own, seed=6), axes=axes, epsilon=1e-3)
    for radius, bias, alpha, beta in [(5, 1.0, 1.0, 0.5), (1, 2.0, 0.5, 0.75), (2, 1.0, 0.1, 1.0), (0, 1.0, 1.0, 0.5)]:
        make = lambda x: tf.nn.local_response_normalization(x, radius, bias, alpha, beta)
        grad("local_response_normalization", make, noise([2, 2, 2, 7]), depth_radius=radius, bias=bias, alpha=alpha, beta=beta)
    for axes in ([0], [1], [-1], [0, 2]):
        grad("l2_normalize", lambda x: tf.nn.l2_normalize(x, axes), noise([2, 3, 2]), axes=axes)
    case("l2_normalize", lambda x: tf.nn.l2_normalize(x, [0]), np.zeros([3], f32), axes=[0])
    case("l2_normalize", lambda x: tf.nn.l2_normalize(x, [0]), np.array([1e-7, -2e-7], f32), axes=[0])
    for noise_shape in ([2, 1, 3], [1, 4, 1], [2, 4, 3], [1, 1, 1]):
        make = lambda x: tf.nn.dropout(x, rate=0.4, noise_shape=noise_shape, seed=3)
        grad("dropout_with", make, noise([2, 4, 3]), rate=0.4, noise=noise_shape, seed=3)
    case("dropout_with", lambda x: tf.nn.dropout(x, rate=0.4, noise_shape=[3, 1], seed=3), noise([2, 4]), rate=0.4, noise=[3, 1], seed=3)


def entropies():
    logits = np.array([0.0, -0.0, 1.0, -1.0, 20.0, -20.0, 100.0, -100.0, 0.3], f32)
    labels = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.25], f32)
    for dtype in (f32, f64):
        grad("sigmoid_cross_entropy", lambda z, y: tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z), logits.astype(dtype), labels.astype(dtype))
    special = np.array([nan, inf, -inf, 1.0], f32)
    case("sigmoid_cross_entropy", lambda z, y: tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z), special, np.array([1.0, 0.0, 0.0, nan], f32))
    case("sigmoid_cross_entropy", lambda z, y: tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z), noise([2, 3]), noise([3]))
    for weight in (0.5, 1.0, 3.0):
        make = lambda z, y: tf.nn.weighted_cross_entropy_with_logits(labels=y, logits=z, pos_weight=weight)
        case("weighted_cross_entropy", make, logits, labels, weight=weight)
        grad("weighted_cross_entropy", make, logits[2:], labels[2:], weight=weight)
    make = lambda z, y: tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=z)
    for z, y in [([3, 4], [1, 4]), ([3, 1], [3, 4])]:
        y = np.abs(noise(y, seed=1))
        case("softmax_cross_entropy", lambda z, y: tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=z), noise(z), y)


def losses():
    R = tf.losses.Reduction
    reductions = {"none": R.NONE, "sum": R.SUM, "mean": R.MEAN, "sum_over_batch_size": R.SUM_OVER_BATCH_SIZE, "sum_by_nonzero_weights": R.SUM_BY_NONZERO_WEIGHTS}
    y, p = noise([3, 4], scale=1.5), noise([3, 4], seed=1, scale=1.5)
    binary = (noise([3, 4], seed=2) > 0).astype(f32)
    chances = np.round(np.abs(noise([3, 4], seed=3)) / 2.0 * 0.9 + 0.05, 2).astype(f32)
    rows = np.array([[0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]], f32)
    weights = [np.array(1.0, f32), np.array(0.5, f32), np.array(0.0, f32), noise([3, 1], seed=4), np.array([[0.0], [1.0], [2.0]], f32), noise([1, 4], seed=5), noise([3, 4], seed=6) * (noise([3, 4], seed=7) > 0)]
    kinds = {
        "mean_squared_error": (tf.losses.mean_squared_error, y, p), "absolute_difference": (tf.losses.absolute_difference, y, p),
        "huber_loss": (tf.losses.huber_loss, y, p), "hinge_loss": (tf.losses.hinge_loss, binary, p), "log_loss": (tf.losses.log_loss, binary, chances),
        "sigmoid_cross_entropy": (tf.losses.sigmoid_cross_entropy, binary, p),
    }
    for name, (f, y_, p_) in kinds.items():
        for reduction, w in itertools.product(reductions, weights):
            make = lambda p, y, w: f(y, p, w, reduction=reductions[reduction])
            case(f"losses_{name}", make, p_, y_, w.astype(f32), reduction=reduction)
        grad(f"losses_{name}", lambda p, y, w: f(y, p, w), p_, y_, noise([3, 1], seed=4))
    for reduction in reductions:
        make = lambda p, y, w: tf.losses.mean_squared_error(y, p, w, reduction=reductions[reduction])
        for w in (noise([3], seed=4), noise([2, 4], seed=4), noise([3, 4, 1])):
            case("losses_mean_squared_error", make, p, y, w, reduction=reduction)
        for w in (np.array(0.5, f32), noise([3], seed=4), np.array([0.0, 2.0, 0.0], f32)):
            make = lambda z, y, w: tf.losses.softmax_cross_entropy(y, z, w, reduction=reductions[reduction])
            case("losses_softmax_cross_entropy", make, p, rows, w, reduction=reduction, smoothing=0)
            make = lambda z, y, w: tf.losses.softmax_cross_entropy(y, z, w, label_smoothing=0.2, reduction=reductions[reduction])
            case("losses_softmax_cross_entropy", make, p, rows, w, reduction=reduction, smoothing=0.2)
            make = lambda z, y, w: tf.losses.sparse_softmax_cross_entropy(y, z, w, reduction=reductions[reduction])
            case("losses_sparse_softmax_cross_entropy", make, p, np.array([1, 0, 3], i64), w, reduction=reduction)
        for w in (np.array(0.5, f32), noise([3, 1], seed=4)):
            make = lambda p, y, w: tf.losses.cosine_distance(y, p, axis=1, weights=w, reduction=reductions[reduction])
            case("losses_cosine_distance", make, p, y, w, reduction=reduction, axis=1)
    make = lambda z, y, w: tf.losses.sigmoid_cross_entropy(y, z, w, label_smoothing=0.1)
    case("losses_sigmoid_cross_entropy_smoothed", make, p, binary, np.array(1.0, f32), smoothing=0.1)
    for delta in (0.25, 1.0, 2.0):
        make = lambda p, y, w: tf.losses.huber_loss(y, p, w, delta=delta)
        case("losses_huber_of", make, p, y, np.array(1.0, f32), delta=delta)
    for w in (np.array(1.0, f32), np.array(0.0, f32), noise([3, 1], seed=4), np.array([[0.0], [1.0], [2.0]], f32), noise([3, 4], seed=6) * (noise([3, 4], seed=7) > 0)):
        make = lambda p, y, w: tf.losses.mean_pairwise_squared_error(y, p, w)
        case("losses_mean_pairwise_squared_error", make, p, y, w.astype(f32))
    make = lambda p, y, w: tf.losses.mean_pairwise_squared_error(y, p, w)
    grad("losses_mean_pairwise_squared_error", make, p, y, np.array(1.0, f32))
    case("losses_mean_pairwise_squared_error", make, noise([2, 3, 2]), noise([2, 3, 2], seed=1), np.array(1.0, f32))
    case("losses_mean_pairwise_squared_error", make, noise([2, 1]), noise([2, 1], seed=1), np.array(1.0, f32))


def candidates():
    weights, biases, inputs = noise([6, 3]), noise([6], seed=1), noise([2, 3], seed=2)
    sampled = np.array([0, 3, 5, 1], i64)
    for labels in (np.array([[1], [4]], i64), np.array([[1, 2], [3, 3]], i64)):
        true_count = np.abs(noise(labels.shape, seed=3)) + f32(0.1)
        sampled_count = np.abs(noise([4], seed=4)) + f32(0.1)
        for name, f in (("sampled_softmax_loss", tf.nn.sampled_softmax_loss), ("nce_loss", tf.nn.nce_loss)):
            for hits in (True, False):
                values = (tf.constant, (sampled, true_count, sampled_count))
                make = lambda w, b, x: f(w, b, tf.constant(labels), x, 4, 6, num_true=labels.shape[1], sampled_values=tuple(map(*values)), remove_accidental_hits=hits)
                grad(name, make, weights, biases, inputs, labels=labels.tolist(), true=labels.shape[1], sampled=sampled.tolist(), hits=hits, true_expected=true_count.tolist(), sampled_expected=sampled_count.tolist())


def samplers():
    for count, classes, distinct, seed in [(16, 1000, False, 5), (8, 20, True, 5), (20, 20, True, 1), (5, 10000, True, 2), (1, 7, True, 3), (64, 1000, True, 4), (3, 5, False, 6)]:
        labels = np.array([[1, 2], [0, 4]], i64)
        make = lambda labels: tf.random.log_uniform_candidate_sampler(labels, 2, count, distinct, classes, seed=seed)
        case("log_uniform_candidates", make, labels, count=count, classes=classes, distinct=distinct, seed=seed)


def embeddings():
    ids = np.array([[0, 3, 5], [6, 1, 3]], i64)
    for strategy, dims in (("mod", [3, 2, 2]), ("div", [3, 2, 2])):
        params = [noise([n, 2], seed=i) for i, n in enumerate(dims)]
        make = lambda ids, *params: tf.nn.embedding_lookup(list(params), ids, partition_strategy=strategy)
        grad("embedding_lookup", make, ids, *params, strategy=strategy)
    grad("embedding_lookup", lambda ids, p: tf.nn.embedding_lookup(p, ids), ids, noise([7, 2, 2]), strategy="mod")
    case("embedding_lookup", lambda ids, p: tf.nn.embedding_lookup(p, ids), np.array([7], i64), noise([7, 2]), strategy="mod")
    ids, examples = np.array([1, 3, 0, 2], i64), np.array([0, 0, 2, 2], i64)
    indices = np.array([[0, 0], [0, 1], [2, 0], [2, 1]], i64)
    for combiner in ("sum", "mean", "sqrtn"):
        sparse = lambda values: tf.SparseTensor(indices, values, [3, 2])
        make = lambda ids, examples, p: tf.nn.embedding_lookup_sparse(p, sparse(ids), None, combiner=combiner)
        grad("embedding_lookup_sparse", make, ids, examples, noise([4, 2]), combiner=combiner)
    weighted = np.array([[0, 0], [0, 1], [1, 0], [2, 1]], i64)
    for combiner in ("sum", "mean", "sqrtn"):
        sparse = lambda values: tf.SparseTensor(weighted, values, [3, 2])
        make = lambda ids, examples, p, w: tf.nn.embedding_lookup_sparse(p, sparse(ids), sparse(w), combiner=combiner)
        case("embedding_lookup_sparse", make, ids, np.array([0, 0, 1, 2], i64), noise([4, 2]), np.array([0.5, 2.0, 1.5, 3.0], f32), combiner=combiner)


if __name__ == "__main__":
    print("# Made by tests/oracle/nn.py with TensorFlow", tf.__version__)
    for part in (convolutions, pools, normalizations, entropies, losses, candidates, samplers, embeddings):
        part()
