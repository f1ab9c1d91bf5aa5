"""Writes what TensorFlow's operations give, edge cases first: the golden numbers of tests/tensorflow.rs.

    pip install tensorflow-cpu          # 2.21.0 was used, on x86-64
    python tests/oracle/ops.py > tests/fixtures/tensorflow.txt

A line is a case: the name of a Dormouse method, attributes as key=value, then after each `|` an operand, and after `=>`
the results, apart by `|`. An array is its dtype, its extents and its elements in row-major order. In a case of `grad NAME`
the last operand is w, shaped as the result, and the results are the gradients of sum(w * y) by each float operand. `error`
stands for a run that fails. Numbers are the shortest decimals that give their bits back; a run of n equal ones is n*x.

Left out on purpose: denormal numbers (TensorFlow flushes them to zero), floats cast to integers that cannot hold them
(TensorFlow gives what the instruction gives; Dormouse saturates), and cumprod's gradient at zeros
(TensorFlow gives 0 there, which is not the gradient).
"""

import itertools
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.FATAL)
nan, inf = np.nan, np.inf
f32, f64, i32, i64, u8 = np.float32, np.float64, np.int32, np.int64, np.uint8
NAMES = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}


def number(x):
    if isinstance(x, (bool, np.bool_)):
        return str(int(x))
    if isinstance(x, np.integer):
        return str(int(x))
    if np.isnan(x):
        return "nan"
    text = np.format_float_scientific(x, trim="-") if x != 0 and not 1e-4 < abs(x) < 1e7 else np.format_float_positional(x, trim="-")
    return text


def array(x):
    x = np.asarray(x)
    words = []
    for text, run in itertools.groupby(number(e) for e in x.ravel()):
        n = len(list(run))
        words += [f"{n}*{text}"] if n > 2 else [text] * n
    dims = ",".join(str(n) for n in x.shape)
    return f"{NAMES[str(x.dtype)]}[{dims}] {' '.join(words)}".rstrip()


def evaluate(make, operands):
    with tf.Graph().as_default():
        try:
            inputs = [tf.placeholder(x.dtype, x.shape) for x in operands]
            outputs = make(*inputs)
            outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
            with tf.Session(config=config) as session:
                return session.run(outputs, dict(zip(inputs, operands)))
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, ValueError) as e:
            assert "NodeDef" not in str(e) and "not in the list of allowed values" not in str(e), e
            return None


def attribute(value):
    if isinstance(value, (list, tuple)):
        return ",".join(str(v) for v in np.ravel(value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def emit(name, operands, results, attributes):
    given = "".join(f" {key}={attribute(value)}" for key, value in attributes.items())
    told = "error" if results is None else " | ".join(array(r) for r in results)
    print(f"{name}{given} | {' | '.join(array(x) for x in operands)} => {told}")


def case(name, make, *operands, **attributes):
    operands = [np.asarray(x) for x in operands]
    emit(name, operands, evaluate(make, operands), attributes)


def weights(shape, dtype):
    n = int(np.prod(shape))
    return ((np.arange(n) * 5 % 7 - 2.5) / 2).reshape(shape).astype(dtype)


def grad(name, make, *operands, **attributes):
    """The value's case, and that of its gradients."""
    operands = [np.asarray(x) for x in operands]
    values = evaluate(make, operands)
    emit(name, operands, values, attributes)
    w = weights(values[0].shape, values[0].dtype)

    def gradients(*inputs):
        y = make(*inputs[:-1])
        y = y[0] if isinstance(y, (list, tuple)) else y
        floats = [x for x in inputs[:-1] if x.dtype.is_floating]
        found = tf.gradients(tf.reduce_sum(y * inputs[-1]), floats)
        assert None not in found, name
        return [tf.convert_to_tensor(g) for g in found]

    emit(f"grad {name}", operands + [w], evaluate(gradients, operands + [w]), attributes)


# No denormals, and none in the results.
EDGES = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -1.5, -2.5, 1e-7, -1e-7, 1e30, -1e30, 0.1, -0.1, 3.0,
         -3.0, 0.75, 20.0, -20.0, 7.25, -7.25, 80.0, -80.0, 89.0, 1e7, 16777217.0, -8388609.5, 3.1415927, 1.5707964]
FEW = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 3.0, 1e30]
INTS = {i32: [-(2**31), -(2**31) + 1, -7, -3, -1, 0, 1, 2, 3, 7, 46341, 2**31 - 1],
        i64: [-(2**63), -(2**63) + 1, -7, -3, -1, 0, 1, 2, 3, 7, 3037000500, 2**63 - 1],
        u8: [0, 1, 2, 3, 7, 15, 16, 17, 127, 128, 200, 255]}


def outer(a, b, dtype):
    """Operands whose broadcast is every pair."""
    return np.array(a, dtype)[:, None], np.array(b, dtype)


def noise(shape, dtype=f32, seed=0, scale=2.0):
    """Numbers without a pattern, of two decimals, in -scale .. scale."""
    n = int(np.prod(shape))
    k = (np.arange(n, dtype=np.int64) * 7919 + np.arange(n, dtype=np.int64) ** 2 * 104729 + seed * 1299709) % 1021
    if np.dtype(dtype).kind == "f":
        return np.round((k / 510.5 - 1.0) * scale, 2).astype(dtype).reshape(shape)
    return (k % 11 - (0 if dtype == u8 else 5)).astype(dtype).reshape(shape)


def elementwise():
    functions = {
        "neg": tf.negative, "abs": tf.abs, "sign": tf.sign, "square": tf.square, "sqrt": tf.sqrt, "rsqrt": tf.rsqrt,
        "reciprocal": tf.reciprocal, "exp": tf.exp, "expm1": tf.math.expm1, "log": tf.log, "log1p": tf.log1p,
        "sin": tf.sin, "cos": tf.cos, "tan": tf.tan, "tanh": tf.tanh, "sigmoid": tf.sigmoid, "softplus": tf.nn.softplus,
        "relu": tf.nn.relu, "elu": tf.nn.elu, "floor": tf.floor, "ceil": tf.ceil, "round": tf.round,
    }
    large = {"sin", "cos", "tan"}
    for name, f in functions.items():
        for dtype in (f32, f64):
            x = [e for e in EDGES if not (name in large and abs(e) > 1e29 and np.isfinite(e))]
            # Squares and products that leave the range are infinite; those that fall below it are denormal.
            x = [e for e in x if not (name in ("reciprocal", "rsqrt") and abs(e) in (1e30, 1e-7) and dtype == f32)]
            x = [e for e in x if not (name in ("exp", "sigmoid", "softplus", "elu", "expm1") and abs(e) == 1e30)]
            case(name, f, np.array(x, dtype))
        smooth = [0.25, 0.5, 0.75, 1.0, 1.25, 2.0]
        if name in ("floor", "ceil", "round"):
            continue
        at = smooth if name in ("log", "log1p") else smooth + [0.0] if name in ("sqrt", "rsqrt") else smooth + [0.0, -0.5, -1.5]
        grad(name, f, np.array(at, f32))
        if name not in ("sqrt", "rsqrt", "log", "log1p", "reciprocal"):
            grad(name, f, np.array([nan, inf, -inf], f32))
    for name in ("neg", "abs", "sign", "square", "relu"):
        for dtype in (i32, i64) + ((u8,) if name in ("square", "relu") else ()):
            case(name, functions[name], np.array(INTS[dtype], dtype))
    case("logical_not", tf.logical_not, np.array([True, False]))


def binary():
    functions = {
        "add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "div": tf.divide, "floor_div": tf.floordiv,
        "floor_mod": tf.floormod, "pow": tf.pow, "maximum": tf.maximum, "minimum": tf.minimum,
        "squared_difference": tf.squared_difference,
    }
    for name, f in functions.items():
        values = FEW + [0.5, -0.3]
        if name in ("pow", "floor_div", "floor_mod"):
            values.remove(1e30)
        for dtype in (f32, f64):
            case(name, f, *outer(values, values, dtype))
        if name != "floor_div":
            a = np.array([1.0, -1.0, 0.0, 2.0, 3.5, -2.5, 0.5, 2.0], f32)
            b = np.array([1.0, 2.0, 1.0, 2.0, -1.5, 2.0, 0.5, 3.0], f32)
            grad(name, f, a, b)
            grad(name, f, noise([2, 1, 3], f32, 1), np.abs(noise([2, 1], f32, 2)) + f32(0.5))
        for dtype in (i32, i64, u8):
            values = INTS[dtype]
            if name == "pow" and dtype != u8:
                case(name, f, *outer([v for v in values if abs(v) < 50000], [0, 1, 2, 3, 7], dtype))
            elif name in ("floor_div", "floor_mod"):
                case(name, f, *outer(values, [v for v in values if v != 0], dtype))
            elif name not in ("div", "pow") and (name, dtype) != ("squared_difference", u8):
                case(name, f, *outer(values, values, dtype))
    case("floor_div", tf.floordiv, np.array([1, 2], i32), np.array([1, 0], i32))
    case("floor_mod", tf.floormod, np.array([1, 2], i64), np.array([0, 1], i64))
    case("pow", tf.pow, np.array([2, 2], i32), np.array([1, -1], i32))
    for dtype in (i32, i64, u8):
        case("true_div", tf.truediv, np.array([7, 1, 0], dtype), np.array([2, 3, 5], dtype))
    compares = {"equal": tf.equal, "not_equal": tf.not_equal, "less": tf.less, "less_equal": tf.less_equal,
                "greater": tf.greater, "greater_equal": tf.greater_equal}
    for name, f in compares.items():
        case(name, f, *outer(FEW, FEW, f32))
        case(name, f, *outer(INTS[i64], INTS[i64], i64))
    for name in ("equal", "not_equal"):
        case(name, compares[name], np.array([True, True, False, False]), np.array([True, False, True, False]))
    logical = {"logical_and": tf.logical_and, "logical_or": tf.logical_or, "logical_xor": tf.logical_xor}
    for name, f in logical.items():
        case(name, f, np.array([[True], [False]]), np.array([True, False]))
    for a, b in [([2, 3], [3]), ([2, 1, 3], [4, 1]), ([], [2, 2]), ([1, 1], [3]), ([0, 3], [1]), ([3, 1], [1, 0]), ([2, 3], [2, 4])]:
        case("add", tf.add, noise(a), noise(b, seed=1))
        case("less", tf.less, noise(a), noise(b, seed=1))
    grad("select", lambda c, a, b: tf.where_v2(c, a, b), np.array([[True], [False]]), noise([3]), noise([2, 3], seed=1))
    case("select", lambda c, a, b: tf.where_v2(c, a, b), np.array([True, False, True]), i32([1, 2, 3]), i32(7))
    case("add_n", lambda *x: tf.add_n(x), noise([2, 3]), noise([2, 3], seed=1), noise([2, 3], seed=2))
    bounds = [(-1.0, 1.0), (1.0, -1.0), (nan, 1.0), (-1.0, nan), (0.0, inf)]
    for low, high in bounds:
        x = np.array([nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.5, -3.0], f32)
        case("clip_by_value", lambda x, low=low, high=high: tf.clip_by_value(x, low, high), x, low=low, high=high)
    grad("clip_by_value", lambda x: tf.clip_by_value(x, -1.0, 1.0), np.array([1.0, -1.0, 0.5, -3.0, 2.0], f32), low=-1.0, high=1.0)


def casts():
    def cast(x, to):
        case("cast", lambda x: tf.cast(x, to), x, to=NAMES[np.dtype(to).name])

    for to in (f32, f64, bool):
        cast(np.array([nan, inf, -inf, 0.0, -0.0, 0.5, -2.75, 1e30], f32), to)
        cast(np.array([nan, inf, 0.1, 1e300, -1e300, 16777217.0, 1 / 3], f64), to)
    for to in (i32, i64):
        for x in (f32, f64):
            cast(np.array([0.0, -0.0, 0.5, -0.5, 0.999, -1.999, 2.5, 1e9, -2147483648.0], x), to)
    for x, values in INTS.items():
        for to in (f32, f64, i32, i64, u8, bool):
            cast(np.array(values, x), to)
    for to in (f32, f64, i32, i64, u8, bool):
        cast(np.array([True, False]), to)


def reductions():
    functions = {"sum": tf.reduce_sum, "mean": tf.reduce_mean, "prod": tf.reduce_prod, "max": tf.reduce_max, "min": tf.reduce_min}

    def reduce(name, f, x, axes, keep, emit=case):
        attributes = {} if axes is None else {"axes": axes, "keep": keep}
        emit(name, lambda x: f(x, axis=axes, keepdims=keep), x, **attributes)

    for name, f in functions.items():
        for axes, keep in [(None, False), ([0], False), ([1], True), ([-1], False), ([0, 2], False), ([2, 0, 1], True)]:
            reduce(name, f, noise([2, 3, 4], f32), axes, keep, grad)
            reduce(name, f, noise([2, 3, 4], i32), axes, keep)
        for dtype in (f32, f64, i32, i64, u8):
            reduce(name, f, np.zeros([0, 3], dtype), None, False)
            reduce(name, f, np.zeros([0, 3], dtype), [0], False)
            reduce(name, f, np.zeros([0, 3], dtype), [1], False)
            reduce(name, f, np.array(5, dtype), None, False)
            if dtype not in (f32, f64):
                reduce(name, f, np.array(INTS[dtype], dtype), [0], False)
        for x in ([nan, 1.0, 2.0], [1.0, nan, 2.0], [2.0, 1.0, nan], [inf, -inf, 1.0], [0.0, -0.0], [-0.0, 0.0], [-inf, -inf]):
            reduce(name, f, np.array(x, f32), None, False)
        reduce(name, f, np.array([[1.0, 2.0, 2.0, 0.0], [0.0, 3.0, 0.0, 1.0]], f32), [1], False, grad)
        reduce(name, f, np.array([[1.0, 2.0, 2.0, 0.0], [0.0, 3.0, 0.0, 1.0]], f32), None, False, grad)
        reduce(name, f, noise([2, 3]), [], False)
        reduce(name, f, noise([2, 3]), [2], False)
        reduce(name, f, noise([2, 3]), [0, 0], False)
    for name, f in {"any": tf.reduce_any, "all": tf.reduce_all}.items():
        reduce(name, f, np.array([[True, False], [False, False], [True, True]]), [1], False)
        reduce(name, f, np.array([[True, False], [False, False]]), None, False)
        reduce(name, f, np.zeros([0, 2], bool), [0], False)
    ties = [[3, 1, 3, 2], [1, 1, 1, 1], [0, 2, 5, 5]]
    for name, f in {"argmax": tf.argmax, "argmin": tf.argmin}.items():
        for dtype in (f32, f64, i32, i64, u8):
            case(name, lambda x: f(x, axis=1), np.array(ties, dtype), axis=1)
            case(name, lambda x: f(x, axis=-2), np.array(ties, dtype), axis=-2)
        for x in ([nan, 1.0, 2.0], [1.0, nan, 2.0], [2.0, 1.0, nan], [nan, nan, nan], [-inf, -inf, nan], [inf, inf, nan], [0.0, -0.0, 0.0]):
            case(name, lambda x: f(x, axis=0), np.array(x, f32), axis=0)
        case(name, lambda x: f(x, axis=0), np.zeros([2, 0], f32), axis=0)
    for name, f in {"cumsum": tf.cumsum, "cumprod": tf.cumprod}.items():
        for exclusive, reverse in itertools.product((False, True), repeat=2):
            def run(x, axis, emit):
                make = lambda x: f(x, axis=axis, exclusive=exclusive, reverse=reverse)
                emit(name, make, x, axis=axis, exclusive=exclusive, reverse=reverse)
            run(noise([2, 4]), 1, grad)
            run(noise([2, 3, 2], f64), -2, case)
            run(noise([5], i32), 0, case)
            run(np.array([1.0, nan, 2.0, inf], f32), 0, case)
            run(np.array([200, 100, 7], u8), 0, case)
            run(np.zeros([0, 2], f32), 1, case)
    case("cumsum", lambda x: tf.cumsum(x, axis=2), noise([2, 2]), axis=2, exclusive=False, reverse=False)
    case("l2_loss", tf.nn.l2_loss, np.zeros([0], f32))
    grad("l2_loss", tf.nn.l2_loss, noise([2, 3]))


def linalg():
    for a, b in itertools.product((False, True), repeat=2):
        make = lambda x, y: tf.matmul(x, y, transpose_a=a, transpose_b=b)
        def matmul(x, y, emit):
            emit("matmul", make, x, y, transpose_a=a, transpose_b=b)
        for dtype in (f32, f64, i32, i64):
            x, y = noise([3, 4], dtype), noise([4, 2], dtype, 1)
            matmul(x.T.copy() if a else x, y.T.copy() if b else y, grad if dtype == f32 else case)
        x, y = noise([2, 1, 3, 2]), noise([3, 2, 4], seed=1)
        swap = lambda t: np.swapaxes(t, -1, -2).copy()
        matmul(swap(x) if a else x, swap(y) if b else y, grad)
    plain = lambda x, y: tf.matmul(x, y)
    flags = {"transpose_a": False, "transpose_b": False}
    for x, y in [([2, 0], [0, 3]), ([0, 2], [2, 3]), ([2, 0, 3], [3, 1])]:
        case("matmul", plain, noise(x), noise(y), **flags)
    case("matmul", plain, noise([2, 3]), noise([4, 2]), **flags)
    case("matmul", plain, np.array([[0.0, inf], [nan, 1.0]], f32), np.array([[inf, 1.0], [2.0, 0.0]], f32), **flags)
    grad("bias_add", tf.nn.bias_add, noise([2, 3]), noise([3], seed=1))
    grad("bias_add", tf.nn.bias_add, noise([2, 2, 2, 3]), noise([3], seed=1))


def arrays():
    grad("transpose", lambda x: tf.transpose(x, [2, 0, 1]), noise([2, 3, 4]), perm=[2, 0, 1])
    case("transpose", lambda x: tf.transpose(x, [1, 0]), noise([3, 2], u8), perm=[1, 0])
    grad("reshape", lambda x: tf.reshape(x, [3, -1]), noise([2, 3]), dims=[3, -1])
    case("reshape", lambda x: tf.reshape(x, [4, -1]), noise([2, 3]), dims=[4, -1])
    case("reshape", lambda x: tf.reshape(x, [0, 5]), noise([2, 0]), dims=[0, 5])
    case("expand_dims", lambda x: tf.expand_dims(x, -1), noise([2, 3]), axis=-1)
    case("squeeze", lambda x: tf.squeeze(x, [0, -1]), noise([1, 2, 1]), axes=[0, -1])
    case("squeeze", lambda x: tf.squeeze(x, [1]), noise([1, 2, 1]), axes=[1])
    for axis, shapes in [(0, [[1, 2], [3, 2]]), (-1, [[2, 1], [2, 0], [2, 3]]), (1, [[2, 1], [3, 1]])]:
        parts = [noise(s, seed=i) for i, s in enumerate(shapes)]
        (case if axis == 1 else grad)("concat", lambda *x: tf.concat(x, axis), *parts, axis=axis)
    for begin, size in [([1, 0], [1, 2]), ([0, 1], [-1, -1]), ([3, 4], [0, 0]), ([3, 0], [-1, 2]), ([2, 2], [2, 1]), ([-1, 0], [1, 1])]:
        fits = begin[0] >= 0 and begin[0] + max(size[0], 0) <= 3
        (grad if fits else case)("slice", lambda x: tf.slice(x, begin, size), noise([3, 4]), begin=begin, size=size)
    for paddings, value in [([[1, 0], [0, 2]], 0.0), ([[0, 0], [1, 1]], 2.5), ([[0, 0], [0, 0]], 1.0)]:
        make = lambda x: tf.pad(x, paddings, constant_values=value)
        grad("pad", make, noise([2, 3]), paddings=paddings, value=value)
    case("pad", lambda x: tf.pad(x, [[2, 1]], constant_values=-7), i64([1, 2]), paddings=[[2, 1]], value=-7)
    for multiples in ([2, 1], [1, 3], [3, 2], [1, 1], [0, 2]):
        grad("tile", lambda x: tf.tile(x, multiples), noise([2, 3]), multiples=multiples)
    case("tile", lambda x: tf.tile(x, [2, 2]), np.array([[True, False]]), multiples=[2, 2])
    for dtype in (i32, i64):
        grad("gather", lambda x, i: tf.gather(x, i), noise([4, 3]), np.array([[2, 0], [2, 3]], dtype), axis=0)
        case("gather", lambda x, i: tf.gather(x, i, axis=-1), noise([2, 3], i32), np.array([2, 2, 0], dtype), axis=-1)
        case("gather", lambda x, i: tf.gather(x, i), noise([4, 3]), np.array([1, 4], dtype), axis=0)
        case("gather", lambda x, i: tf.gather(x, i), noise([4, 3]), np.array([-1], dtype), axis=0)
    grad("gather", lambda x, i: tf.gather(x, i, axis=1), noise([2, 3, 2]), i64([2, 0, 2, 2]), axis=1)
    case("gather", lambda x, i: tf.gather(x, i), noise([4, 3]), i32(2), axis=0)
    case("gather", lambda x, i: tf.gather(x, i), noise([4, 3]), np.zeros([0], i32), axis=0)
    case("gather", lambda x, i: tf.gather(x, i), noise([0, 3]), np.zeros([0, 2], i32), axis=0)
    for indices in (i32([0, 2, 1]), i64([[2, 0], [-1, 3]]), u8([1, 200]), i32(1), np.zeros([0], i64)):
        for axis in (-1, 0):
            make = lambda x: tf.one_hot(x, 3, axis=axis)
            case("one_hot", make, indices, depth=3, axis=axis, on=1.0, off=0.0, dtype="f32")
    make = lambda x: tf.one_hot(x, 4, on_value=7, off_value=-2, axis=1, dtype=tf.int32)
    case("one_hot", make, i64([[2, 0], [1, 3]]), depth=4, axis=1, on=7, off=-2, dtype="i32")
    case("one_hot", lambda x: tf.one_hot(x, 0), i32([0, 1]), depth=0, axis=-1, on=1.0, off=0.0, dtype="f32")
    grad("broadcast_to", lambda x: tf.broadcast_to(x, [2, 2, 3]), noise([2, 1]), dims=[2, 2, 3])
    case("broadcast_to", lambda x: tf.broadcast_to(x, [0, 3]), noise([1, 3]), dims=[0, 3])
    case("broadcast_to", lambda x: tf.broadcast_to(x, [2, 4]), noise([2, 3]), dims=[2, 4])
    case("shape_of", tf.shape, noise([2, 0, 3]))
    case("size_of", tf.size, noise([2, 3]))


def classification():
    logits = [noise([3, 4]), np.array([[1e4, 1e4, -1e4], [0.0, -inf, 0.0]], f32), np.array([[nan, 1.0], [inf, 1.0]], f32), noise([2, 0])]
    for name, f in {"softmax": tf.nn.softmax, "log_softmax": tf.nn.log_softmax}.items():
        for x in logits[:1] + [noise([2, 3, 2], f64)]:
            grad(name, lambda x: f(x), x, axis=-1)
        for x in logits[1:]:
            case(name, lambda x: f(x), x, axis=-1)
        grad(name, lambda x: f(x, axis=0), noise([3, 2]), axis=0)
        grad(name, lambda x: f(x, axis=1), noise([2, 3, 2]), axis=1)
    sparse = lambda x, t: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=x)
    for dtype in (i32, i64):
        grad("sparse_softmax_cross_entropy", sparse, noise([3, 4]), np.array([3, 0, 1], dtype))
    grad("sparse_softmax_cross_entropy", sparse, noise([2, 3, 4], f64), np.array([[3, 0, 1], [2, 2, 0]], i32))
    case("sparse_softmax_cross_entropy", sparse, logits[1], i32([2, 0]))
    case("sparse_softmax_cross_entropy", sparse, noise([2, 3]), i32([0, 3]))
    case("sparse_softmax_cross_entropy", sparse, noise([2, 3]), i64([-1, 0]))
    dense = lambda x, t: tf.nn.softmax_cross_entropy_with_logits_v2(labels=t, logits=x)
    grad("softmax_cross_entropy", dense, noise([2, 3]), np.array([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]], f32))
    grad("softmax_cross_entropy", dense, noise([2, 3], f64), np.array([[0.25, 0.5, 0.5], [0.0, 2.0, 0.0]], f64))
    grad("softmax_cross_entropy", dense, noise([2, 2, 3]), np.abs(noise([2, 2, 3], seed=1)))
    grad("softmax_cross_entropy", dense, noise([3]), f32([0.25, 0.25, 0.5]))
    grad("sparse_softmax_cross_entropy", sparse, noise([3]), i32(1))
    case("softmax_cross_entropy", dense, logits[1], np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], f32))


def images():
    shapes = [([1, 4, 5, 2], [3, 3, 2, 3]), ([2, 5, 4, 1], [2, 3, 1, 2]), ([1, 3, 3, 1], [5, 4, 1, 1])]
    for (x, w), padding, strides in itertools.product(shapes, ("SAME", "VALID"), ([1, 1], [2, 2], [3, 1])):
        if padding == "VALID" and w[0] > x[1]:
            continue
        make = lambda x, w: tf.nn.conv2d(x, w, strides=[1, *strides, 1], padding=padding)
        grad("conv2d", make, noise(x), noise(w, seed=1), strides=strides, dilations=[1, 1], padding=padding)
    for padding, dilations in itertools.product(("SAME", "VALID"), ([2, 2], [1, 2])):
        make = lambda x, w: tf.nn.conv2d(x, w, strides=1, padding=padding, dilations=[1, *dilations, 1])
        case("conv2d", make, noise([1, 5, 6, 2]), noise([2, 3, 2, 2], seed=1), strides=[1, 1], dilations=dilations, padding=padding)
    conv = lambda x, w: tf.nn.conv2d(x, w, strides=1, padding="SAME")
    attributes = {"strides": [1, 1], "dilations": [1, 1], "padding": "SAME"}
    case("conv2d", conv, noise([0, 3, 3, 1]), noise([2, 2, 1, 2]), **attributes)
    case("conv2d", conv, noise([1, 2, 3, 1], f64), noise([2, 2, 1, 1], f64), **attributes)
    sizes = [([2, 2], [2, 2]), ([3, 2], [1, 1]), ([2, 3], [1, 3]), ([1, 1], [2, 2]), ([5, 5], [2, 2])]
    ties = np.array([1, 2, 2, 1, 0, 2, 2, 2, 1, 0, 0, 0, nan, 1, 3, 2, nan, 1, 4, 4], f32).reshape([1, 4, 5, 1])
    for (size, strides), padding in itertools.product(sizes, ("SAME", "VALID")):
        if size == [5, 5] and padding == "VALID":
            continue
        attributes = {"size": size, "strides": strides, "padding": padding}
        largest = lambda x: tf.nn.max_pool(x, size, strides, padding)
        mean = lambda x: tf.nn.avg_pool(x, size, strides, padding)
        grad("max_pool", largest, noise([2, 4, 5, 2]), **attributes)
        grad("max_pool", largest, ties, **attributes)
        case("max_pool", largest, noise([1, 4, 5, 1], f64), **attributes)
        case("max_pool", largest, noise([1, 4, 5, 1], i32), **attributes)
        case("max_pool", largest, np.full([1, 4, 5, 1], -inf, f32), **attributes)
        grad("avg_pool", mean, noise([2, 4, 5, 2]), **attributes)
        grad("avg_pool", mean, noise([1, 4, 5, 1], f64), **attributes)


def emptiness():
    """Operands without elements, and their gradients."""
    functions = {"sum": tf.reduce_sum, "mean": tf.reduce_mean, "prod": tf.reduce_prod, "max": tf.reduce_max, "min": tf.reduce_min}
    for name, f in functions.items():
        for dims, axes in [([0, 3], [0]), ([0, 3], [1]), ([2, 0], [1]), ([2, 0], [0, 1])]:
            make = lambda x: f(x, axis=axes, keepdims=False)
            grad(name, make, np.zeros(dims, f32), axes=axes, keep=False)
    flags = {"transpose_a": False, "transpose_b": False}
    for x, y in [([2, 0], [0, 3]), ([0, 2], [2, 3]), ([2, 0, 3], [3, 1]), ([0, 2, 2], [1, 2, 2])]:
        grad("matmul", tf.matmul, noise(x), noise(y), **flags)
    for name, f in {"add": tf.add, "mul": tf.multiply, "maximum": tf.maximum, "pow": tf.pow}.items():
        grad(name, f, np.zeros([0, 3], f32), noise([3]))
        grad(name, f, np.zeros([2, 0], f32), noise([1, 1]))
    for name, f in {"exp": tf.exp, "relu": tf.nn.relu, "abs": tf.abs, "l2_loss": tf.nn.l2_loss}.items():
        grad(name, f, np.zeros([0], f32))
    grad("concat", lambda *x: tf.concat(x, 0), np.zeros([0, 2], f32), np.zeros([0, 2], f32), axis=0)
    grad("gather", lambda x, i: tf.gather(x, i), noise([4, 3]), np.zeros([0], i32), axis=0)
    grad("slice", lambda x: tf.slice(x, [1, 0], [0, 2]), noise([3, 4]), begin=[1, 0], size=[0, 2])
    grad("transpose", lambda x: tf.transpose(x, [1, 0]), np.zeros([2, 0], f32), perm=[1, 0])
    grad("pad", lambda x: tf.pad(x, [[1, 2], [0, 1]]), np.zeros([0, 1], f32), paddings=[[1, 2], [0, 1]], value=0.0)
    grad("broadcast_to", lambda x: tf.broadcast_to(x, [0, 3]), noise([1, 3]), dims=[0, 3])
    grad("cumsum", lambda x: tf.cumsum(x, 0), np.zeros([0, 2], f32), axis=0, exclusive=False, reverse=False)
    for name, f in {"softmax": tf.nn.softmax, "log_softmax": tf.nn.log_softmax}.items():
        grad(name, lambda x: f(x), np.zeros([0, 3], f32), axis=-1)
    sparse = lambda x, t: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=x)
    grad("sparse_softmax_cross_entropy", sparse, np.zeros([0, 3], f32), np.zeros([0], i32))
    conv = lambda x, w: tf.nn.conv2d(x, w, strides=1, padding="SAME")
    grad("conv2d", conv, np.zeros([0, 3, 3, 1], f32), noise([2, 2, 1, 2]), strides=[1, 1], dilations=[1, 1], padding="SAME")
    attributes = {"size": [2, 2], "strides": [2, 2], "padding": "SAME"}
    grad("max_pool", lambda x: tf.nn.max_pool(x, 2, 2, "SAME"), np.zeros([0, 3, 3, 1], f32), **attributes)
    grad("avg_pool", lambda x: tf.nn.avg_pool(x, 2, 2, "SAME"), np.zeros([0, 3, 3, 1], f32), **attributes)


def refusals():
    """What TensorFlow refuses, when a graph is built or when it runs."""
    flags = {"transpose_a": False, "transpose_b": False}
    case("matmul", tf.matmul, noise([3]), noise([3, 2]), **flags)
    case("matmul", tf.matmul, noise([2, 2, 3]), noise([3, 3, 2]), **flags)
    case("transpose", lambda x: tf.transpose(x, [0, 0]), noise([2, 3]), perm=[0, 0])
    case("transpose", lambda x: tf.transpose(x, [1, 0]), noise([2, 3, 1]), perm=[1, 0])
    case("reshape", lambda x: tf.reshape(x, [-1, -1]), noise([2, 3]), dims=[-1, -1])
    case("reshape", lambda x: tf.reshape(x, [7]), noise([2, 3]), dims=[7])
    case("expand_dims", lambda x: tf.expand_dims(x, 3), noise([2, 3]), axis=3)
    case("squeeze", lambda x: tf.squeeze(x, [2]), noise([1, 2]), axes=[2])
    case("concat", lambda *x: tf.concat(x, 2), noise([2, 1]), noise([2, 2]), axis=2)
    case("concat", lambda *x: tf.concat(x, 0), noise([2, 1]), noise([2]), axis=0)
    case("slice", lambda x: tf.slice(x, [0], [1]), noise([2, 3]), begin=[0], size=[1])
    case("slice", lambda x: tf.slice(x, [0, 4], [1, -1]), noise([2, 3]), begin=[0, 4], size=[1, -1])
    case("pad", lambda x: tf.pad(x, [[1, 1]]), noise([2, 3]), paddings=[[1, 1]], value=0.0)
    case("tile", lambda x: tf.tile(x, [2]), noise([2, 3]), multiples=[2])
    case("gather", lambda x, i: tf.gather(x, i, axis=2), noise([2, 3]), i32([0]), axis=2)
    case("one_hot", lambda x: tf.one_hot(x, 3, axis=2), i32([0, 1]), depth=3, axis=2, on=1.0, off=0.0, dtype="f32")
    case("broadcast_to", lambda x: tf.broadcast_to(x, [3]), noise([2, 3]), dims=[3])
    case("add_n", lambda *x: tf.add_n(x), noise([2, 3]), noise([3]))
    case("argmax", lambda x: tf.argmax(x, axis=2), noise([2, 3]), axis=2)
    case("argmax", lambda x: tf.argmax(x, axis=1), np.zeros([2, 0], f32), axis=1)
    case("softmax", lambda x: tf.nn.softmax(x, axis=2), noise([2, 3]), axis=2)
    case("bias_add", tf.nn.bias_add, noise([2, 3]), noise([2]))
    case("bias_add", tf.nn.bias_add, noise([3]), noise([3]))
    sparse = lambda x, t: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t, logits=x)
    case("sparse_softmax_cross_entropy", sparse, noise([2, 3]), i32([0, 1, 2]))
    dense = lambda x, t: tf.nn.softmax_cross_entropy_with_logits_v2(labels=t, logits=x)
    case("softmax_cross_entropy", dense, noise([2, 3]), noise([2, 2]))
    conv = lambda x, w: tf.nn.conv2d(x, w, strides=1, padding="VALID")
    attributes = {"strides": [1, 1], "dilations": [1, 1], "padding": "VALID"}
    case("conv2d", conv, noise([1, 2, 2, 1]), noise([3, 3, 1, 1]), **attributes)
    case("conv2d", conv, noise([1, 4, 4, 3]), noise([3, 3, 2, 1]), **attributes)
    case("conv2d", conv, noise([4, 4, 1]), noise([3, 3, 1, 1]), **attributes)
    case("max_pool", lambda x: tf.nn.max_pool(x, 3, 1, "VALID"), noise([1, 2, 2, 1]), size=[3, 3], strides=[1, 1], padding="VALID")
    case("select", tf.where_v2, np.array([True, False]), noise([3]), noise([3]))


def checksum(bits):
    with np.errstate(over="ignore"):
        odd = 2 * np.arange(len(bits), dtype=np.uint64) + np.uint64(1)
        return int(np.sum(bits.astype(np.uint64) * odd, dtype=np.uint64))


def random_numbers():
    """Lines of three runs each: the sum of bits[i] * (2 i + 1) modulo 2^64, and the first and last element's bits."""
    draws = {
        "random_normal": lambda n, t, seed: tf.random_normal([n], dtype=t, seed=seed),
        "random_normal mean=3 stddev=0.1": lambda n, t, seed: tf.random_normal([n], 3.0, 0.1, dtype=t, seed=seed),
        "truncated_normal": lambda n, t, seed: tf.truncated_normal([n], dtype=t, seed=seed),
        "truncated_normal mean=-1 stddev=0.05": lambda n, t, seed: tf.truncated_normal([n], -1.0, 0.05, dtype=t, seed=seed),
        "random_uniform": lambda n, t, seed: tf.random_uniform([n], dtype=t, seed=seed),
        "random_uniform low=-0.3 high=1.7": lambda n, t, seed: tf.random_uniform([n], -0.3, 1.7, dtype=t, seed=seed),
        "dropout rate=0.3": lambda n, t, seed: tf.nn.dropout(tf.fill([n], tf.constant(1.25, t)), rate=0.3, seed=seed),
        "dropout rate=0.5": lambda n, t, seed: tf.nn.dropout(tf.fill([n], tf.constant(1.25, t)), rate=0.5, seed=seed),
    }
    words = {"f32": (tf.float32, np.uint32), "f64": (tf.float64, np.uint64)}
    # (graph seed, op seed); an op without one takes the number of such ops so far.
    seeds = [(None, 1), (None, 42), (7, None), (7, 9), (0, 0), (-5, 1 << 35)]
    for name, draw in draws.items():
        for dtype, (t, word) in words.items():
            for index, (graph_seed, seed) in enumerate(seeds):
                for size in (1, 7, 1000, 1000000):
                    if index > 1 and size != 1000 or dtype == "f64" and size == 1000000 and index > 0:
                        continue
                    with tf.Graph().as_default():
                        if graph_seed is not None:
                            tf.set_random_seed(graph_seed)
                        tensor = draw(size, t, seed)
                        with tf.Session() as session:
                            runs = [session.run(tensor).view(word) for _ in range(3)]
                    given = " ".join(f"{k}={v}" for k, v in [("graph_seed", graph_seed), ("seed", seed)] if v is not None)
                    told = " ".join(f"{checksum(r):x},{int(r[0]):x},{int(r[-1]):x}" for r in runs)
                    print(f"{name} dtype={dtype} size={size} {given} => {told}")


if __name__ == "__main__":
    print("# Made by tests/oracle/ops.py with TensorFlow", tf.__version__)
    elementwise()
    binary()
    casts()
    reductions()
    linalg()
    arrays()
    classification()
    images()
    emptiness()
    refusals()
    print("# Random numbers")
    random_numbers()
