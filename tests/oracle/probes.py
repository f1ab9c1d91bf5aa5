"""Writes what TensorFlow gives for operands and attributes drawn at random, edges and all: the golden numbers of tests/tensorflow.

    python tests/oracle/probes.py > tests/fixtures/probes.txt

A line is a case, as ops.py has it. Extents are small, 0 and 1 among them, of 0 to 5 axes; of the numbers some are NaN, infinite, −0,
or the last of their dtype. Left out is what docs/from-tensorflow.md says is another on purpose.
"""

import random
import sys

import numpy as np

import ops
from graph_methods import METHODS
from ops import tf

nan, inf = np.nan, np.inf
SHORT = {"i8": np.int8, "i16": np.int16, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64}
DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_, **SHORT}
ops.NAMES.update({np.dtype(t).name: name for name, t in SHORT.items()})
FLOATS, INTEGERS = ["f32", "f64"], ["i32", "i64", "u8", "i8", "i16", "u16", "u32"]
NUMBERS, ANY = FLOATS + INTEGERS, FLOATS + INTEGERS + ["bool"]
WILD = [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e-6, -1e6]
rng = random.Random(20)


def chance(p):
    return rng.random() < p


def dims(rank=None, least=0):
    rank = rng.choice([0, 1, 1, 2, 2, 3, 4, 5]) if rank is None else rank
    empty = chance(0.08)
    of = [1, 1, 2, 3] if rank > 3 else [1, 2, 2, 3, 4, 5]
    shape = [rng.choice(of) for _ in range(rank)]
    if empty and rank and least == 0:
        shape[rng.randrange(rank)] = 0
    return shape


def array(dtype, shape, wild=0.3, low=-4.0, high=4.0, edges=True):
    n = int(np.prod(shape))
    t = DTYPES[dtype]
    if dtype == "bool":
        return np.array([chance(0.5) for _ in range(n)], t).reshape(shape)
    if dtype in FLOATS:
        x = [rng.choice(WILD) if chance(wild) else round(rng.uniform(low, high), 2) for _ in range(n)]
        return np.array(x, t).reshape(shape)
    info = np.iinfo(t)
    ends = [info.min, info.max, info.max - 1, info.min + 1]
    x = [rng.choice(ends) if edges and chance(wild / 2) else rng.randint(max(int(low * 3), info.min), min(int(high * 3), info.max)) for _ in range(n)]
    return np.array(x, t).reshape(shape)


def beside(shape):
    """Another shape, which broadcasts with it."""
    if chance(0.3):
        return list(shape)
    other = [n if chance(0.6) else 1 for n in shape]
    return other[rng.randint(0, len(other)) :] if chance(0.4) else other


def axis(rank):
    return rng.randrange(-rank, rank)


def some_axes(rank):
    chosen = rng.sample(range(rank), rng.randint(1, rank))
    return [a - rank if chance(0.4) else a for a in chosen]


# Where it is not empty, a case has an operand of one of these dtypes.
ONLY = set()


def emit(name, *operands, **attributes):
    if ONLY and not any(ops.NAMES[str(np.asarray(x).dtype)] in ONLY for x in operands):
        return
    attributes = {k: v for k, v in attributes.items() if v is not None and v is not False}
    attributes = {k: int(v) if isinstance(v, bool) else v for k, v in attributes.items()}
    try:
        values = ops.evaluate(lambda *x: METHODS[name](attributes, *x), [np.asarray(x) for x in operands])
    except Exception as e:
        if "No OpKernel" not in str(e) and "not in list of allowed" not in str(e) and "not in the list of allowed" not in str(e):
            print(name, type(e).__name__, str(e)[:150].replace("\n", " "), file=sys.stderr)
        return
    if values is not None and any(str(np.asarray(v).dtype) not in ops.NAMES for v in values):
        return
    operands = [np.asarray(x) for x in operands]
    ops.emit(name, operands, values, attributes)
    if values is not None and name in SMOOTH and operands[0].size and all(np.isfinite(x).all() for x in operands):
        slopes(name, operands, attributes, values)


def slopes(name, operands, attributes, values):
    """The case of the gradients, where there are any."""
    y = np.asarray(values[0])
    if y.dtype.kind != "f" or not np.isfinite(y).all() or y.size == 0:
        return
    w = ops.weights(y.shape, y.dtype)

    def gradients(*inputs):
        y = METHODS[name](attributes, *inputs[:-1])
        y = y[0] if isinstance(y, (list, tuple)) else y
        return [tf.convert_to_tensor(g) for g in tf.gradients(tf.reduce_sum(y * inputs[-1]), [x for x in inputs[:-1] if x.dtype.is_floating])]

    try:
        found = ops.evaluate(gradients, [*operands, w])
    except (ValueError, TypeError, LookupError, tf.errors.OpError):
        return
    if found is not None and all(np.isfinite(g).all() for g in found):
        ops.emit(f"grad {name}", [*operands, w], found, attributes)


# Whose gradients are told too.
SMOOTH = set("""neg abs square relu relu6 softsign crelu add sub mul squared_difference div sum mean prod max min logsumexp cumsum
transpose reshape expand_dims squeeze concat stack unstack split_sizes split_many slice tile pad pad_reflect pad_symmetric reverse roll
gather matrix_band_part matrix_transpose matrix_diag matrix_diag_part strided_slice broadcast_to top_k sort unsorted_segment_sum
unsorted_segment_prod segment_sum segment_mean max_pool avg_pool conv2d depthwise_conv2d conv2d_explicit conv1d max_pool1d avg_pool1d conv3d
space_to_depth depth_to_space softmax log_softmax softmax_cross_entropy sparse_softmax_cross_entropy sigmoid_cross_entropy bias_add
l2_loss l2_normalize local_response_normalization matmul resize select""".split())


def repeat(count, f):
    for _ in range(count):
        f()


def elementwise():
    floats = "neg abs sign square relu relu6 floor ceil round is_nan is_inf is_finite reciprocal_no_nan softsign crelu".split()
    for name in floats:
        repeat(3, lambda: emit(name, array(rng.choice(FLOATS), dims())))
    for name in "neg abs sign square relu relu6 round invert".split():
        for dtype in INTEGERS:
            emit(name, array(dtype, dims()))
    repeat(4, lambda: emit("logical_not", array("bool", dims())))
    for name in "ones_like zeros_like identity stop_gradient shape_of size_of rank_of zero_fraction".split():
        for dtype in rng.sample(ANY, min(5, len(ANY))):
            emit(name, array(dtype, dims()))
    for name in "add sub mul maximum minimum squared_difference equal not_equal less less_equal greater greater_equal".split():
        for dtype in NUMBERS:
            a = dims()
            emit(name, array(dtype, a), array(dtype, beside(a)))
    for name in ("equal", "not_equal"):
        repeat(3, lambda: emit(name, array("bool", s := dims()), array("bool", beside(s))))
    for name in ("logical_and", "logical_or", "logical_xor"):
        repeat(4, lambda: emit(name, array("bool", s := dims()), array("bool", beside(s))))
    for name in "div div_no_nan xlogy xdivy xlog1py multiply_no_nan floor_div floor_mod truncate_div".split():
        for _ in range(3):
            dtype, a = rng.choice(FLOATS), dims()
            emit(name, array(dtype, a, 0.2), array(dtype, beside(a), 0.1))
    for name in "floor_div floor_mod truncate_div truncate_mod".split():
        for dtype in INTEGERS:
            a = dims()
            x, y = array(dtype, a), array(dtype, beside(a), edges=False)
            y[y == 0] = 3
            if np.dtype(DTYPES[dtype]).kind == "i":
                y[y == -1] = 2
            emit(name, x, y)
    for name in "bitwise_and bitwise_or bitwise_xor".split():
        for dtype in INTEGERS:
            a = dims()
            emit(name, array(dtype, a), array(dtype, beside(a)))
    for name in ("left_shift", "right_shift"):
        for dtype in INTEGERS:
            a = dims()
            emit(name, array(dtype, a), array(dtype, beside(a), low=0, high=2, edges=False))
    for dtype in ["i32", "i64", "f32", "f64"]:
        for _ in range(2):
            a = dims()
            x = array(dtype, a, 0.1)
            y = array(dtype, beside(a), 0.0, 0, 1)
            emit("pow", x, y)
    for dtype in ANY:
        for _ in range(2):
            a = dims()
            emit("select", array("bool", beside(a)), array(dtype, a), array(dtype, beside(a)))
    for dtype in NUMBERS:
        a = dims()
        emit("add_n", *[array(dtype, a) for _ in range(rng.randint(1, 4))])
    for source in ANY:
        for to in ("f32", "f64", "i32", "i64", "u8", "bool"):
            low = 0 if source == "f32" or source == "f64" else -4
            wild = 0.0 if source in FLOATS and to not in FLOATS + ["bool"] else 0.3
            emit("cast", array(source, dims(), wild, low=low), to=to)
    for dtype in FLOATS + ["i32", "i64"]:
        if dtype in FLOATS:
            emit("clip_by_value", array(dtype, dims()), low=-1, high=2)
        emit("approximate_equal", array("f32", a := dims()), array("f32", a), tolerance=0.5)


def reductions():
    for name in "sum mean prod max min".split():
        for dtype in NUMBERS:
            for wild in (0.0, 0.3):
                shape = dims()
                x = array(dtype, shape, wild if name not in ("sum", "mean", "prod") or dtype not in FLOATS else 0.05)
                rank = len(shape)
                if rank == 0 or chance(0.2):
                    emit(name, x)
                else:
                    emit(name, x, axes=some_axes(rank), keep=chance(0.4))
    for name in ("any", "all"):
        for _ in range(8):
            shape = dims()
            emit(name, array("bool", shape), **({"axes": some_axes(len(shape)), "keep": chance(0.4)} if shape and chance(0.8) else {}))
    for name in ("logsumexp", "variance", "std", "count_nonzero"):
        for _ in range(5):
            shape = dims()
            dtype = rng.choice(FLOATS if name != "count_nonzero" else ANY)
            x = array(dtype, shape, 0.08 if name != "count_nonzero" else 0.3)
            emit(name, x, **({"axes": some_axes(len(shape)), "keep": chance(0.4)} if shape and chance(0.8) else {}))
    for name in ("argmax", "argmin"):
        for dtype in NUMBERS:
            shape = dims(rng.randint(1, 4), least=1)
            emit(name, array(dtype, shape, 0.0 if dtype in FLOATS else 0.3), axis=axis(len(shape)))
    for name in ("cumsum", "cumprod"):
        for dtype in ["f32", "f64", "i32", "i64", "u8", "i8", "i16", "u16"]:
            shape = dims(rng.randint(1, 4))
            emit(name, array(dtype, shape, 0.05 if dtype in FLOATS else 0.3), axis=axis(len(shape)), exclusive=chance(0.5), reverse=chance(0.5))


def arrays():
    for dtype in ANY:
        for _ in range(2):
            shape = dims(rng.randint(0, 5))
            perm = rng.sample(range(len(shape)), len(shape))
            emit("transpose", array(dtype, shape), perm=perm) if shape else None
            total = int(np.prod(shape))
            if total:
                emit("reshape", array(dtype, shape), dims=[-1] if chance(0.5) else [1, total, 1])
            emit("expand_dims", array(dtype, shape[:4]), axis=rng.randrange(-len(shape[:4]) - 1, len(shape[:4]) + 1))
            ones = [i for i, n in enumerate(shape) if n == 1]
            if ones:
                emit("squeeze", array(dtype, shape), axes=rng.sample(ones, rng.randint(1, len(ones))))
            emit("broadcast_to", array(dtype, beside(shape)), dims=shape) if shape else None
            shape = dims(rng.randint(1, 4))
            a = axis(len(shape))
            parts = []
            for _ in range(rng.randint(1, 3)):
                own = list(shape)
                own[a] = rng.choice([0, 1, 2, 3])
                parts.append(array(dtype, own))
            emit("concat", *parts, axis=a)
            emit("stack", *[array(dtype, shape[:4]) for _ in range(rng.randint(1, 3))], axis=axis(len(shape[:4]) + 1))
            if shape[a] > 0:
                emit("unstack", array(dtype, shape), axis=a)
                sizes = [rng.randint(0, shape[a])]
                sizes.append(shape[a] - sizes[0])
                emit("split_sizes", array(dtype, shape), sizes=sizes, axis=a)
                emit("split_many", array(dtype, shape), parts=shape[a], axis=a)
            begin = [rng.randint(0, n) for n in shape]
            emit("slice", array(dtype, shape), begin=begin, size=[rng.choice([-1, rng.randint(0, n - b)]) for n, b in zip(shape, begin)])
            if len(shape) <= 3:
                emit("tile", array(dtype, shape), multiples=[rng.choice([0, 1, 2, 3]) for _ in shape])
                if dtype != "bool" or True:
                    emit("pad", array(dtype, shape), paddings=[rng.randint(0, 2) for _ in range(2 * len(shape))], value=0 if dtype == "bool" else 7) if dtype != "bool" else None
                large = [max(n, 1) for n in shape]
                emit("pad_reflect", array(dtype, large), paddings=[rng.randint(0, n - 1) for n in large for _ in range(2)])
                emit("pad_symmetric", array(dtype, large), paddings=[rng.randint(0, n) for n in large for _ in range(2)])
            emit("reverse", array(dtype, shape), axes=some_axes(len(shape)))
            k = some_axes(len(shape))
            emit("roll", array(dtype, shape), shifts=[rng.randint(-7, 7) for _ in k], axes=k)
            if shape[a] > 0:
                i = dims(rng.randint(0, 2))
                index = np.array([rng.randrange(shape[a]) for _ in range(int(np.prod(i)))], rng.choice([np.int32, np.int64])).reshape(i)
                emit("gather", array(dtype, shape), index, axis=a)
            n, m = rng.randint(1, 4), rng.randint(1, 4)
            emit("matrix_band_part", array(dtype, [*dims(rng.randint(0, 2)), n, m]), lower=rng.randint(-1, n), upper=rng.randint(-1, m))
            emit("matrix_transpose", array(dtype, dims(rng.randint(2, 5))))
            if dtype != "bool":
                emit("matrix_diag", array(dtype, dims(rng.randint(1, 3))))
                emit("matrix_diag_part", array(dtype, dims(rng.randint(2, 4), least=1)))
            for mask in range(1):
                rank = rng.randint(1, 4)
                shape = dims(rank)
                count = rng.randint(1, rank)
                number = lambda: rng.randint(-6, 6)
                emit("strided_slice", array(dtype, shape), begin=[number() for _ in range(count)], end=[number() for _ in range(count)], strides=[rng.choice([-3, -2, -1, 1, 2, 3]) for _ in range(count)],
                     begin_mask=rng.randrange(2**count), end_mask=rng.randrange(2**count), ellipsis_mask=rng.choice([0, 0, 1 << rng.randrange(count)]), new_axis_mask=rng.choice([0, 0, 1 << rng.randrange(count)]), shrink_axis_mask=rng.choice([0, 0, 1 << rng.randrange(count)]))
    for _ in range(10):
        s = dims(rng.randint(0, 3))
        index = np.array([rng.randint(-1, 4) for _ in range(int(np.prod(s)))], rng.choice([np.int32, np.int64, np.int8])).reshape(s)
        name = rng.choice(["f32", "f64", "i32", "i64", "u8"])
        on = rng.choice([1, 5, 2.5]) if name[0] == "f" else rng.choice([1, 5])
        emit("one_hot", index, depth=rng.choice([0, 1, 3, 4]), on=on, off=rng.choice([0, 2]), axis=rng.randint(-1, len(s)), dtype=name)
        emit("sequence_mask", np.array([rng.randint(-1, 5) for _ in range(int(np.prod(s)))], rng.choice([np.int32, np.int64])).reshape(s), maxlen=rng.choice([0, 1, 3, 5]))
    for dtype in ["f32", "f64", "i32", "i64", "u8", "i8", "i16", "u16"]:
        for _ in range(3):
            shape = dims(rng.randint(1, 3), least=1)
            wild = 0.0 if dtype in FLOATS else 0.3
            emit("top_k", array(dtype, shape, wild), k=rng.randint(0, shape[-1]))
            emit("sort", array(dtype, shape, wild), axis=axis(len(shape)), down=chance(0.5)) if dtype[0] != "u" else None
            emit("argsort", array(dtype, shape, wild), axis=axis(len(shape)), down=chance(0.5)) if dtype[0] != "u" else None
            x, n = array(dtype, shape, wild), rng.randint(1, 4)
            ids = np.array([rng.randint(-1, n - 1) for _ in range(shape[0])], rng.choice([np.int32, np.int64]))
            for op in ("sum", "prod", "max", "min"):
                emit(f"unsorted_segment_{op}", x, ids, n=n)
            order = np.sort(np.abs(ids))
            for op in ("sum", "prod", "max", "min", "mean"):
                emit(f"segment_{op}", x, order, n=int(order[-1]) + 1)
            y = np.sort(x, axis=-1)
            if len(shape) == 1:
                emit("searchsorted", y, array(dtype, [rng.randint(0, 4)], wild), side=rng.choice(["left", "right"]))
    for _ in range(6):
        k = rng.randint(0, 4)
        emit("in_top_k", array("f32", [3, 4], 0.15), np.array([rng.randint(-1, 5) for _ in range(3)], np.int32), k=k)
        emit("bincount", np.array([rng.randint(0, 6) for _ in range(rng.randint(0, 8))], np.int32), length=rng.randint(1, 5))
        emit("confusion_matrix", np.array(a := [rng.randint(0, 2) for _ in range(4)], np.int32), np.array(a[::-1], np.int32), classes=3)
        emit("histogram_fixed_width", array("f32", [rng.randint(0, 9)], 0.0), low=-2.0, high=2.0, bins=rng.randint(1, 6))


def layers():
    for dtype in ["f32", "f64"]:
        for _ in range(6):
            n, h, w, c = rng.choice([1, 2]), rng.randint(1, 7), rng.randint(1, 7), rng.randint(1, 3)
            x = array(dtype, [n, h, w, c], 0.0, -1, 1)
            size, strides = [rng.randint(1, 4), rng.randint(1, 4)], [rng.randint(1, 3), rng.randint(1, 3)]
            padding = rng.choice(["SAME", "VALID"])
            for pool in ("max_pool", "avg_pool"):
                emit(pool, array(dtype, [n, h, w, c], 0.2 if pool == "max_pool" else 0.0), size=size, strides=strides, padding=padding)
            kernel = array(dtype, [rng.randint(1, 4), rng.randint(1, 4), c, rng.randint(1, 3)], 0.0, -1, 1)
            emit("conv2d", x, kernel, strides=strides, padding=padding, dilations=[1, 1])
            emit("conv2d", x, kernel, strides=[1, 1], padding=padding, dilations=[rng.randint(1, 3), rng.randint(1, 3)])
            emit("depthwise_conv2d", x, kernel, strides=[strides[0]] * 2, padding=padding)
            explicit = [rng.randint(0, 2) for _ in range(4)]
            emit("conv2d_explicit", x, kernel, strides=strides, padding=explicit)
            wide = array(dtype, [n, rng.randint(1, 9), c], 0.0)
            emit("conv1d", wide, array(dtype, [rng.randint(1, 4), c, 2], 0.0), stride=rng.randint(1, 3), padding=padding)
            emit("max_pool1d", wide, size=rng.randint(1, 3), stride=rng.randint(1, 3), padding=padding)
            emit("avg_pool1d", wide, size=rng.randint(1, 3), stride=rng.randint(1, 3), padding=padding)
            deep = array(dtype, [1, rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 4), c], 0.0)
            emit("conv3d", deep, array(dtype, [rng.randint(1, 2), rng.randint(1, 3), rng.randint(1, 2), c, 2], 0.0), strides=[rng.randint(1, 2) for _ in range(3)], padding=padding)
            emit("max_pool3d", deep, size=[rng.randint(1, 3) for _ in range(3)], strides=[rng.randint(1, 2) for _ in range(3)], padding=padding)
            if dtype == "f32":
                emit("avg_pool3d", deep, size=[rng.randint(1, 3) for _ in range(3)], strides=[rng.randint(1, 2) for _ in range(3)], padding=padding)
            b = rng.randint(2, 3)
            emit("space_to_depth", array(dtype, [n, b * rng.randint(1, 2), b * rng.randint(1, 2), c]), block=b)
            emit("depth_to_space", array(dtype, [n, rng.randint(1, 2), 2, b * b * c]), block=b)
            shape = dims(rng.randint(1, 4), least=1)
            emit("softmax", array(dtype, shape, 0.03), axis=axis(len(shape)))
            emit("log_softmax", array(dtype, shape, 0.03), axis=axis(len(shape)))
            rows = rng.randint(1, 4)
            emit("softmax_cross_entropy", array(dtype, [rows, 4], 0.0), np.full([rows, 4], 0.25, DTYPES[dtype]))
            emit("sparse_softmax_cross_entropy", array(dtype, [rows, 4], 0.0), np.array([rng.randint(0, 4) for _ in range(rows)], np.int32))
            emit("sigmoid_cross_entropy", array(dtype, [rows, 4], 0.0), array(dtype, [rows, 4], 0.0, 0, 1))
            emit("bias_add", array(dtype, s := dims(rng.randint(2, 5))), array(dtype, [s[-1]]))
            emit("l2_loss", array(dtype, dims(), 0.03))
            emit("l2_normalize", array(dtype, shape, 0.0), axes=some_axes(len(shape)))
            emit("local_response_normalization", array("f32", [n, h, w, rng.randint(1, 6)], 0.0), depth_radius=rng.randint(0, 3), bias=1.0, alpha=0.5, beta=0.75)
            p, q, r = rng.randint(0, 4), rng.randint(0, 4), rng.randint(0, 4)
            ta, tb = chance(0.5), chance(0.5)
            lead = dims(rng.randint(0, 2))
            emit("matmul", array(dtype, [*lead, *([q, p] if ta else [p, q])], 0.02, -1, 1), array(dtype, [*beside(lead), *([r, q] if tb else [q, r])], 0.02, -1, 1), transpose_a=ta, transpose_b=tb)
    for dtype in ("i32", "i64"):
        for _ in range(4):
            p, q, r = rng.randint(0, 4), rng.randint(0, 4), rng.randint(0, 4)
            emit("matmul", array(dtype, [p, q]), array(dtype, [q, r]))
    for method in ("nearest", "bilinear", "bicubic", "area"):
        for _ in range(6):
            places = rng.choice(["corner", "aligned", "centers"]) if method != "area" else "corner"
            if (method, places) == ("bicubic", "aligned"):
                # TensorFlow's rows that are the same come out an ulp apart.
                continue
            emit("resize", array("f32", [1, rng.randint(1, 5), rng.randint(1, 5), 2], 0.0), method=method, places=places, size=[rng.randint(1, 7), rng.randint(1, 7)])


def few(dtype, shape, of=(-1.0, 0.0, 0.0, 1.0, 2.0)):
    return np.array([rng.choice(of) for _ in range(int(np.prod(shape)))], DTYPES[dtype]).reshape(shape)


def ties():
    """Equal numbers, zeros and borders, where gradients are a matter of choice."""
    SMOOTH.update("""maximum minimum clip_by_value unsorted_segment_max unsorted_segment_min segment_max segment_min segment_prod elu
    leaky_relu selu pow floor_mod xlogy xdivy div_no_nan multiply_no_nan atan2 reciprocal_no_nan sign softplus sigmoid tanh log_sigmoid swish
    variance""".split())
    for dtype in FLOATS:
        for name in "abs relu6 elu selu softsign sign crelu reciprocal_no_nan tanh sigmoid softplus swish log_sigmoid".split():
            emit(name, few(dtype, dims()))
        emit("leaky_relu", few(dtype, dims()), slope=0.25)
        for name in "maximum minimum squared_difference xlogy xdivy div_no_nan multiply_no_nan floor_mod atan2".split():
            a = dims()
            emit(name, few(dtype, a), few(dtype, beside(a)))
        a = dims()
        emit("pow", few(dtype, a, (0.0, 1.0, 2.0)), few(dtype, beside(a), (0.0, 1.0, 2.0, 3.0)))
        for low, high in ((-1, 1), (0, 2), (1, -1)):
            emit("clip_by_value", few(dtype, dims()), low=low, high=high)
        for name in "sum mean prod max min logsumexp variance".split():
            shape = dims()
            emit(name, few(dtype, shape), **({"axes": some_axes(len(shape)), "keep": chance(0.4)} if shape and chance(0.8) else {}))
        shape = dims(rng.randint(1, 4), least=1)
        emit("top_k", few(dtype, shape), k=rng.randint(1, max(shape[-1], 1)))
        for down in (0, 1):
            emit("sort", few(dtype, shape), axis=axis(len(shape)), down=down)
        for name in ("max", "min", "sum", "prod"):
            shape = dims(rng.randint(1, 3), least=1)
            ids = np.array([rng.randint(-1, 3) for _ in range(shape[0])], np.int32)
            emit(f"unsorted_segment_{name}", few(dtype, shape), ids, n=4)
            ids = np.sort(abs(ids))
            emit(f"segment_{name}", few(dtype, shape), ids, n=int(ids.max()) + 1)
        for pool in ("max_pool", "avg_pool"):
            image = few(dtype, [rng.choice([1, 2]), rng.randint(1, 6), rng.randint(1, 6), 2])
            emit(pool, image, size=[rng.randint(1, 3)] * 2, strides=[rng.randint(1, 3)] * 2, padding=rng.choice(["SAME", "VALID"]))
        for tolerance in (0.0, 1.0, 2.0):
            shape = dims()
            emit("approximate_equal", few(dtype, shape, (0.0, 1.0, 2.0, -inf, nan)), few(dtype, shape, (0.0, 1.0, 2.0, 3.0, inf)), tolerance=tolerance)
    for begin_mask in range(4):
        # One element is where it begins, whatever the mask says.
        x = array("i32", [3, 4])
        for begin in ([1, 2], [-1, -2], [2, 5], [5, 1]):
            masks = {"begin_mask": begin_mask, "end_mask": rng.randrange(4), "ellipsis_mask": 0, "new_axis_mask": 0}
            emit("strided_slice", x, begin=begin, end=[0, 4], strides=[1, 1], **masks, shrink_axis_mask=rng.choice([1, 2, 3]))


def variable(f):
    """The method of a variable that is set to the first operand."""

    def make(a, x, indices, updates):
        w = tf.Variable(tf.zeros(x.shape, x.dtype), use_resource=False)
        with tf.control_dependencies([tf.assign(w, x).op]):
            return f(w, indices, updates)

    return make


def blocks(a):
    return {"strides": [1, *a["strides"], 1], "rates": [1, *a["rates"], 1], "padding": a["padding"]}


def partition(a, x, ids):
    return list(tf.dynamic_partition(x, ids, a["parts"]))


def stitched(a, x, y, i, j):
    return tf.dynamic_stitch([i, j], [x, y])


FURTHER = {
    "reverse_sequence": lambda a, x, n: tf.reverse_sequence(x, n, seq_axis=a["axis"], batch_axis=a["batch"]),
    "repeat": lambda a, x: tf.repeat(x, a["times"] if len(a["times"]) > 1 else a["times"][0], axis=a["axis"]),
    "repeat_by": lambda a, x, n: tf.repeat(x, n, axis=a["axis"]),
    "invert_permutation": lambda a, x: tf.invert_permutation(x),
    "unravel_index": lambda a, x: tf.unravel_index(x, tf.constant(a["dims"], x.dtype)),
    "is_non_decreasing": lambda a, x: tf.is_non_decreasing(x),
    "is_strictly_increasing": lambda a, x: tf.is_strictly_increasing(x),
    "extract_image_patches": lambda a, x: tf.extract_image_patches(x, sizes=[1, *a["size"], 1], **blocks(a)),
    "extract_volume_patches": lambda a, x: tf.extract_volume_patches(x, [1, *a["size"], 1], [1, *a["strides"], 1], a["padding"]),
    "dilation2d": lambda a, x, w: tf.nn.dilation2d(x, w, **blocks(a)),
    "erosion2d": lambda a, x, w: tf.nn.erosion2d(x, w, **blocks(a)),
    "max_pool_with_argmax": lambda a, x: list(tf.nn.max_pool_with_argmax(x, [1, *a["size"], 1], [1, *a["strides"], 1], a["padding"], include_batch_in_index=bool(a.get("batch")))),
    "erfcinv": lambda a, x: tf.math.erfcinv(x),
    "next_after": lambda a, x, y: tf.math.nextafter(x, y),
    "log_poisson_loss": lambda a, x, y: tf.nn.log_poisson_loss(y, x, compute_full_loss=bool(a.get("full"))),
    "xw_plus_b": lambda a, x, w, b: tf.nn.xw_plus_b(x, w, b),
    "relu_layer": lambda a, x, w, b: tf.nn.relu_layer(x, w, b),
    "tensor_scatter_max": lambda a, x, i, u: tf.tensor_scatter_nd_max(x, i, u),
    "tensor_scatter_min": lambda a, x, i, u: tf.tensor_scatter_nd_min(x, i, u),
    "scatter_mul": variable(tf.scatter_mul),
    "scatter_div": variable(tf.scatter_div),
    "scatter_max": variable(tf.scatter_max),
    "scatter_min": variable(tf.scatter_min),
    "sparse_to_dense": lambda a, x, i: tf.sparse_to_dense(i, a["dims"], x, tf.cast(a["default"], x.dtype), validate_indices=False),
    "sparse_segment_sum": lambda a, x, i, ids: tf.sparse_segment_sum(x, i, ids, num_segments=a["n"]),
    "sparse_segment_mean": lambda a, x, i, ids: tf.sparse_segment_mean(x, i, ids, num_segments=a["n"]),
    "sparse_segment_sqrt_n": lambda a, x, i, ids: tf.sparse_segment_sqrt_n(x, i, ids, num_segments=a["n"]),
    "histogram_fixed_width_bins": lambda a, x: tf.histogram_fixed_width_bins(x, tf.constant([a["low"], a["high"]], x.dtype), a["bins"]),
    "normalize": lambda a, x: list(tf.linalg.normalize(x, axis=a["axes"][0])),
    "matvec": lambda a, x, y: tf.linalg.matvec(x, y),
    "switch_case": lambda a, i, x: tf.switch_case(i, [lambda: x * 2.0, lambda: tf.sin(x)], default=lambda: -x),
    "broadcast_dynamic_shape": lambda a, x, y: tf.broadcast_dynamic_shape(x, y),
    "resize_with_pad": lambda a, x: tf.image.resize_image_with_pad(x, *a["size"]),
    "unique": lambda a, x: list(tf.unique_with_counts(x)),
    "dynamic_partition": partition,
    "dynamic_stitch": stitched,
    "difference": lambda a, x, y: list(tf.setdiff1d(x, y)),
    "gather_batched": lambda a, x, i: tf.gather(x, i, axis=a["axis"], batch_dims=a["batch"]),
    "outer": lambda a, x, y: tf.tensordot(x, y, 0),
    "euclidean_norm": lambda a, x: tf.math.reduce_euclidean_norm(x, axis=a.get("axes"), keepdims=bool(a.get("keep"))),
}


def whole(shape, least, most, dtype=np.int32):
    n = int(np.prod(shape))
    return np.array([rng.randint(least, most) for _ in range(n)], dtype).reshape(shape)


def further():
    """What is taken apart, put together and looked at by windows, sequences and places."""
    METHODS.update(FURTHER)
    SMOOTH.update("""reverse_sequence repeat repeat_by extract_image_patches extract_volume_patches dilation2d erosion2d max_pool_with_argmax
    erfcinv log_poisson_loss xw_plus_b relu_layer tensor_scatter_max tensor_scatter_min sparse_segment_sum sparse_segment_mean
    sparse_segment_sqrt_n normalize matvec switch_case dynamic_partition dynamic_stitch boolean_mask gather_nd batch_gather
    gather_nd_batched outer euclidean_norm tensor_scatter_update tensor_scatter_add tensor_scatter_sub scatter_nd resize_with_pad
    matrix_set_diag trace diag diag_part meshgrid cross cumulative_logsumexp mean_of_moments clip_by_norm einsum tensordot""".split())
    ints = [np.int32, np.int64]
    numbers = [*FLOATS, "i32", "i64", "u8", "i8", "i16", "u16", "u32", "u64"]
    for dtype in numbers:
        shape = dims(rng.randint(2, 4))
        axis_, batch = rng.sample(range(len(shape)), 2)
        emit("reverse_sequence", array(dtype, shape), whole([shape[batch]], 0, shape[axis_], rng.choice(ints)), axis=axis_, batch=batch)
        shape = dims(rng.randint(1, 4))
        a = axis(len(shape))
        emit("repeat", array(dtype, shape), times=[rng.randint(0, 3)], axis=a)
        if shape[a] > 1:
            emit("repeat", array(dtype, shape), times=[rng.randint(0, 3) for _ in range(shape[a])], axis=a)
        emit("repeat_by", array(dtype, shape), whole([shape[a]], 0, 3, rng.choice(ints)), axis=a)
        emit("repeat_by", array(dtype, shape), np.int32(rng.randint(0, 3)), axis=a)
        for name in ("is_non_decreasing", "is_strictly_increasing"):
            x = array(dtype, dims(), 0.0)
            emit(name, x)
            emit(name, np.sort(x.ravel()).reshape(x.shape))
        shape = dims(rng.randint(1, 3), least=1)
        depth = rng.randint(1, len(shape))
        places = dims(rng.randint(1, 2))
        indices = np.stack([whole(places, 0, shape[i] - 1, rng.choice(ints)) for i in range(depth)], -1).astype(rng.choice(ints))
        updates = array(dtype, [*places, *shape[depth:]], 0.0)
        for name in ("tensor_scatter_max", "tensor_scatter_min"):
            emit(name, array(dtype, shape, 0.0), indices, updates)
            if dtype in FLOATS:
                emit(name, few(dtype, shape), indices, few(dtype, updates.shape))
        for name in ("scatter_mul", "scatter_max", "scatter_min"):
            rows = whole(places, 0, shape[0] - 1)
            emit(name, array(dtype, shape, 0.0), rows, array(dtype, [*places, *shape[1:]], 0.0))
        x = array(dtype, dims(1))
        emit("unique", np.where(np.isnan(x), 1, x).astype(x.dtype) if dtype in FLOATS else x)
        emit("unique", whole(dims(1), 0, 3).astype(DTYPES[dtype]))
        emit("difference", whole(dims(1), 0, 6).astype(DTYPES[dtype]), whole(dims(1), 0, 4).astype(DTYPES[dtype]))
    for dtype in [*numbers, "bool"]:
        shape = dims(rng.randint(1, 4))
        led = rng.randint(1, len(shape))
        emit("boolean_mask", array(dtype, shape), array("bool", shape[:led]))
        emit("nonzero", array(dtype, dims(rng.randint(1, 5))))
        ids = whole(shape[:led], 0, 2)
        emit("dynamic_partition", array(dtype, shape), ids, parts=3)
        m, n = rng.randint(1, 3), rng.randint(1, 3)
        order = rng.sample(range(m + n), m + n)
        inner = dims(rng.randint(0, 2))
        emit("dynamic_stitch", array(dtype, [m, *inner]), array(dtype, [n, *inner]), np.int32(order[:m]), np.int32(order[m:]))
        emit("sparse_to_dense", array(dtype, [3]), np.array([[0, 1], [1, 2], [2, 0]], rng.choice(ints)), dims=[3, 4], default=0 if dtype == "bool" else 1)
        emit("sparse_to_dense", array(dtype, []), whole([2], 0, 0) + np.int32([1, 3]), dims=[5], default=0)
        shape = dims(rng.randint(2, 4), least=1)
        emit("gather_nd_batched", array(dtype, shape), whole([shape[0], 3, 1], 0, shape[1] - 1, rng.choice(ints)), batch=1)
        emit("batch_gather", array(dtype, shape), whole([shape[0], 2], 0, shape[1] - 1, rng.choice(ints)))
        emit("gather_nd", array(dtype, shape), whole([2, 2], 0, 0, rng.choice(ints)))
    for dtype in ints:
        for n in (0, 1, 4, 7):
            emit("invert_permutation", np.array(rng.sample(range(n), n), dtype))
        emit("invert_permutation", np.array([1, 1, 0], dtype))
        emit("invert_permutation", np.array([1, 3, 0], dtype))
        emit("unravel_index", whole([5], 0, 23, dtype), dims=[2, 3, 4])
        emit("unravel_index", dtype(7), dims=[9])
        emit("broadcast_dynamic_shape", np.array([2, 1, 3], dtype), np.array([4, 1], dtype))
        emit("broadcast_dynamic_shape", np.array([], dtype), np.array([0, 1], dtype))
        emit("broadcast_dynamic_shape", np.array([2, 3], dtype), np.array([4, 3], dtype))
    for dtype in ["f32", "f64", "i32", "u8"]:
        for _ in range(6):
            image = array(dtype, [rng.choice([0, 1, 2]), rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 2)], 0.0)
            where = dict(strides=[rng.randint(1, 3), rng.randint(1, 3)], rates=[rng.randint(1, 2), rng.randint(1, 2)], padding=rng.choice(["SAME", "VALID"]))
            size = [rng.randint(1, 3), rng.randint(1, 3)]
            emit("extract_image_patches", image, size=size, **where)
            if dtype in FLOATS:
                emit("dilation2d", image, array(dtype, [*size, image.shape[3]], 0.0), **where)
                emit("erosion2d", image, array(dtype, [*size, image.shape[3]], 0.0), **where)
            volume = array(dtype, [1, rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 2)], 0.0)
            emit("extract_volume_patches", volume, size=[rng.randint(1, 2) for _ in range(3)], strides=[rng.randint(1, 2) for _ in range(3)], padding=where["padding"])
            if dtype in FLOATS and image.size:
                for make in (lambda: image, lambda: few(dtype, list(image.shape))):
                    emit("max_pool_with_argmax", make(), size=size, strides=where["strides"], padding=where["padding"], batch=chance(0.5))
    for dtype in FLOATS:
        emit("erfcinv", array(dtype, [3, 4], 0.0, 0.05, 1.95))
        emit("erfcinv", np.array([0.0, 2.0, 1.0, -0.5, 2.5, nan], DTYPES[dtype]))
        wild = np.array([w for w in WILD if abs(w) != 1e6], DTYPES[dtype])
        emit("next_after", wild[:, None], np.array([nan, inf, -inf, 1.0, -1.0, 2.0], DTYPES[dtype]))
        emit("next_after", array(dtype, [4, 1], 0.0), array(dtype, [3], 0.0))
        for full in (False, True):
            shape = dims()
            emit("log_poisson_loss", array(dtype, shape, 0.0, -2, 2), array(dtype, shape, 0.0, 0, 4), full=full)
        for name in ("xw_plus_b", "relu_layer"):
            n, k, m = rng.randint(0, 3), rng.randint(1, 3), rng.randint(1, 3)
            emit(name, array(dtype, [n, k], 0.0), array(dtype, [k, m], 0.0), array(dtype, [m], 0.0))
        shape = dims(rng.randint(1, 3), least=1)
        emit("scatter_div", array(dtype, shape, 0.0), whole([2], 0, shape[0] - 1), array(dtype, [2, *shape[1:]], 0.0, 1, 2))
        for name in ("sparse_segment_sum", "sparse_segment_mean", "sparse_segment_sqrt_n"):
            for _ in range(2):
                shape = dims(rng.randint(1, 3), least=1)
                n = rng.randint(1, 5)
                emit(name, array(dtype, shape, 0.0), whole([n], 0, shape[0] - 1, rng.choice(ints)), np.sort(whole([n], 0, 3)), n=5)
        for low, high, bins in ((0, 5, 5), (-1, 1, 3), (0, 1, 1)):
            emit("histogram_fixed_width_bins", array(dtype, dims(), 0.0), low=low, high=high, bins=bins)
        shape = dims(rng.randint(1, 3), least=1)
        emit("normalize", array(dtype, shape, 0.0), axes=[axis(len(shape))])
        lead = dims(rng.randint(0, 2))
        emit("matvec", array(dtype, [*lead, 2, 3], 0.0), array(dtype, [*lead, 3], 0.0))
        emit("outer", array(dtype, dims(rng.randint(0, 2)), 0.0), array(dtype, dims(rng.randint(0, 2)), 0.0))
        for i in (-1, 0, 1, 2):
            emit("switch_case", np.int32(i), array(dtype, dims(), 0.0))
        for _ in range(4):
            shape = dims(rng.randint(1, 3))
            emit("euclidean_norm", array(dtype, shape, 0.0), axes=some_axes(len(shape)), keep=chance(0.4))
    for h, w, size in ((4, 6, [3, 3]), (5, 3, [7, 4]), (2, 9, [4, 4]), (3, 3, [6, 6]), (7, 5, [3, 8])):
        emit("resize_with_pad", array("f32", [1, h, w, 2], 0.0), size=size)
    SMOOTH.add("gather_batched")
    for _ in range(24):
        shape = dims(rng.randint(1, 4), least=1)
        along = rng.randrange(len(shape))
        batch = rng.randint(0, along)
        at = [*shape[:batch], *dims(rng.randint(0, 2))]
        emit("gather_batched", array(rng.choice([*FLOATS, "i32", "u8", "bool"]), shape), whole(at, 0, shape[along] - 1, rng.choice(ints)), axis=along - len(shape) if chance(0.4) else along, batch=batch)
    # Labels take the logits' dtype.
    emit("softmax_cross_entropy", array("f64", [2, 3], 0.0), np.float32([[0.25, 0.5, 0.25], [1, 0, 0]]))


if __name__ == "__main__":
    print("# Made by tests/oracle/probes.py with TensorFlow", tf.__version__)
    elementwise()
    reductions()
    arrays()
    layers()
    # What takes u64, which had no number of its own above.
    for dtypes in (INTEGERS, NUMBERS, ANY):
        dtypes[:] = ["u64"]
    ONLY.add("u64")
    elementwise()
    reductions()
    arrays()
    ONLY.clear()
    ties()
    further()
