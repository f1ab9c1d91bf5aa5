"""Writes what TensorFlow gives in f16, bf16 and the short integers: the golden numbers of tests/tensorflow.

    python tests/oracle/elements.py > tests/fixtures/elements.txt

The cases are those of ops.py, functions.py, arrays.py and nn.py, in these dtypes instead of f32 and i32: a few of each method,
as far as TensorFlow has a kernel. A line is a case, as ops.py has it; the draws at the end are lines as of draws.py.
"""

import collections
import itertools
import sys

import numpy as np

import ops
from ops import array, tf

bf16, f16 = tf.bfloat16.as_numpy_dtype, np.float16
HALVES = {"f16": f16, "bf16": bf16}
SHORT = {"i8": np.int8, "i16": np.int16, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64}
ops.NAMES.update({np.dtype(t).name: name for name, t in {**HALVES, **SHORT}.items()})

# Cases of one method: values and gradients, of one dtype.
VALUES, GRADIENTS = 2, 1
# Elements of a case.
ELEMENTS = 150
plain = ops.number


def number(x):
    """The shortest decimals that give a half's bits back."""
    if x.dtype not in (f16, bf16):
        return plain(x)
    if not np.isfinite(x):
        return str(float(x))
    near = (f"{float(x):.{digits}g}" for digits in range(1, 8))
    return next(text for text in near if x.dtype.type(float(text)) == x)


ops.number = number


def denormal(x):
    """Whether there are numbers that TensorFlow takes to be 0."""
    if x.dtype not in (f16, bf16):
        return False
    least = 6.2e-5 if x.dtype == f16 else 1.2e-38
    size = np.abs(x.astype(np.float64))
    return bool(np.any((size > 0) & (size < least)))


def evaluate(make, operands):
    with tf.Graph().as_default():
        inputs = [tf.placeholder(x.dtype, x.shape) for x in operands]
        outputs = make(*inputs)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        with tf.Session(config=config) as session:
            return [np.asarray(x) for x in session.run(outputs, dict(zip(inputs, operands)))]


class Cases:
    """What the other scripts' cases are in another dtype."""

    def __init__(self):
        self.counts = collections.Counter()
        self.refused = collections.Counter()

    def emit(self, kind, name, operands, results, attributes):
        if any(denormal(x) for x in [*operands, *results]):
            return False
        if any(str(x.dtype) not in ops.NAMES for x in results):
            return False
        ops.emit(f"{kind}{name}", operands, results, attributes)
        return True

    def tried(self, kind, name, make, operands, attributes, dtype):
        """The operands in this dtype, and the results; None where TensorFlow does not take it."""
        wide, narrow = (np.float32, HALVES) if dtype in HALVES else (np.int32, SHORT)
        target = narrow[dtype]
        converted = [x.astype(target) if x.dtype == wide else x for x in operands]
        first = [converted[0], *operands[1:]]
        # Indices stay what they are.
        for candidate in ([converted] if dtype in HALVES else [first, converted]):
            try:
                return candidate, evaluate(make, candidate)
            except Exception:
                continue
        self.refused[f"{kind}{name} {dtype}"] += 1
        return None

    def value(self, name, make, *operands, **attributes):
        operands = [np.asarray(x) for x in operands]
        if sum(x.size for x in operands) > ELEMENTS or "to" in attributes or "dtype" in attributes:
            return
        kinds = {str(x.dtype) for x in operands}
        dtypes = list(HALVES) if "float32" in kinds else list(SHORT) if operands[0].dtype == np.int32 else []
        for dtype in dtypes:
            if self.counts["", name, dtype] >= VALUES:
                continue
            tried = self.tried("", name, make, operands, attributes, dtype)
            if tried and self.emit("", name, *tried, attributes):
                self.counts["", name, dtype] += 1

    def gradient(self, name, make, *operands, **attributes):
        self.value(name, make, *operands, **attributes)
        operands = [np.asarray(x) for x in operands]
        if sum(x.size for x in operands) > ELEMENTS or not any(x.dtype == np.float32 for x in operands):
            return
        for dtype, target in HALVES.items():
            if self.counts["grad ", name, dtype] >= GRADIENTS:
                continue
            tried = self.tried("", name, make, operands, attributes, dtype)
            if not tried or tried[1][0].dtype != target:
                continue
            w = ops.weights(tried[1][0].shape, target)

            def gradients(*inputs):
                y = make(*inputs[:-1])
                y = y[0] if isinstance(y, (list, tuple)) else y
                floats = [x for x in inputs[:-1] if x.dtype.is_floating]
                return [tf.convert_to_tensor(g) for g in tf.gradients(tf.reduce_sum(y * inputs[-1]), floats)]

            try:
                results = evaluate(gradients, [*tried[0], w])
            except Exception:
                self.refused[f"grad {name} {dtype}"] += 1
                continue
            if self.emit("grad ", name, [*tried[0], w], results, attributes):
                self.counts["grad ", name, dtype] += 1


def repeated():
    """The cases of the other scripts."""
    cases = Cases()
    ops.case, ops.grad = cases.value, cases.gradient
    import arrays
    import functions
    import nn

    for module in (functions, arrays, nn):
        module.case, module.grad = cases.value, cases.gradient
        module.emit = lambda *_: None
    parts = [ops.elementwise, ops.binary, ops.reductions, ops.linalg, ops.arrays, ops.classification, ops.images,
             functions.unary, functions.binary, functions.special, functions.segments, functions.order, functions.statistics, functions.systems,
             functions.clips, arrays.slices, arrays.together, arrays.padded, arrays.indexed, arrays.made, arrays.matrices,
             arrays.blocks, arrays.contractions, nn.convolutions, nn.pools, nn.normalizations, nn.entropies, nn.losses,
             nn.samplers, nn.embeddings]
    for part in parts:
        part()
    print(*(f"{n} of {what}" for what, n in sorted(cases.refused.items())), sep="\n", file=sys.stderr)


CORNERS = {"i8": [-128, -127, -7, -3, -1, 0, 1, 2, 3, 7, 12, 64, 127], "i16": [-32768, -32767, -7, -1, 0, 1, 2, 3, 181, 182, 32767],
           "u16": [0, 1, 2, 3, 7, 255, 256, 32767, 32768, 65535], "u32": [0, 1, 2, 7, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1],
           "u64": [0, 1, 2, 7, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]}


def case(name, make, *operands, **attributes):
    results = evaluate(make, operands)
    ops.emit(name, operands, results, attributes)


def whole():
    """Arithmetic of the ends of the short integers."""
    pairs = {"add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "maximum": tf.maximum, "minimum": tf.minimum,
             "bitwise_and": tf.bitwise.bitwise_and, "bitwise_or": tf.bitwise.bitwise_or, "bitwise_xor": tf.bitwise.bitwise_xor,
             "equal": tf.equal, "less": tf.less, "greater_equal": tf.greater_equal}
    for dtype, t in SHORT.items():
        x = np.array(CORNERS[dtype], t)
        for name, f in pairs.items():
            case(name, f, x[:, None], x)
        other = x[x != 0]
        for name, f in {"floor_div": tf.floordiv, "floor_mod": tf.floormod, "truncate_div": tf.truncatediv}.items():
            case(name, f, x[:, None], other)
        for name, f in {"left_shift": tf.bitwise.left_shift, "right_shift": tf.bitwise.right_shift}.items():
            by = [0, 1, 5, 7, 8, 15, 16, 31, 32, 100] + ([-1, -100] if dtype[0] == "i" else [])
            case(name, f, x[:, None], np.array(by, t))
        for name, f in {"invert": tf.bitwise.invert, "square": tf.square, "relu": tf.nn.relu}.items():
            case(name, f, x)
        if dtype[0] == "i":
            for name, f in {"neg": tf.negative, "abs": tf.abs, "sign": tf.sign}.items():
                case(name, f, x)
            case("pow", tf.pow, x[:, None], np.array([0, 1, 2, 3, 7], t))
        case("true_div", tf.truediv, x[:, None], other)
        for name, f in {"sum": tf.reduce_sum, "mean": tf.reduce_mean, "prod": tf.reduce_prod, "max": tf.reduce_max, "min": tf.reduce_min}.items():
            case(name, f, x)
            case(name, f, np.full([300], 100, t))
            case(name, f, np.zeros([0], t))
        for name, f in {"cumsum": tf.cumsum, "cumprod": tf.cumprod}.items():
            case(name, lambda x, f=f: f(x, axis=0), x, axis=0, exclusive=False, reverse=False)
        for name, f in {"argmax": tf.argmax, "argmin": tf.argmin}.items():
            case(name, lambda x, f=f: f(x, axis=0), x, axis=0)


def casts():
    """Casts between all pairs, of numbers that both hold."""
    names = {**{name: t for t, name in ((np.dtype(t), n) for n, t in {**HALVES, **SHORT}.items())},
             "f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_}
    short = [*HALVES, *SHORT]
    fine = [0.0, 1.0, 0.1, 1 / 3, -2.75, 3.14159265, 1000.123, 2049.0, 2051.0, 65519.0, 65520.0, 1e30, 1.00390625, 1.01171875, 1.0009766,
            1.0014648, np.inf, -np.inf, np.nan]
    for source, target in itertools.product(names, names):
        if source == target or source not in short and target not in short:
            continue
        t = np.dtype(names[source])
        if t.kind == "f" or source == "bf16":
            floats = target in HALVES or target in ("f32", "f64")
            values = fine if floats else [0.0, 1.0, 0.5, 2.9, 100.6, 126.4] + ([-0.9, -1.5, -100.2] if target[0] != "u" else [])
        elif t.kind == "b":
            values = [True, False]
        else:
            values = CORNERS.get(source, [v for v in ops.INTS.get(t.type, [])])
        x = np.array(values, np.float64 if t.kind == "f" or source == "bf16" else t).astype(t)
        if denormal(x):
            continue
        case("cast", lambda x: tf.cast(x, names[target]), x, to=target)


def limited():
    """Casts to the nearest that a dtype holds, and images of other dtypes."""
    names = {**HALVES, **SHORT, "f32": np.float32, "i32": np.int32, "u8": np.uint8}
    for source, target in itertools.product(names, names):
        if source == target:
            continue
        t = np.dtype(names[source])
        real = source in ("f16", "bf16", "f32")
        values = [0.0, 1.5, 100.0, 6e4, -6e4, 1e6, -1e6, 3e38, np.inf, -np.inf] if real else CORNERS.get(source, [0, 1, 127, 128, 255] + [2**31 - 1, -(2**31)] * (source == "i32"))
        x = np.array(values, np.float64 if real else t).astype(t)
        # TensorFlow's has no kernel of u32 and u64.
        if not {"u32", "u64"} & {source, target}:
            case("saturate_cast", lambda x: tf.saturate_cast(x, names[target]), x, to=target)
        if "f16" in (source, target) and {source, target} & {"u16", "i32", "u32", "u64"}:
            # The largest number is beyond f16.
            continue
        x = np.array([0.0, 0.25, 0.5, 0.75], np.float64).astype(t) if real else np.array(values, t)
        if not real and target not in ("f16", "bf16", "f32") and np.iinfo(t).bits >= 32 and (x < 0).any():
            # TensorFlow casts what is below 0 as the machine does.
            x = x[x >= 0]
        for saturate in (False, True):
            # What is beyond u64 TensorFlow casts as the machine does.
            if saturate and real and target != "u64":
                x = np.append(x, [1.0, 1.5, -0.5]).astype(t)
            try:
                case("convert_image_dtype", lambda x: tf.image.convert_image_dtype(x, names[target], saturate), x, dtype=target, saturate=saturate)
            except Exception as e:
                print("no convert_image_dtype", source, target, type(e).__name__, file=sys.stderr)


def normalized():
    for t in HALVES.values():
        x, scale, offset = ops.noise([3, 2, 2, 4]).astype(t), ops.noise([4], seed=1), ops.noise([4], seed=2)
        case("fused_batch_norm", lambda x, s, o: tf.nn.fused_batch_norm(x, s, o, epsilon=0.01), x, scale, offset, epsilon=0.01)
        mean, variance = np.float32([0.5, -0.25, 0.0, 1.0]), np.float32([1.0, 0.5, 2.0, 0.25])
        make = lambda x, s, o: tf.nn.fused_batch_norm(x, s, o, mean=tf.constant(mean), variance=tf.constant(variance), epsilon=0.01, is_training=False)
        case("fused_batch_norm_of", make, x, scale, offset, epsilon=0.01, mean=list(mean), variance=list(variance))


def long_sums():
    """Numbers of which sums in a half would be off by much."""
    for t in HALVES.values():
        x = ops.noise([40], np.float32).astype(t)
        for name, f in {"sum": tf.reduce_sum, "mean": tf.reduce_mean}.items():
            case(name, f, x)
        case("sum", tf.reduce_sum, np.zeros([0], t))
        case("max", tf.reduce_max, np.zeros([0], t))
        case("min", tf.reduce_min, np.zeros([0], t))


def draws():
    import draws as lines

    lines.WORDS.update({np.dtype(t).name: np.uint16 for t in HALVES.values()})
    for name, t in HALVES.items():
        for size in (1, 7, 1001):
            seeds = lines.SEEDS if size == 7 else lines.SEEDS[:1]
            lines.draw("random_uniform", lambda seed: tf.random_uniform([size], dtype=t, seed=seed), seeds=seeds, dtype=name, size=size)
            lines.draw("random_normal", lambda seed: tf.random_normal([size], dtype=t, seed=seed), seeds=seeds, dtype=name, size=size)
            lines.draw("truncated_normal", lambda seed: tf.truncated_normal([size], dtype=t, seed=seed), seeds=seeds, dtype=name, size=size)
        lines.draw("random_uniform", lambda seed: tf.random_uniform([99], -0.3, 1.7, dtype=t, seed=seed), dtype=name, size=99, low=-0.3, high=1.7)
        lines.draw("random_normal", lambda seed: tf.random_normal([99], 0.5, 0.3, dtype=t, seed=seed), dtype=name, size=99, mean=0.5, stddev=0.3)
        lines.draw("truncated_normal", lambda seed: tf.truncated_normal([99], 0.5, 0.3, dtype=t, seed=seed), dtype=name, size=99, mean=0.5, stddev=0.3)
        lines.draw("dropout", lambda seed: tf.nn.dropout(tf.fill([100], tf.constant(1.25, t)), rate=0.4, seed=seed), dtype=name, size=100, rate=0.4)
        # TensorFlow asks numpy for the least number, which bf16 has not there.
        if name == "f16":
            lines.draw("random_gamma", lambda x, seed: tf.random_gamma([50], x, dtype=t, seed=seed), np.array([0.5, 1.0, 2.5, 30.0], t), size=50)
        lines.draw("categorical", lambda x, seed: tf.multinomial(x, 40, seed=seed), np.array([[0.5, 1.0, -2.0], [3.0, 0.0, 0.25]], t), samples=40)
        lines.draw("glorot_uniform", lambda seed: tf.glorot_uniform_initializer(seed=seed, dtype=t)([5, 7], dtype=t), dtype=name, dims="5,7")
    rates = np.array([0.5, 3.0, 20.0], f16)
    lines.draw("random_poisson", lambda x, seed: tf.random_poisson(x, [50], dtype=tf.float16, seed=seed), rates, dtype="f16", size=50)
    lines.draw("random_poisson", lambda x, seed: tf.random_poisson(x, [50], dtype=tf.int32, seed=seed), rates, dtype="i32", size=50)


def bits():
    """The bits of one dtype as those of another."""
    dtypes = {**HALVES, **SHORT, "f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8}
    numbers = np.array([[0, 1, 255, 128, 7, 9, 200, 3], [60, 61, 62, 63, 1, 2, 3, 64]], np.uint8)
    for source, given in dtypes.items():
        x = (numbers.view(np.uint16) if source == "bf16" else numbers).view(given)
        for to, taken in dtypes.items():
            ratio = np.dtype(taken).itemsize // np.dtype(given).itemsize
            shaped = x.reshape([2, -1, ratio]) if ratio > 1 else x
            case("bitcast", lambda t: tf.bitcast(t, taken), shaped, to=to)


if __name__ == "__main__":
    print("# Made by tests/oracle/elements.py with TensorFlow", tf.__version__)
    repeated()
    whole()
    casts()
    limited()
    normalized()
    long_sums()
    bits()
    print("# Draws")
    draws()
