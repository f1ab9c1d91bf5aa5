"""Writes what TensorFlow's three random ops give for fixed seeds: the golden numbers of dormouse-kernels' `random`.

    pip install tensorflow-cpu          # 2.21.0 was used, on x86-64 with glibc 2.36
    python tests/oracle/random_numbers.py > crates/dormouse-kernels/src/random/golden.txt

A line is: distribution, dtype, the attributes seed and seed2, elements, a checksum for each of three runs of one
session, and the bits of the first run's leading elements. The checksum is the sum of bits[i] * (2 i + 1) modulo 2^64.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()

OPS = {
    "uniform": (tf.raw_ops.RandomUniform, tf.random_uniform),
    "normal": (tf.raw_ops.RandomStandardNormal, tf.random_normal),
    "truncated": (tf.raw_ops.TruncatedNormal, tf.truncated_normal),
}
DTYPES = {"f32": (tf.float32, np.uint32), "f64": (tf.float64, np.uint64)}
SIZES = [0, 1, 2, 3, 4, 5, 7, 16, 255, 256, 257, 1000, 65537, 1000000]
# An op seed alone is (87654321, op seed); the rest are a graph's and an op's seed, and what no Python call gives.
SEEDS = [(87654321, 1), (87654321, 42), (7, 9), (0, 2147483647), (-3, 1 << 40)]
RUNS = 3
LEADING = 6


def checksum(bits):
    with np.errstate(over="ignore"):
        odd = 2 * np.arange(len(bits), dtype=np.uint64) + np.uint64(1)
        return int(np.sum(bits.astype(np.uint64) * odd, dtype=np.uint64))


def runs(make, threads):
    with tf.Graph().as_default():
        tensor = make()
        config = tf.ConfigProto(intra_op_parallelism_threads=threads)
        with tf.Session(config=config) as session:
            return [session.run(tensor) for _ in range(RUNS)]


def line(name, dtype, seeds, size):
    operation, public = OPS[name]
    tf_dtype, word = DTYPES[dtype]
    results = runs(lambda: operation(shape=[size], dtype=tf_dtype, seed=seeds[0], seed2=seeds[1]), threads=1)
    sharded = runs(lambda: operation(shape=[size], dtype=tf_dtype, seed=seeds[0], seed2=seeds[1]), threads=4)
    assert all(np.array_equal(a, b) for a, b in zip(results, sharded)), "threads change the numbers"
    if seeds[0] == 87654321:
        called = runs(lambda: public([size], dtype=tf_dtype, seed=seeds[1]), threads=2)
        assert all(np.array_equal(a, b) for a, b in zip(results, called)), "the function is not the op"
    bits = [result.view(word) for result in results]
    leading = " ".join(format(int(x), "x") for x in bits[0][:LEADING])
    sums = " ".join(format(checksum(run), "x") for run in bits)
    return f"{name} {dtype} {seeds[0]} {seeds[1]} {size} {sums} {leading}".rstrip()


def main():
    for name in OPS:
        for dtype in DTYPES:
            for index, seeds in enumerate(SEEDS):
                for size in SIZES:
                    if index > 0 and size > 100000 or index > 1 and size not in (1, 7, 1000):
                        continue
                    print(line(name, dtype, seeds, size))


if __name__ == "__main__":
    main()
