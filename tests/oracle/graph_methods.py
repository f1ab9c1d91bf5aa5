"""From the names of tests/tensorflow's methods and their attributes to TensorFlow's functions, for random graphs."""

import tensorflow as tf2
import tensorflow.compat.v1 as tf

DTYPES = {"f32": tf.float32, "f64": tf.float64, "i32": tf.int32, "i64": tf.int64, "u8": tf.uint8, "bool": tf.bool}


def plain(f):
    return lambda a, *x: f(*x)


def reduction(f):
    def make(a, x):
        return f(x, axis=a.get("axes"), keepdims=bool(a.get("keep")))

    return make


def pairs(flat):
    return [flat[i : i + 2] for i in range(0, len(flat), 2)]


def around(padding):
    """TensorFlow's padding, of a word or of cells."""
    return padding if isinstance(padding, str) else [[0, 0], *pairs(padding), [0, 0]]


def window(a):
    return {"strides": [1, *a["strides"], 1], "padding": around(a["padding"])}


def running(f):
    return lambda a, x: f(x, axis=a["axis"], exclusive=bool(a.get("exclusive")), reverse=bool(a.get("reverse")))


def direction(a):
    return "DESCENDING" if a.get("down") else "ASCENDING"


def moments(a, x):
    return tf.nn.moments(x, a["axes"], keep_dims=bool(a.get("keep")))


def layer_norm(a, x, scale, offset):
    mean, variance = tf.nn.moments(x, a["axes"], keep_dims=True)
    return tf.nn.batch_normalization(x, mean, variance, offset, scale, a["epsilon"])


def fused_batch_norm(a, x, scale, offset):
    y, mean, variance = list(tf.nn.fused_batch_norm(x, scale, offset, epsilon=a["epsilon"]))[:3]
    # TensorFlow's gradients do not pass through these: said here, as Dormouse's would.
    return [y, tf.stop_gradient(mean), tf.stop_gradient(variance)]


def lrn(a, x):
    return tf.nn.local_response_normalization(x, a["depth_radius"], a["bias"], a["alpha"], a["beta"])


def dropout(a, x):
    if not tf2.executing_eagerly():
        return tf.nn.dropout(x, rate=a["rate"], seed=a["seed"])
    with tf.Graph().as_default(), tf.Session() as session:
        factors = session.run(tf.nn.dropout(tf.ones(x.shape, x.dtype), rate=a["rate"], seed=a["seed"]))
    return x * factors


RESIZE = {"nearest": tf.raw_ops.ResizeNearestNeighbor, "bilinear": tf.raw_ops.ResizeBilinear, "bicubic": tf.raw_ops.ResizeBicubic}


def resize(a, x):
    sampling = {"align_corners": a["places"] == "aligned", "half_pixel_centers": a["places"] == "centers"}
    if a["method"] == "area":
        return tf.raw_ops.ResizeArea(images=x, size=a["size"], align_corners=False)
    return RESIZE[a["method"]](images=x, size=a["size"], **sampling)


def norm(a, x):
    order = {"euclidean": "euclidean", "one": 1, "infinity": float("inf")}[a["kind"]]
    return tf.norm(x, ord=order, axis=a["axes"][0] if "axes" in a else None, keepdims=bool(a.get("keep")))


def strided_slice(a, x):
    masks = {k: a[k] for k in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
    return tf.strided_slice(x, a["begin"], a["end"], a["strides"], **masks)


def segments(f):
    return lambda a, x, ids: f(x, ids, a["n"])


def bincount(a, x, w=None):
    return tf.bincount(x, w, minlength=a["length"], maxlength=a["length"])


def unary():
    functions = dict(
        neg=tf.negative, abs=tf.abs, sign=tf.sign, square=tf.square, sqrt=tf.sqrt, rsqrt=tf.rsqrt, reciprocal=tf.reciprocal,
        exp=tf.exp, expm1=tf.math.expm1, log=tf.log, log1p=tf.log1p, sin=tf.sin, cos=tf.cos, tan=tf.tan, tanh=tf.tanh,
        sigmoid=tf.sigmoid, softplus=tf.nn.softplus, relu=tf.nn.relu, elu=tf.nn.elu, floor=tf.floor, ceil=tf.ceil,
        round=tf.round, logical_not=tf.logical_not, asin=tf.asin, acos=tf.acos, atan=tf.atan, sinh=tf.sinh, cosh=tf.cosh,
        asinh=tf.asinh, acosh=tf.acosh, atanh=tf.atanh, erf=tf.erf, erfc=tf.erfc, lgamma=tf.lgamma, digamma=tf.digamma,
        softsign=tf.nn.softsign, relu6=tf.nn.relu6, selu=tf.nn.selu, invert=tf.bitwise.invert, log_sigmoid=tf.log_sigmoid,
        gelu=tf2.nn.gelu, swish=tf.nn.swish, erfinv=tf.math.erfinv, ndtri=tf.math.ndtri, bessel_i0=tf.math.bessel_i0,
        bessel_i0e=tf.math.bessel_i0e, bessel_i1=tf.math.bessel_i1, bessel_i1e=tf.math.bessel_i1e, matrix_exponential=tf.linalg.expm, reciprocal_no_nan=tf.math.reciprocal_no_nan, crelu=tf.nn.crelu,
        is_nan=tf.is_nan, is_inf=tf.is_inf, is_finite=tf.is_finite, l2_loss=tf.nn.l2_loss, zero_fraction=tf.nn.zero_fraction,
        shape_of=tf.shape, size_of=tf.size, rank_of=tf.rank, diag=tf.diag, diag_part=tf.diag_part, matrix_diag=tf.matrix_diag,
        matrix_diag_part=tf.matrix_diag_part, matrix_transpose=tf.matrix_transpose, trace=tf.trace, lbeta=tf.lbeta,
        cholesky=tf.cholesky, matrix_inverse=tf.matrix_inverse, determinant=tf.matrix_determinant, logdet=tf.linalg.logdet,
        slogdet=lambda x: list(tf.linalg.slogdet(x)), flip_left_right=tf.image.flip_left_right,
        flip_up_down=tf.image.flip_up_down, transpose_image=tf.image.transpose_image, rgb_to_grayscale=tf.image.rgb_to_grayscale,
        grayscale_to_rgb=tf.image.grayscale_to_rgb, per_image_standardization=tf.image.per_image_standardization,
        rgb_to_hsv=tf.image.rgb_to_hsv, hsv_to_rgb=tf.image.hsv_to_rgb, rgb_to_yuv=tf.image.rgb_to_yuv,
        total_variation=tf.image.total_variation, image_gradients=tf.image.image_gradients, nonzero=tf.where_v2,
        stop_gradient=tf.stop_gradient, identity=tf.identity, ones_like=tf.ones_like, zeros_like=tf.zeros_like,
    )
    return {name: plain(f) for name, f in functions.items()}


def binary():
    functions = dict(
        add=tf.add, sub=tf.subtract, mul=tf.multiply, div=tf.divide, true_div=tf.truediv, floor_div=tf.floordiv,
        floor_mod=tf.floormod, pow=tf.pow, maximum=tf.maximum, minimum=tf.minimum, squared_difference=tf.squared_difference,
        equal=tf.equal, not_equal=tf.not_equal, less=tf.less, less_equal=tf.less_equal, greater=tf.greater,
        greater_equal=tf.greater_equal, logical_and=tf.logical_and, logical_or=tf.logical_or, logical_xor=tf.logical_xor,
        atan2=tf.atan2, truncate_div=tf.truncatediv, truncate_mod=tf.truncatemod, bitwise_and=tf.bitwise.bitwise_and,
        bitwise_or=tf.bitwise.bitwise_or, bitwise_xor=tf.bitwise.bitwise_xor, left_shift=tf.bitwise.left_shift,
        right_shift=tf.bitwise.right_shift, zeta=tf.zeta, xlogy=tf.math.xlogy, xdivy=tf.math.xdivy, xlog1py=tf.math.xlog1py,
        div_no_nan=tf.div_no_nan, multiply_no_nan=tf.math.multiply_no_nan, bias_add=tf.nn.bias_add, cross=tf.cross,
        gather_nd=tf.gather_nd, batch_gather=tf.batch_gather, matrix_set_diag=tf.matrix_set_diag, cholesky_solve=tf.cholesky_solve,
        matrix_solve=tf.matrix_solve, boolean_mask=tf.boolean_mask,
        sparse_softmax_cross_entropy=lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x),
        softmax_cross_entropy=lambda x, y: tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=x),
        sigmoid_cross_entropy=lambda x, y: tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x),
        select=tf.where_v2, tensor_scatter_update=tf.tensor_scatter_nd_update, tensor_scatter_add=tf.tensor_scatter_nd_add,
        tensor_scatter_sub=tf.tensor_scatter_nd_sub, polyval=lambda x, *c: tf.math.polyval(list(c), x),
        add_n=lambda *x: tf.add_n(x), igamma=tf.igamma, igammac=tf.igammac, betainc=tf.betainc, segment_sum=tf.segment_sum, segment_prod=tf.segment_prod, segment_max=tf.segment_max,
        segment_min=tf.segment_min, segment_mean=tf.segment_mean,
    )
    return {name: plain(f) for name, f in functions.items()}


def reductions():
    functions = dict(
        sum=tf.reduce_sum, mean=tf.reduce_mean, prod=tf.reduce_prod, max=tf.reduce_max, min=tf.reduce_min, any=tf.reduce_any,
        all=tf.reduce_all, logsumexp=tf.reduce_logsumexp, variance=tf.math.reduce_variance, std=tf.math.reduce_std,
        count_nonzero=tf.count_nonzero,
    )
    return {name: reduction(f) for name, f in functions.items()}


def in_halves(f, dtype):
    return lambda a, x, y: tf.cast(f(tf.cast(x, dtype), tf.cast(y, dtype)), x.dtype)


def halves():
    """One operation in numbers of 16 bits, which rounds once."""
    functions = dict(add=tf.add, sub=tf.subtract, mul=tf.multiply, maximum=tf.maximum)
    dtypes = {"f16": tf.float16, "bf16": tf.bfloat16}
    return {f"{name}_in_{dtype}": in_halves(f, t) for name, f in functions.items() for dtype, t in dtypes.items()}


def cond(a, p, x, y):
    return tf.cond(p, lambda: tf.tanh(x) + y, lambda: x * y)


def case(a, p, q, x, y):
    return tf.case([(p, lambda: x + y), (q, lambda: x * tf.sin(y))], default=lambda: x - y)


METHODS = unary() | binary() | reductions() | halves() | {
    "cond": cond,
    "case": case,
    "leaky_relu": lambda a, x: tf.nn.leaky_relu(x, a["slope"]),
    "cast": lambda a, x: tf.cast(x, DTYPES[a["to"]]),
    "clip_by_value": lambda a, x: tf.clip_by_value(x, a["low"], a["high"]),
    "approximate_equal": lambda a, x, y: tf.raw_ops.ApproximateEqual(x=x, y=y, tolerance=a["tolerance"]),
    "argmax": lambda a, x: tf.argmax(x, a["axis"]),
    "argmin": lambda a, x: tf.argmin(x, a["axis"]),
    "cumsum": running(tf.cumsum),
    "cumprod": running(tf.cumprod),
    "cumulative_logsumexp": running(tf.math.cumulative_logsumexp),
    "norm": norm,
    "mean_of_moments": lambda a, x: moments(a, x)[0],
    "variance_of_moments": lambda a, x: moments(a, x)[1],
    "weighted_moments": lambda a, x, w: tf.nn.weighted_moments(x, a["axes"], w, keep_dims=bool(a.get("keep"))),
    "matmul": lambda a, x, y: tf.matmul(x, y, transpose_a=bool(a.get("transpose_a")), transpose_b=bool(a.get("transpose_b"))),
    "einsum": lambda a, *x: tf.einsum(a["equation"], *x),
    "tensordot": lambda a, x, y: tf.tensordot(x, y, a["inner"] if "inner" in a else [a["left"], a["right"]]),
    "transpose": lambda a, x: tf.transpose(x, a["perm"]),
    "reshape": lambda a, x: tf.reshape(x, a["dims"]),
    "expand_dims": lambda a, x: tf.expand_dims(x, a["axis"]),
    "squeeze": lambda a, x: tf.squeeze(x, a["axes"]),
    "concat": lambda a, *x: tf.concat(x, a["axis"]),
    "stack": lambda a, *x: tf.stack(x, a["axis"]),
    "unstack": lambda a, x: tf.unstack(x, axis=a["axis"]),
    "split_many": lambda a, x: tf.split(x, a["parts"], a["axis"]),
    "split_sizes": lambda a, x: tf.split(x, a["sizes"], a["axis"]),
    "slice": lambda a, x: tf.slice(x, a["begin"], a["size"]),
    "strided_slice": strided_slice,
    "pad": lambda a, x: tf.pad(x, pairs(a["paddings"]), constant_values=a["value"]),
    "pad_reflect": lambda a, x: tf.pad(x, pairs(a["paddings"]), "REFLECT"),
    "pad_symmetric": lambda a, x: tf.pad(x, pairs(a["paddings"]), "SYMMETRIC"),
    "tile": lambda a, x: tf.tile(x, a["multiples"]),
    "reverse": lambda a, x: tf.reverse(x, a["axes"]),
    "roll": lambda a, x: tf.roll(x, a["shifts"], a["axes"]),
    "broadcast_to": lambda a, x: tf.broadcast_to(x, a["dims"]),
    "gather": lambda a, x, i: tf.gather(x, i, axis=a["axis"]),
    "gather_nd_batched": lambda a, x, i: tf.gather_nd(x, i, batch_dims=a["batch"]),
    "scatter_nd": lambda a, x, i: tf.scatter_nd(i, x, a["shape"]),
    "one_hot": lambda a, x: tf.one_hot(x, a["depth"], a["on"], a["off"], a["axis"], DTYPES[a["dtype"]]),
    "sequence_mask": lambda a, x: tf.sequence_mask(x, a["maxlen"]),
    "meshgrid": lambda a, *x: tf.meshgrid(*x, indexing=a["mesh"]),
    "matrix_band_part": lambda a, x: tf.matrix_band_part(x, a["lower"], a["upper"]),
    "range": lambda a, _: tf.range(a["start"], a["end"], a["step"], dtype=DTYPES[a["dtype"]]),
    "eye": lambda a, _: tf.eye(a["rows"], a["columns"], a["batch"] or None, DTYPES[a["dtype"]]),
    "space_to_depth": lambda a, x: tf.space_to_depth(x, a["block"]),
    "depth_to_space": lambda a, x: tf.depth_to_space(x, a["block"]),
    "space_to_batch_nd": lambda a, x: tf.space_to_batch_nd(x, a["block"], pairs(a["pairs"])),
    "batch_to_space_nd": lambda a, x: tf.batch_to_space_nd(x, a["block"], pairs(a["pairs"])),
    "softmax": lambda a, x: tf.nn.softmax(x, axis=a["axis"]),
    "log_softmax": lambda a, x: tf.nn.log_softmax(x, axis=a["axis"]),
    "weighted_cross_entropy": lambda a, x, y: tf.nn.weighted_cross_entropy_with_logits(labels=y, logits=x, pos_weight=a["weight"]),
    "conv2d": lambda a, x, w: tf.nn.conv2d(x, w, dilations=[1, *a["dilations"], 1], **window(a)),
    "conv2d_explicit": lambda a, x, w: tf.nn.conv2d(x, w, **window(a)),
    "depthwise_conv2d": lambda a, x, w: tf.nn.depthwise_conv2d(x, w, **window(a)),
    "separable_conv2d": lambda a, x, d, p: tf.nn.separable_conv2d(x, d, p, **window(a)),
    "atrous_conv2d": lambda a, x, w: tf.nn.atrous_conv2d(x, w, a["rate"], a["padding"]),
    "conv2d_transpose": lambda a, x, w: tf.nn.conv2d_transpose(x, w, [x.shape[0], *a["size"], w.shape[2]], **window(a)),
    "conv1d": lambda a, x, w: tf.nn.conv1d(x, w, a["stride"], a["padding"]),
    "conv3d": lambda a, x, w: tf.nn.conv3d(x, w, **window(a)),
    "max_pool": lambda a, x: tf.nn.max_pool(x, a["size"], a["strides"], a["padding"]),
    "avg_pool": lambda a, x: tf.nn.avg_pool(x, a["size"], a["strides"], a["padding"]),
    "max_pool1d": lambda a, x: tf.nn.max_pool1d(x, a["size"], a["stride"], a["padding"]),
    "avg_pool1d": lambda a, x: tf.nn.avg_pool1d(x, a["size"], a["stride"], a["padding"]),
    "max_pool3d": lambda a, x: tf.nn.max_pool3d(x, [1, *a["size"], 1], **window(a)),
    "avg_pool3d": lambda a, x: tf.nn.avg_pool3d(x, [1, *a["size"], 1], **window(a)),
    "batch_normalization": lambda a, x, m, v, o, s: tf.nn.batch_normalization(x, m, v, o, s, a["epsilon"]),
    "fused_batch_norm": fused_batch_norm,
    "dropout": dropout,
    "layer_norm": layer_norm,
    "local_response_normalization": lrn,
    "l2_normalize": lambda a, x: tf.nn.l2_normalize(x, a["axes"]),
    "top_k": lambda a, x: list(tf.nn.top_k(x, a["k"])),
    "sort": lambda a, x: tf.sort(x, axis=a["axis"], direction=direction(a)),
    "argsort": lambda a, x: tf.argsort(x, axis=a["axis"], direction=direction(a)),
    "nth_element": lambda a, x: tf.raw_ops.NthElement(input=x, n=a["n"], reverse=bool(a.get("down"))),
    "in_top_k": lambda a, x, t: tf.nn.in_top_k(x, t, a["k"]),
    "searchsorted": lambda a, x, y: tf.searchsorted(x, y, side=a["side"]),
    "unsorted_segment_sum": segments(tf.unsorted_segment_sum),
    "unsorted_segment_prod": segments(tf.unsorted_segment_prod),
    "unsorted_segment_max": segments(tf.unsorted_segment_max),
    "unsorted_segment_min": segments(tf.unsorted_segment_min),
    "unsorted_segment_mean": segments(tf.unsorted_segment_mean),
    "unsorted_segment_sqrt_n": segments(tf.unsorted_segment_sqrt_n),
    "segment_sum": lambda a, x, ids: tf.segment_sum(x, ids),
    "segment_prod": lambda a, x, ids: tf.segment_prod(x, ids),
    "segment_max": lambda a, x, ids: tf.segment_max(x, ids),
    "segment_min": lambda a, x, ids: tf.segment_min(x, ids),
    "segment_mean": lambda a, x, ids: tf.segment_mean(x, ids),
    "bincount": bincount,
    "bincount_weighted": bincount,
    "histogram_fixed_width": lambda a, x: tf.histogram_fixed_width(x, tf.constant([a["low"], a["high"]], x.dtype), a["bins"]),
    "confusion_matrix": lambda a, x, y: tf.confusion_matrix(x, y, num_classes=a["classes"]),
    "triangular_solve": lambda a, x, y: tf.matrix_triangular_solve(x, y, lower=bool(a.get("lower")), adjoint=bool(a.get("adjoint"))),
    "resize": resize,
    "crop_to_bounding_box": lambda a, x: tf.image.crop_to_bounding_box(x, *a["offset"], *a["size"]),
    "pad_to_bounding_box": lambda a, x: tf.image.pad_to_bounding_box(x, *a["offset"], *a["size"]),
    "central_crop": lambda a, x: tf.image.central_crop(x, a["fraction"]),
    "resize_with_crop_or_pad": lambda a, x: tf.image.resize_image_with_crop_or_pad(x, *a["size"]),
    "rot90": lambda a, x: tf.image.rot90(x, a["k"]),
    "adjust_brightness": lambda a, x: tf.image.adjust_brightness(x, a["delta"]),
    "adjust_contrast": lambda a, x: tf.image.adjust_contrast(x, a["factor"]),
    "adjust_saturation": lambda a, x: tf.image.adjust_saturation(x, a["factor"]),
    "adjust_hue": lambda a, x: tf.image.adjust_hue(x, a["delta"]),
    "crop_and_resize": lambda a, x, b, o: tf.image.crop_and_resize(x, b, o, a["size"], extrapolation_value=a["outside"]),
    "clip_by_norm": lambda a, x: tf.clip_by_norm(x, a["limit"]),
    "global_norm": lambda a, *x: tf.global_norm(x),
}

# Only move elements: no rounding of their own, so equal elements stay equal.
MOVING = set("""neg abs sign floor ceil round relu logical_not invert is_nan is_inf is_finite shape_of size_of rank_of diag
diag_part matrix_diag matrix_diag_part matrix_transpose flip_left_right flip_up_down transpose_image nonzero stop_gradient identity
ones_like zeros_like maximum minimum select gather_nd batch_gather matrix_set_diag boolean_mask max min transpose reshape
expand_dims squeeze concat stack unstack split_many split_sizes slice strided_slice pad pad_reflect pad_symmetric tile reverse
roll broadcast_to gather gather_nd_batched one_hot meshgrid matrix_band_part range eye space_to_depth depth_to_space
space_to_batch_nd batch_to_space_nd max_pool max_pool1d max_pool3d top_k sort nth_element crop_to_bounding_box
pad_to_bounding_box central_crop resize_with_crop_or_pad rot90 tensor_scatter_update grayscale_to_rgb relu6 clip_by_value
crelu""".split())

# Whose second gradients are not TensorFlow's on purpose (docs/from-tensorflow.md): it holds the mean in the gradient of a variance,
# and leaves the labels out of softmax_cross_entropy's.
ONCE = {"mean_of_moments", "variance_of_moments", "layer_norm", "softmax_cross_entropy"}
