"""Writes what TensorFlow's mathematical functions give: the golden numbers of tests/tensorflow.

    python tests/oracle/functions.py > tests/fixtures/functions.txt

A line is a case, as tests/oracle/ops.py has it.
"""

import numpy as np
import tensorflow as tf2

from ops import EDGES, FEW, INTS, case, emit, f32, f64, grad, i32, i64, inf, nan, noise, outer, tf, u8


def unary():
    functions = {
        "asin": tf.asin, "acos": tf.acos, "atan": tf.atan, "sinh": tf.sinh, "cosh": tf.cosh, "asinh": tf.asinh,
        "acosh": tf.acosh, "atanh": tf.atanh, "erf": tf.erf, "erfc": tf.erfc, "lgamma": tf.lgamma,
        "digamma": tf.digamma, "softsign": tf.nn.softsign, "relu6": tf.nn.relu6, "selu": tf.nn.selu,
        "log_sigmoid": tf.log_sigmoid, "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.25), "gelu": tf2.nn.gelu,
        "gelu_approximate": lambda x: tf2.nn.gelu(x, approximate=True), "swish": tf.nn.swish,
        "reciprocal_no_nan": tf.math.reciprocal_no_nan, "crelu": tf.nn.crelu,
    }
    given = {"leaky_relu": {"slope": 0.25}}
    # Where TensorFlow's own formula has lost all digits, or the results leave the range of f32.
    far = {"sinh": 80, "cosh": 80, "lgamma": 1e29, "asinh": 1e29, "acosh": 1e29, "selu": 1e29, "softsign": 1e29,
           "digamma": 1e29, "log_sigmoid": 80, "erfc": 9, "gelu": 1e7, "gelu_approximate": 1e7, "swish": 1e7,
           "reciprocal_no_nan": 1e29}
    within = {"asin": [-0.75, -0.25, 0.0, 0.5, 0.9], "acos": [-0.75, -0.25, 0.0, 0.5, 0.9], "acosh": [1.1, 1.5, 2.0, 30.0],
              "atanh": [-0.9, -0.25, 0.0, 0.5], "lgamma": [0.1, 0.5, 1.5, 2.5, 7.25, 30.0, -0.5, -1.75, -2.25],
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


if __name__ == "__main__":
    print("# Made by tests/oracle/functions.py with TensorFlow", tf.__version__)
    unary()
    binary()
