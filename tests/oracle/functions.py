"""Writes what TensorFlow's mathematical functions give: the golden numbers of tests/tensorflow.

    python tests/oracle/functions.py > tests/fixtures/functions.txt

A line is a case, as tests/oracle/ops.py has it.
"""

import numpy as np
import tensorflow as tf2

from ops import EDGES, FEW, INTS, NAMES, case, emit, f32, f64, grad, i32, i64, inf, nan, noise, outer, tf, u8


def unary():
    functions = {
        "asin": tf.asin, "acos": tf.acos, "atan": tf.atan, "sinh": tf.sinh, "cosh": tf.cosh, "asinh": tf.asinh,
        "acosh": tf.acosh, "atanh": tf.atanh, "erf": tf.erf, "erfc": tf.erfc, "lgamma": tf.lgamma,
        "digamma": tf.digamma, "softsign": tf.nn.softsign, "relu6": tf.nn.relu6, "selu": tf.nn.selu,
        "log_sigmoid": tf.log_sigmoid, "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.25), "gelu": tf2.nn.gelu,
        "gelu_approximate": lambda x: tf2.nn.gelu(x, approximate=True), "swish": tf.nn.swish, "erfinv": tf.math.erfinv, "ndtri": tf.math.ndtri,
        "reciprocal_no_nan": tf.math.reciprocal_no_nan, "crelu": tf.nn.crelu,
    }
    given = {"leaky_relu": {"slope": 0.25}}
    # Where TensorFlow's own formula has lost all digits, or the results leave the range of f32.
    far = {"sinh": 80, "cosh": 80, "lgamma": 1e29, "asinh": 1e29, "acosh": 1e29, "selu": 1e29, "softsign": 1e29,
           "digamma": 1e29, "log_sigmoid": 80, "erfc": 9, "gelu": 1e7, "gelu_approximate": 1e7, "swish": 1e7,
           "reciprocal_no_nan": 1e29}
    within = {"asin": [-0.75, -0.25, 0.0, 0.5, 0.9], "acos": [-0.75, -0.25, 0.0, 0.5, 0.9], "acosh": [1.1, 1.5, 2.0, 30.0],
              "atanh": [-0.9, -0.25, 0.0, 0.5], "erfinv": [-0.9, -0.25, 0.0, 0.5], "ndtri": [0.01, 0.25, 0.5, 0.9], "lgamma": [0.1, 0.5, 1.5, 2.5, 7.25, 30.0, -0.5, -1.75, -2.25],
              "digamma": [0.1, 0.5, 1.25, 2.5, 7.25, 30.0, -0.5, -1.75, -2.25]}
    for name, f in functions.items():
        attributes = given.get(name, {})
        # TensorFlow's gelu of f64 has the digits of f32.
        for dtype in (f32,) if name.startswith("gelu") else (f32, f64):
            x = [e for e in EDGES if not (name in far and np.isfinite(e) and abs(e) > far[name])]
            if name in ("digamma", "lgamma"):
                # Poles, and negative numbers whose fraction f32 hardly holds.
                x = [e for e in x if not np.isfinite(e) or e > 0]
            if name == "erf" and dtype == f64:
                # TensorFlow gives NaN at infinity.
                x = [e for e in x if not np.isinf(e)]
            case(name, f, np.array(x, dtype), **attributes)
            grad(name, f, np.array(within.get(name, [-2.5, -1.0, -0.25, 0.5, 1.0, 3.0, 6.5]), dtype), **attributes)
    for name in ("relu6", "selu", "softsign", "leaky_relu", "crelu"):
        grad(name, functions[name], np.array([0.0, 6.0, -0.0], f32), **given.get(name, {}))
    for name in ("lgamma", "digamma"):
        case(name, functions[name], np.array([0.0, -1.0, -2.0, -30.0], f64))
    tests = {"is_nan": tf.is_nan, "is_inf": tf.is_inf, "is_finite": tf.is_finite}
    for name, f in tests.items():
        for dtype in (f32, f64):
            case(name, f, np.array(EDGES, dtype))
        case(name, f, np.zeros([0, 2], f32))
    for dtype in (i32, i64, u8):
        case("invert", tf.bitwise.invert, np.array(INTS[dtype], dtype))
    for name, f in functions.items():
        case(name, f, np.zeros([2, 0], f32), **given.get(name, {}))
    # Where the slope is infinite, but nothing reaches it.
    for name, f in {"sqrt": tf.sqrt, "rsqrt": tf.rsqrt, "reciprocal": tf.reciprocal}.items():
        grad(f"{name}_where_positive", lambda x: tf.where(x > 0, f(x), tf.zeros_like(x)), np.array([0.0, 0.25, 4.0, -0.0], f32))
    for dtype in (i32, i64, u8):
        case("relu6", tf.nn.relu6, np.array(INTS[dtype], dtype))
        case("round", tf.round, np.array(INTS[dtype], dtype))


def binary():
    for dtype in (f32, f64):
        case("atan2", tf.atan2, *outer(FEW, FEW, dtype))
        # The quotient of 1e30 and 0.1 is beyond whole numbers, and so is its rest.
        values = [v for v in FEW if v != 1e30] + [0.5, -0.3, 7.25]
        case("truncate_mod", tf.truncatemod, *outer(values, values, dtype))
    grad("atan2", tf.atan2, np.array([[1.0], [-2.0], [0.5]], f32), np.array([0.5, -1.5, 3.0], f32))
    for dtype in (i32, i64, u8):
        values = INTS[dtype]
        other = [v for v in values if v != 0]
        # The lowest integer by -1 has no quotient; TensorFlow's process ends.
        pairs = [(a, b) for a in values for b in other if not (b == -1 and a == min(values))]
        a, b = (np.array(x, dtype) for x in zip(*pairs))
        case("truncate_div", tf.truncatediv, a, b)
        if dtype != u8:
            case("truncate_mod", tf.truncatemod, a, b)
        for name, f in {"bitwise_and": tf.bitwise.bitwise_and, "bitwise_or": tf.bitwise.bitwise_or, "bitwise_xor": tf.bitwise.bitwise_xor}.items():
            case(name, f, *outer(values, values, dtype))
        places = [0, 1, 2, 7, 8, 31, 32, 63, 64, 100] + ([] if dtype == u8 else [-1, -100])
        case("left_shift", tf.bitwise.left_shift, *outer(values, places, dtype))
        case("right_shift", tf.bitwise.right_shift, *outer(values, places, dtype))
    # TensorFlow fails with an error that it calls unexpected.
    emit("truncate_div", [i32([1, 2]), i32([1, 0])], None, {})
    emit("truncate_mod", [i32([1, 2]), i32([0, 1])], None, {})
    for dtype in (f32, f64):
        case("zeta", tf.zeta, *outer([1.5, 2.0, 3.0, 7.5, 30.0, 1.0, 0.5, nan], [0.25, 1.0, 2.5, 10.0, 77.0], dtype))
        case("polygamma", tf.polygamma, *outer([0.0, 1.0, 2.0, 5.0, 0.5, -1.0, nan], [0.25, 1.0, 2.5, 10.0, 77.0], dtype))
        edges = [0.0, -0.0, 1.0, -2.5, inf, nan]
        for name, f in {"xlogy": tf.math.xlogy, "xdivy": tf.math.xdivy, "xlog1py": tf.math.xlog1py, "div_no_nan": tf.div_no_nan,
                        "multiply_no_nan": tf.math.multiply_no_nan}.items():
            case(name, f, *outer(edges, edges, dtype))
            grad(name, f, np.array([[0.0], [1.0], [-2.5]], dtype), np.array([0.5, 1.0, 3.0], dtype))
    polygamma = lambda n: lambda x: tf.polygamma(tf.constant(n, x.dtype), x)
    for n in (1.0, 2.0):
        grad("polygamma_of", polygamma(n), np.array([0.5, 1.25, 3.0, 12.0], f64), order=n)
    grad("zeta_of", lambda q: tf.zeta(tf.constant(2.5, q.dtype), q), np.array([0.5, 1.25, 3.0, 12.0], f64), s=2.5)
    for name, f in {"xdivy": tf.math.xdivy, "div_no_nan": tf.div_no_nan}.items():
        grad(name, f, np.array([0.0, 1.0], f32), np.array([0.0, 2.0], f32))
    grad("div_no_nan", tf.div_no_nan, np.array([3.0, 1.0], f32), np.array([0.0, 2.0], f32))
    for tolerance in (1e-5, 0.5):
        make = lambda a, b: tf.raw_ops.ApproximateEqual(x=a, y=b, tolerance=tolerance)
        case("approximate_equal", make, f64([0.0, 1.0, 1.25, 1.0, nan, inf]), f64([0.0, 1.00000001, 1.5, 2.0, nan, inf]), tolerance=tolerance)
    coefficients = [noise([2, 3], seed=1), noise([2, 3], seed=2), noise([3], seed=3)]
    grad("polyval", lambda x, *c: tf.math.polyval(list(c), x), noise([2, 3]), *coefficients)
    grad("lbeta", tf.lbeta, np.array([[1.0, 2.5, 0.5], [3.0, 0.25, 7.0]], f32))
    case("lbeta", tf.lbeta, np.array(2.5, f64).reshape([1]))
    case("lbeta", tf.lbeta, np.zeros([0], f32))
    case("lbeta", tf.lbeta, np.zeros([2, 0], f32))


def special():
    bessel = {"bessel_i0": tf.math.bessel_i0, "bessel_i0e": tf.math.bessel_i0e, "bessel_i1": tf.math.bessel_i1, "bessel_i1e": tf.math.bessel_i1e}
    # TensorFlow gives NaN at infinity.
    x = [nan, 0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -7.25, 8.0, -8.5, 20.0, -80.0, 1e-7]
    for name, f in bessel.items():
        for dtype in (f32, f64):
            case(name, f, np.array(x, dtype))
            # TensorFlow's slope of bessel_i1 at 0 is 1.
            grad(name, f, np.array([0.0, -0.25, 1.0, 3.0, -7.5, 9.0, 30.0][name == "bessel_i1" :], dtype))
        case(name, f, np.zeros([2, 0], f32))
    shapes, limits = [0.5, 1.0, 2.5, 9.0, 40.0], [0.0, 1e-3, 0.5, 1.0, 3.0, 10.0, 37.5]
    for name, f in {"igamma": tf.igamma, "igammac": tf.igammac}.items():
        for dtype in (f32, f64):
            edges = [0.0, -0.0, 1.0, -1.0, 0.5, inf, nan]
            case(name, f, *outer([1.0, -1.0, 0.5, inf, nan], edges, dtype))
            case(name, f, *outer(shapes, limits, dtype))
        grad(name, f, np.array([[0.5], [2.5], [9.0]], f64), np.array([0.25, 2.0, 8.5], f64))
        case(name, f, np.zeros([0, 2], f32), np.zeros([1], f32))
    draw = lambda a, x: tf.raw_ops.RandomGammaGrad(alpha=a, sample=x)
    case("random_gamma_grad", draw, np.array([0.5, 1.0, 2.5, 9.0, 40.0], f64), np.array([0.3, 1.5, 2.0, 7.5, 44.0], f64))
    for dtype in (f32, f64):
        grad("random_gamma", lambda a: tf.random_gamma([4], a, seed=5, dtype=a.dtype), np.array([1.5, 2.5, 9.0, 40.0], dtype), samples=4, seed=5)
        grad("random_gamma", lambda a, b: tf.random_gamma([4], a, b, seed=5, dtype=a.dtype), np.array([[1.5], [2.5]], dtype), np.array([0.5, 3.0], dtype), samples=4, seed=5)
    for dtype in (f32, f64):
        a, b, x = (t.ravel() for t in np.meshgrid([0.5, 2.0, 7.5], [0.25, 1.0, 4.5], [0.0, 0.1, 0.5, 0.875, 1.0]))
        case("betainc", tf.betainc, a.astype(dtype), b.astype(dtype), x.astype(dtype))
    edges = [0.0, 1.0, -1.0, 0.5, inf, nan, 2.0]
    a, b, x = (t.ravel() for t in np.meshgrid([1.0, -1.0, 0.5, 0.0], [1.0, -1.0, 0.5, 0.0], edges))
    case("betainc", tf.betainc, a, b, x)
    case("betainc", tf.betainc, *([np.zeros([2, 0], f32)] * 3))
    of = lambda x: tf.betainc(tf.constant(2.5, x.dtype, x.shape), tf.constant(0.75, x.dtype, x.shape), x)
    grad("betainc_of", of, np.array([0.1, 0.5, 0.875], f64), a=2.5, b=0.75)
    case("bitcast", lambda t: tf.bitcast(t, i64), np.array([[1, 2, 3]], i32), to="i64")
    case("bitcast", lambda t: tf.bitcast(t, u8), np.zeros([0, 3], i32), to="u8")
    case("bitcast", lambda t: tf.bitcast(t, i32), np.array(1.5, f32), to="i32")
    for dtype in (f32, f64):
        grad("matrix_exponential", tf.linalg.expm, noise([2, 3, 3], dtype))
        case("matrix_exponential", tf.linalg.expm, noise([4, 4], dtype, scale=20.0))
    case("matrix_exponential", tf.linalg.expm, np.array([[-2.5]], f64))
    case("matrix_exponential", tf.linalg.expm, np.zeros([3, 3], f64))
    case("matrix_exponential", tf.linalg.expm, np.zeros([0, 2, 2], f32))


def segments():
    unsorted = {"sum": tf.unsorted_segment_sum, "prod": tf.unsorted_segment_prod, "max": tf.unsorted_segment_max,
                "min": tf.unsorted_segment_min, "mean": tf.unsorted_segment_mean, "sqrt_n": tf.unsorted_segment_sqrt_n}
    in_order = {"sum": tf.segment_sum, "prod": tf.segment_prod, "max": tf.segment_max, "min": tf.segment_min, "mean": tf.segment_mean}
    for name, f in unsorted.items():
        method, make = f"unsorted_segment_{name}", lambda x, ids: f(x, ids, 4)
        for dtype in (f32, f64):
            grad(method, make, noise([6, 2], dtype), i32([2, 0, -1, 2, 2, 0]), n=4)
            grad(method, make, np.array([1.0, 3.0, 3.0, 0.0, 0.0, -0.5], dtype), i64([1, 1, 1, 0, 3, 3]), n=4)
        grad(method, make, noise([2, 3, 2]), i32([[2, 0, 1], [3, -5, 0]]), n=4)
        case(method, make, np.array([1.0, nan, nan, 2.0, -inf, inf], f32), i32([0, 0, 1, 1, 2, 3]), n=4)
        case(method, make, np.array([-inf, -inf, inf, inf, -0.0, 0.0], f32), i32([0, 0, 1, 1, 2, 3]), n=4)
        for dtype in (i32, i64, u8):
            if name != "sqrt_n":
                case(method, make, noise([5, 3], dtype), i32([3, 1, -1, 3, 0]), n=4)
        case(method, make, noise([2, 3]), i32([0, 4]), n=4)
        case(method, make, noise([2, 3]), i32([0, 1, 2]), n=4)
        case(method, make, np.zeros([0, 3], f32), np.zeros([0], i32), n=4)
        case(method, lambda x, ids: f(x, ids, 0), noise([2, 3]), i32([-1, -1]), n=0)
    for name, f in in_order.items():
        # TensorFlow has as many segments as the last number tells.
        method, n = f"segment_{name}", 4
        for dtype in (f32, f64):
            grad(method, f, noise([6, 2], dtype), i32([0, 0, 2, 2, 2, 3]), n=n)
        if name != "prod":
            grad(method, f, np.array([1.0, 3.0, 3.0, 0.0, 0.0, -0.5], f32), i64([1, 1, 1, 3, 3, 3]), n=n)
        case(method, f, np.array([1.0, nan, nan, 2.0, -inf, inf], f32), i32([0, 0, 1, 1, 2, 3]), n=n)
        case(method, f, np.array([-inf, -inf, inf, inf, -0.0, 0.0], f32), i32([0, 0, 1, 1, 2, 3]), n=n)
        for dtype in (i32, i64, u8):
            case(method, f, noise([5, 3], dtype), i32([0, 0, 1, 3, 3]), n=n)
        case(method, f, noise([3, 2]), i32([0, 2, 1]), n=n)
        case(method, f, noise([3, 2]), i32([-1, 0, 1]), n=n)
        case(method, f, noise([3, 2]), i32([0, 1]), n=n)
    for values in ([1, 1, 5, 2, 0], [[1, 3], [3, 3]], [], [1, -1]):
        case("bincount", lambda x: tf.bincount(x, minlength=4, maxlength=4), np.array(values, i32), length=4)
    case("bincount_weighted", lambda x, w: tf.bincount(x, w, minlength=4, maxlength=4), i32([1, 1, 2, 7]), f32([0.5, 1, 2, 9]), length=4)
    case("bincount_weighted", lambda x, w: tf.bincount(x, w, minlength=4, maxlength=4), i32([[1, 1], [2, 0]]), f64([[0.5, 1], [2, 9]]), length=4)
    for values in ([-1.0, 0.0, 1.5, 2.0, 4.999, 5.0, 15.0, inf, -inf], [nan], []):
        case("histogram_fixed_width", lambda x: tf.histogram_fixed_width(x, tf.constant([0.0, 5.0], x.dtype), 5), np.array(values, f32), low=0.0, high=5.0, bins=5)
        case("histogram_fixed_width", lambda x: tf.histogram_fixed_width(x, tf.constant([-1.0, 2.0], x.dtype), 7), np.array(values, f64), low=-1.0, high=2.0, bins=7)
    case("histogram_fixed_width", lambda x: tf.histogram_fixed_width(x, tf.constant([0, 5], x.dtype), 5), i32([-1, 0, 1, 2, 5, 15]), low=0, high=5, bins=5)
    confusion = lambda a, b: tf.confusion_matrix(a, b, num_classes=3)
    for a, b in [([1, 1, 2, 1], [0, 1, 2, 0]), ([0, 3], [0, 1]), ([0, 1], [0, 3]), ([-1, 0], [0, 0]), ([], [])]:
        case("confusion_matrix", confusion, np.array(a, i64), np.array(b, i64), classes=3)
    weighted = lambda a, b, w: tf.confusion_matrix(a, b, num_classes=3, weights=w, dtype=w.dtype)
    case("confusion_matrix_weighted", weighted, i32([1, 1, 2]), i32([0, 1, 2]), f32([0.5, 1, 2]), classes=3)


def order():
    for k in (0, 1, 2, 5):
        for dtype in (f32, f64):
            grad("top_k", lambda x: tf.nn.top_k(x, k), noise([3, 5], dtype), k=k)
        for dtype in (i32, i64, u8):
            case("top_k", lambda x: tf.nn.top_k(x, k), np.array([[3, 1, 3, 2, 3], [0, 0, 5, 5, 1]], dtype), k=k)
        case("top_k", lambda x: tf.nn.top_k(x, k), np.array([-0.0, inf, 0.0, -inf, inf], f32), k=k)
        case("top_k", lambda x: tf.nn.top_k(x, k), noise([2, 1, 3]), k=k)
    case("top_k", lambda x: tf.nn.top_k(x, 1), noise([]), k=1)
    case("top_k", lambda x: tf.nn.top_k(x, 0), np.zeros([2, 0], f32), k=0)
    case("top_k", lambda x: tf.nn.top_k(x, 1), np.zeros([0, 2], f32), k=1)
    for down, axis in [(False, -1), (True, -1), (False, 0), (True, 1), (False, 2), (False, 3)]:
        direction = "DESCENDING" if down else "ASCENDING"
        for name, f in {"sort": tf.sort, "argsort": tf.argsort}.items():
            make = lambda x: f(x, axis=axis, direction=direction)
            for dtype in (f32, i32, i64, u8):
                emit_case = grad if dtype == f32 and name == "sort" and axis < 3 else case
                emit_case(name, make, noise([2, 3, 4], dtype), axis=axis, down=down)
            if axis == -1:
                for dtype in (i32, i64, u8):
                    case(name, make, np.array(INTS[dtype], dtype)[::-1].copy(), axis=axis, down=down)
                case(name, make, np.array([-0.0, inf, 0.0, -inf, 1.0, inf], f32), axis=axis, down=down)
                case(name, make, np.zeros([2, 0], f32), axis=axis, down=down)
    for n, down in [(0, False), (2, False), (2, True), (5, False)]:
        make = lambda x: tf.raw_ops.NthElement(input=x, n=n, reverse=down)
        case("nth_element", make, noise([3, 5]), n=n, down=down)
        case("nth_element", make, noise([3, 5], i32), n=n, down=down)
    predictions = f32([[1, 2, 3, 3], [1, nan, 3, 0], [1, 1, 1, 1], [inf, 1, 2, 0], [0.5, 0.25, -1, 4]])
    for targets in ([1, 0, 2, 1, 0], [3, 2, 3, 0, 1], [4, -1, 0, 7, 3]):
        for k in (0, 1, 2, 9):
            case("in_top_k", lambda x, t: tf.nn.in_top_k(x, t, k), predictions, np.array(targets, i32), k=k)
    case("in_top_k", lambda x, t: tf.nn.in_top_k(x, t, 1), noise([4]), i32([1]), k=1)
    for side in ("left", "right"):
        make = lambda rows, x: tf.searchsorted(rows, x, side=side)
        for dtype in (f32, f64, i32, i64):
            case("searchsorted", make, np.array([[0, 2, 2, 5], [1, 1, 3, 3]], dtype), np.array([[2, 0, 9], [0, 1, 4]], dtype), side=side)
        case("searchsorted", make, f32([1, 3, 3, 5]), f32([0, 3, 4, 5, 9, nan, inf, -inf, -0.0]), side=side)
        case("searchsorted", make, f32([-inf, 0, 0, nan]), f32([0, nan, inf, -inf, -0.0]), side=side)
        case("searchsorted", make, np.zeros([0], f32), f32([0, 1]), side=side)
        case("searchsorted", make, noise([2, 3]), noise([3, 3]), side=side)
    for dtype in (tf.int32, tf.int64):
        case("argmax_as", lambda x: tf.argmax(x, 1, output_type=dtype), noise([2, 3, 2]), axis=1, output=NAMES[dtype.name])
        case("argmin_as", lambda x: tf.argmin(x, -1, output_type=dtype), noise([2, 3, 2], u8), axis=-1, output=NAMES[dtype.name])
    case("argmax", lambda x: tf.argmax(x, 1), np.array([[False, True, True], [False, False, False]]), axis=1)
    case("argmin", lambda x: tf.argmin(x, 1), np.array([[False, True, True], [True, True, False]]), axis=1)


def statistics():
    every = [(None, False), ([0], False), ([1], True), ([-1], False), ([0, 2], False), ([2, 0, 1], True), ([], False)]

    def along(name, f, x, axes, keep, emit_case, **attributes):
        given = {} if axes is None else {"axes": axes, "keep": keep}
        emit_case(name, lambda x, *rest: f(x, axis=axes, keepdims=keep), x, **given, **attributes)

    reductions = {"logsumexp": tf.reduce_logsumexp, "variance": tf.math.reduce_variance, "std": tf.math.reduce_std,
                  "count_nonzero": tf.count_nonzero}
    for name, f in reductions.items():
        for axes, keep in every:
            along(name, f, noise([2, 3, 4]), axes, keep, case if name == "count_nonzero" or axes == [] else grad)
            along(name, f, noise([2, 3, 4], f64), axes, keep, case)
        along(name, f, np.zeros([0, 3], f32), [0], False, case)
        along(name, f, np.zeros([0, 3], f32), None, False, case)
    for x in ([inf, 1.0], [-inf, -inf], [-inf, 1.0], [nan, inf], [89.0, 80.0], [1e30, 1e30]):
        case("logsumexp", tf.reduce_logsumexp, np.array(x, f32))
    for x in (f32([0.0, -0.0, nan, 1.0]), i32([0, 1, -1]), np.array([True, False])):
        case("count_nonzero", tf.count_nonzero, x)
    for x in (f32([0.0, -0.0, nan, 1.0]), np.zeros([0], f32), noise([2, 3], i32)):
        case("zero_fraction", tf.nn.zero_fraction, x)
    for kind, order in {"euclidean": "euclidean", "one": 1, "infinity": np.inf, "3.5": 3.5}.items():
        for axes, keep in [(None, False), ([1], False), ([-1], True), ([0], False)]:
            axis = None if axes is None else axes[0]
            given = {} if axes is None else {"axes": axes, "keep": keep}
            make = lambda x: tf.norm(x, ord=order, axis=axis, keepdims=keep)
            grad("norm", make, noise([2, 3, 2]), kind=kind, **given)
            case("norm", make, noise([2, 3, 2], f64), kind=kind, **given)
        if kind != "3.5":
            for rows, columns in [(0, 1), (-1, -2), (2, 0)]:
                make = lambda x: tf.norm(x, ord=order, axis=[rows, columns])
                grad("matrix_norm", make, noise([2, 3, 2]), kind=kind, rows=rows, columns=columns)
    for axes, keep in [([0], False), ([0, 1], False), ([-1], True), ([1, 2, 0], False)]:
        for dtype in (f32, f64):
            grad("mean_of_moments", lambda x: tf.nn.moments(x, axes, keep_dims=keep)[0], noise([2, 3, 4], dtype), axes=axes, keep=keep)
            grad("variance_of_moments", lambda x: tf.nn.moments(x, axes, keep_dims=keep)[1], noise([2, 3, 4], dtype), axes=axes, keep=keep)
        for weights in (np.abs(noise([2, 3, 4], seed=1)), np.abs(noise([3, 1], seed=2)), f32(2.0), np.zeros([1, 1, 4], f32)):
            make = lambda x, w: tf.nn.weighted_moments(x, axes, w, keep_dims=keep)
            # Of no weight at all TensorFlow gives NaN.
            if np.any(weights):
                case("weighted_moments", make, noise([2, 3, 4]), weights, axes=axes, keep=keep)
    case("weighted_moments", lambda x, w: tf.nn.weighted_moments(x, [0], w), noise([2, 3]), np.zeros([2, 3], f32), axes=[0])
    case("normalized", lambda x: tf.nn.normalize_moments(*tf.nn.sufficient_statistics(x, [0])), noise([4, 3]))
    case("normalized_shifted", lambda x, s: tf.nn.normalize_moments(*tf.nn.sufficient_statistics(x, [0], shift=s)), noise([4, 3]), f32(0.75))
    for exclusive in (False, True):
        for reverse in (False, True):
            def running(x, axis, emit_case):
                make = lambda x: tf.math.cumulative_logsumexp(x, axis=axis, exclusive=exclusive, reverse=reverse)
                emit_case("cumulative_logsumexp", make, x, axis=axis, exclusive=exclusive, reverse=reverse)
            # Of none TensorFlow gives the lowest number in places, whose gradient is of no use.
            running(noise([2, 4]), 1, case if exclusive else grad)
            running(noise([2, 3, 2], f64), -2, case if exclusive else grad)
            running(f32([89.0, 1.0, 88.0, -80.0]), 0, case)
            if not exclusive:
                running(f32([inf, 1.0]), 0, case)
                running(f32([-inf, -inf, 2.0]), 0, case)
    grad("cross", tf.cross, noise([2, 3]), noise([2, 3], seed=1))
    case("cross", tf.cross, noise([3], i32), noise([3], i32, 1))
    case("cross", tf.cross, noise([2]), noise([2]))


def systems():
    a = np.array([[[4, 2, 9], [2, 3, 9], [1, 1, 2]], [[-1, 0.5, 2], [0, 3, 1.5], [2, -0.25, 1]]], f64)
    spd = np.array([[[3, 0.5, -0.25], [0.5, 2, 0.75], [-0.25, 0.75, 1.5]], [[1.25, -0.5, 0.25], [-0.5, 2.5, 0], [0.25, 0, 0.75]]], f64)
    b = noise([2, 3, 2], f64, 1)
    for dtype in (f32, f64):
        x, y, p = a.astype(dtype), b.astype(dtype), spd.astype(dtype)
        grad("cholesky", tf.cholesky, p)
        case("cholesky", tf.cholesky, p[0])
        grad("determinant", tf.matrix_determinant, x)
        grad("log_of_slogdet", lambda a: tf.linalg.slogdet(a)[1], x)
        case("slogdet", lambda a: list(tf.linalg.slogdet(a)), x)
        case("slogdet", lambda a: list(tf.linalg.slogdet(a)), x[0] - 4)
        grad("logdet", tf.linalg.logdet, p)
        grad("matrix_inverse", tf.matrix_inverse, x)
        grad("matrix_solve", tf.matrix_solve, x, y)
        grad("matrix_solve_adjoint", lambda a, b: tf.matrix_solve(a, b, adjoint=True), x, y)
        for lower in (True, False):
            for adjoint in (True, False):
                make = lambda a, b: tf.matrix_triangular_solve(a, b, lower=lower, adjoint=adjoint)
                grad("triangular_solve", make, x, y, lower=lower, adjoint=adjoint)
        case("triangular_solve_broadcast", tf.matrix_triangular_solve, x[0], y)
        grad("cholesky_solve", tf.cholesky_solve, np.tril(p), y)
    for method, f in {"determinant": tf.matrix_determinant, "cholesky": tf.cholesky, "matrix_inverse": tf.matrix_inverse,
                      "slogdet": lambda a: list(tf.linalg.slogdet(a))}.items():
        for shape in ([2, 0, 0], [0, 2, 2]):
            case(method, f, np.zeros(shape, f32))
        case(method, f, f32([[2.5]]))
        case(method, f, noise([2, 3]))
        case(method, f, noise([3]))
    case("determinant", tf.matrix_determinant, f32([[inf, 2], [2, 4]]))
    case("determinant", tf.matrix_determinant, f32([[nan, 2], [2, 4]]))
    for singular in (f32([[1, 2], [2, 4]]), f32([[0, 0], [0, 0]])):
        case("determinant", tf.matrix_determinant, singular)
        case("matrix_inverse", tf.matrix_inverse, singular)
        case("matrix_solve", tf.matrix_solve, singular, f32([[1], [2]]))
    case("matrix_inverse", tf.matrix_inverse, f32([[nan, 2], [2, 4]]))
    case("matrix_solve", tf.matrix_solve, a[0].astype(f32), np.ones([3, 0], f32))
    case("matrix_solve", tf.matrix_solve, a[0].astype(f32), np.ones([2, 2], f32))
    case("matrix_solve", tf.matrix_solve, np.zeros([0, 0], f32), np.ones([0, 2], f32))
    # TensorFlow fills results with NaN or infinities, as of some version; before that it failed.
    for bad in ([[1, 2], [2, 1]], [[0, 0], [0, 1]], [[nan, 0], [0, 1]]):
        emit("cholesky", [f32(bad)], None, {})
    emit("triangular_solve", [f32([[0, 2], [2, 4]]), f32([[1], [1]])], None, {"lower": True, "adjoint": False})
    for x, y, l2 in [(noise([4, 2]), noise([4, 1], seed=1), 0.0), (noise([2, 4]), noise([2, 1], seed=1), 0.0), (noise([2, 4, 2]), noise([2, 4, 3], seed=1), 0.5)]:
        case("lstsq", lambda a, b: tf.matrix_solve_ls(a, b, l2_regularizer=l2), x, y, l2=l2)


def factors():
    """What does not depend on the signs that vectors have."""
    deep, flat, square = noise([2, 4, 3], f64), noise([3, 5], f64, 1), noise([2, 3, 3], f64, 2) + 3 * np.eye(3)

    def polar(a):
        _, u, v = tf.svd(a)
        return tf.matmul(u, v, adjoint_b=True)

    def eig_of(a):
        e, v = tf.self_adjoint_eig(a)
        return tf.matmul(v * tf.sin(e)[..., None, :], v, adjoint_b=True)

    for dtype in (f32, f64):
        for a in (deep, flat, square):
            x = a.astype(dtype)
            grad("qr", lambda a: list(tf.qr(a)), x)
            grad("qr_r", lambda a: tf.qr(a)[1], x)
            grad("singular_values", lambda a: tf.svd(a, compute_uv=False), x)
            grad("polar", polar, x)
            case("svd_full_values", lambda a: tf.svd(a, full_matrices=True)[0], x)
            case("pinv", tf.linalg.pinv, x)
            case("matrix_rank", tf.linalg.matrix_rank, x)
        case("qr_full", lambda a: list(tf.qr(a, full_matrices=True)), deep.astype(dtype))
        grad("self_adjoint_eigvals", tf.self_adjoint_eigvals, square.astype(dtype))
        grad("eig_of", eig_of, square.astype(dtype))
        for shape in ([0, 3], [3, 0], [2, 0, 0]):
            case("singular_values", lambda a: tf.svd(a, compute_uv=False), np.zeros(shape, dtype))
        case("singular_values", lambda a: tf.svd(a, compute_uv=False), np.ones([3, 4], dtype))
        case("matrix_rank", tf.linalg.matrix_rank, np.ones([3, 4], dtype))
        case("pinv", tf.linalg.pinv, np.ones([3, 4], dtype))
        case("self_adjoint_eigvals", tf.self_adjoint_eigvals, np.zeros([2, 2], dtype))
    for name, f in (("singular_values", lambda a: tf.svd(a, compute_uv=False)), ("self_adjoint_eigvals", tf.self_adjoint_eigvals)):
        case(name, f, noise([3]))
    case("self_adjoint_eigvals", tf.self_adjoint_eigvals, noise([2, 3]))


def clips():
    for limit in (0.5, 1.0, 100.0):
        grad("clip_by_norm", lambda x: tf.clip_by_norm(x, limit), noise([2, 3]), limit=limit)
        grad("clip_by_norm", lambda x: tf.clip_by_norm(x, limit, axes=[1]), noise([2, 3]), limit=limit, axes=[1])
        grad("clip_by_average_norm", lambda x: tf.clip_by_average_norm(x, limit), noise([2, 3]), limit=limit)
        case("clip_by_average_norm", lambda x: tf.clip_by_average_norm(x, limit), np.zeros([3], f32), limit=limit)
        case("clip_by_norm", lambda x: tf.clip_by_norm(x, limit), np.zeros([3], f32), limit=limit)
        case("clip_by_norm", lambda x: tf.clip_by_norm(x, limit), f32([1.0, nan, inf]), limit=limit)
        for norm in (None, 2.0, inf, nan):
            make = lambda a, b: tf.clip_by_global_norm([a, b], limit, use_norm=None if norm is None else tf.constant(norm))[0]
            attributes = {"limit": limit} if norm is None else {"limit": limit, "norm": norm}
            case("clip_by_global_norm", make, noise([2, 3]), noise([4], seed=1), **attributes)
    case("global_norm", lambda a, b: tf.global_norm([a, b]), noise([2, 3]), noise([4], seed=1))


if __name__ == "__main__":
    print("# Made by tests/oracle/functions.py with TensorFlow", tf.__version__)
    unary()
    binary()
    special()
    segments()
    order()
    statistics()
    systems()
    factors()
    clips()
