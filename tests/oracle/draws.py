"""Writes what TensorFlow draws beyond tests/oracle/ops.py: the golden numbers of tests/tensorflow.

    python tests/oracle/draws.py > tests/fixtures/draws.txt

A line is a draw: the name of a Dormouse method, attributes as key=value, after each `|` an operand, and after `=>` three
runs of one session, each told by a checksum and the bits of its first and last elements, as tests/oracle/ops.py has it.
Lines of `distorted` tell the three results' elements instead, and so do those of f64 gamma numbers of shapes up to 1, whose
logarithms and powers Dormouse computes to two units of the last place.

Categorical numbers are TensorFlow's with one thread: with more, what it draws of many rows depends on their number.
"""

import numpy as np

from ops import array, checksum, f32, f64, i32, i64, noise, tf

WORDS = {"float32": np.uint32, "float64": np.uint64, "int32": np.uint32, "int64": np.uint64}
SEEDS = [(None, 1), (7, None), (7, 9), (0, 0), (-5, 1 << 35)]


def told(x):
    bits = np.ascontiguousarray(x).ravel().view(WORDS[str(x.dtype)])
    return f"{checksum(bits):x},{int(bits[0]):x},{int(bits[-1]):x}" if len(bits) else "0"


def draw(name, make, *operands, seeds=SEEDS[:1], whole=False, **attributes):
    for graph_seed, seed in seeds:
        with tf.Graph().as_default():
            if graph_seed is not None:
                tf.set_random_seed(graph_seed)
            inputs = [tf.placeholder(x.dtype, x.shape) for x in operands]
            tensors = make(*inputs, seed)
            config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
            with tf.Session(config=config) as session:
                runs = [session.run(tensors, dict(zip(inputs, operands))) for _ in range(3)]
        own = [(k, v) for k, v in [("graph_seed", graph_seed), ("seed", seed)] if v is not None]
        given = " ".join(f"{k}={v}" for k, v in [*attributes.items(), *own])
        if isinstance(tensors, (list, tuple)) or whole:
            runs = [run if isinstance(run, (list, tuple)) else [run] for run in runs]
            results = " | ".join(" ".join(array(x) for x in run) for run in runs)
        else:
            results = " ".join(told(x) for x in runs)
        print(" | ".join([f"{name} {given}", *(array(x) for x in operands)]), "=>", results)


def orthogonal():
    for dtype, t in (("f32", tf.float32), ("f64", tf.float64)):
        for shape in ([3, 3], [2, 5], [4, 2], [2, 3, 4]):
            make = lambda seed: tf.orthogonal_initializer(1.5, seed=seed, dtype=t)(shape)
            draw("orthogonal", make, whole=True, dtype=dtype, dims=dims(shape), gain=1.5, sums=32)


def dims(x):
    return ",".join(str(n) for n in x)


def integers():
    ranges = [(0, 10), (-3, 4), (5, 6), (0, (1 << 31) - 1), (-(1 << 31), (1 << 31) - 1)]
    for dtype, t in (("i32", tf.int32), ("i64", tf.int64)):
        for low, high in ranges + ([(-(1 << 62), 1 << 62), (-(1 << 63), (1 << 63) - 1)] if dtype == "i64" else []):
            for size in (1, 7, 1000, 100000):
                make = lambda seed: tf.random_uniform([size], low, high, dtype=t, seed=seed)
                draw("random_uniform", make, seeds=SEEDS if (low, size) == (-3, 1000) else SEEDS[:1], dtype=dtype, size=size, low=low, high=high)


def shaped():
    for t in (f32, f64):
        few = np.array([0.1, 0.5, 0.999, 1.0, 1.5, 3.0, 25.0, 1e4], t)
        small = few[:4]
        if t == f64:
            few = few[4:]
            draw("random_gamma", lambda x, seed: tf.random_gamma([20], x, dtype=x.dtype, seed=seed), small, whole=True, dims="20", ulps=2)
        for size in ([], [1], [7], [50, 4], [0]):
            seeds = SEEDS if size == [7] else SEEDS[:1]
            draw("random_gamma", lambda x, seed: tf.random_gamma(size, x, dtype=x.dtype, seed=seed), few, seeds=seeds, dims=dims(size))
            rates = np.array([0.0, 0.3, 2.5, 9.99, 10.0, 31.5, 1e3, 1e6], t)
            for out, o in (("i32", tf.int32), ("i64", tf.int64), ("f32", tf.float32), ("f64", tf.float64)):
                draw("random_poisson", lambda x, seed: tf.random_poisson(x, size, dtype=o, seed=seed), rates, seeds=seeds, dims=dims(size), dtype=out)
        draw("random_gamma", lambda x, seed: tf.random_gamma([1000], x, dtype=x.dtype, seed=seed), np.array([[2.0], [7.5]], t), dims="1000")
        draw("random_gamma", lambda x, seed: tf.random_gamma([5], x, dtype=x.dtype, seed=seed), np.array(1.75, t), dims="5")
        draw("random_poisson", lambda x, seed: tf.random_poisson(x, [1000], dtype=tf.int32, seed=seed), np.array([[3.0, 12.0]], t), dims="1000", dtype="i32")
        make = lambda x, rate, seed: tf.random_gamma([6], x, rate, dtype=x.dtype, seed=seed)
        draw("random_gamma_of_rate", make, np.array([[1.5], [4.0]], t), np.array([1.0, 3.0, 0.25], t), dims="6")


def classes():
    for t in (f32, f64):
        for rows, count, samples in [(1, 3, 1), (1, 3, 7), (1, 60, 1000), (5, 4, 3), (3, 10, 200), (2, 1, 4)]:
            for out, o in (("i32", tf.int32), ("i64", tf.int64)):
                make = lambda x, seed: tf.multinomial(x, samples, seed=seed, output_dtype=o)
                if out == "i64":
                    draw("categorical", make, noise([rows, count], t), seeds=SEEDS if samples == 7 else SEEDS[:1], samples=samples)
    odd = np.array([[-np.inf, 0.0, 5.0], [1e30, 0.0, 1e30], [3.0, np.nan, 3.0]], f32)
    draw("categorical", lambda x, seed: tf.multinomial(x, 9, seed=seed), odd, samples=9)


def orders():
    for shape, t in [([1], f32), ([2], f32), ([7], i32), ([100], f32), ([1000], i64), ([3, 4], f32), ([40, 2, 2], f64)]:
        x = np.arange(np.prod(shape)).reshape(shape).astype(t)
        draw("shuffle", lambda x, seed: tf.random_shuffle(x, seed=seed), x, seeds=SEEDS if shape == [100] else SEEDS[:1])
    for shape, size in [([7], [3]), ([7], [7]), ([9, 8, 3], [4, 5, 3]), ([9, 8, 3], [9, 1, 2]), ([2, 3], [0, 2]), ([2, 12, 12, 1], [2, 9, 9, 1])]:
        x = np.arange(np.prod(shape)).reshape(shape).astype(f32)
        draw("random_crop", lambda x, seed: tf.random_crop(x, size, seed=seed), x, seeds=SEEDS if len(shape) == 3 else SEEDS[:1], dims=dims(size))


def initializers():
    shapes = [[], [7], [3, 5], [3, 3, 2, 4], [0, 4], [784, 500]]
    named = {
        "glorot_uniform": tf.glorot_uniform_initializer, "glorot_normal": tf.glorot_normal_initializer,
        "he_uniform": tf.keras.initializers.he_uniform, "he_normal": tf.keras.initializers.he_normal,
        "lecun_uniform": tf.keras.initializers.lecun_uniform, "lecun_normal": tf.keras.initializers.lecun_normal,
    }
    named = {k: v for k, v in named.items() if k.startswith("glorot")} | {
        k: getattr(tf.initializers, k) for k in ("he_uniform", "he_normal", "lecun_uniform", "lecun_normal")}
    for dtype, t in (("f32", tf.float32), ("f64", tf.float64)):
        for shape in shapes:
            for name, make in named.items():
                draw(name, lambda seed: make(seed=seed)(shape, dtype=t), dtype=dtype, dims=dims(shape))
            if shape == [784, 500]:
                continue
            for fan in ("fan_in", "fan_out", "fan_avg"):
                for spread in ("truncated_normal", "untruncated_normal", "uniform"):
                    make = lambda seed: tf.variance_scaling_initializer(1.7, fan, spread, seed=seed)(shape, dtype=t)
                    draw("variance_scaling", make, dtype=dtype, dims=dims(shape), scale=1.7, fan=fan, spread=spread)


def boxes():
    some = np.array([[[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0], [0.3, 0.3, 0.4, 0.35]]], f32)
    for size in ([100, 80, 3], [1, 1, 1], [299, 400, 3], [7, 5, 3]):
        for t in (i32, i64):
            for b, covered in ((some, 0.1), (some[:, 2:], 0.9), (np.zeros([1, 0, 4], f32), 0.5), (some[:, :1], 0.0), (some[:, 1:2], 2.0)):
                make = lambda s, b, seed: list(tf.image.sample_distorted_bounding_box(s, b, seed=seed, min_object_covered=covered, use_image_if_no_bounding_boxes=True))
                draw("distorted", make, np.array(size, t), b, seeds=[(None, 1), (3, 42)], covered=covered, ratio="0.75,1.33", area="0.05,1.0", attempts=100)
    for ratio, area, attempts in (((0.5, 2.0), (0.3, 0.6), 3), ((1.0, 1.0), (0.9, 1.0), 50), ((3.0, 4.0), (0.9, 1.0), 5), ((0.75, 1.33), (1.0, 1.0), 10)):
        make = lambda s, b, seed: list(tf.image.sample_distorted_bounding_box(s, b, seed=seed, min_object_covered=0.1, aspect_ratio_range=ratio, area_range=area, max_attempts=attempts))
        draw("distorted", make, np.array([120, 90, 3], i32), some, covered=0.1, ratio=dims(ratio), area=dims(area), attempts=attempts)


if __name__ == "__main__":
    print("# Made by tests/oracle/draws.py with TensorFlow", tf.__version__)
    integers()
    shaped()
    classes()
    orders()
    initializers()
    boxes()
    orthogonal()
