"""Runs small programs of a TensorFlow course (chapters 3 to 6) and prints what each gives.

    pip install tensorflow-cpu          # 2.21.0 was used
    python tests/oracle/course.py [chapter ...]

The programs under examples/course are the same ones for Dormouse: same data, seeds, batches and formulas. Numbers are
printed with all the digits of an f32, though the last ones of a long training differ from build to build.
"""

import os
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)
np.set_printoptions(floatmode="unique", linewidth=110)

BATCH = 8
POINTS = 128


def fetch(session, tensors, feeds=None):
    """The scalars' values, each with the digits of an f32."""
    return " ".join(str(value) for value in session.run(tensors, feeds))


def batches(step):
    """Batch number `step` of 128 rows: rows in order, from the start again after 16 batches."""
    start = step * BATCH % POINTS
    return slice(start, start + BATCH)


def chapter_3_1():
    with tf.Session() as session:
        a = tf.constant([1.0, 2.0], name="a")
        b = tf.constant([2.0, 3.0], name="b")
        result = a + b
        print("handle", result.name, result.shape, result.dtype.name)
        print("a + b", session.run(result))


def two_layers(x):
    w1 = tf.Variable(tf.random_normal([2, 3], stddev=1, seed=1))
    w2 = tf.Variable(tf.random_normal([3, 1], stddev=1, seed=1))
    return w1, w2, tf.matmul(tf.matmul(x, w1), w2)


def chapter_3_2():
    x = tf.placeholder(tf.float32, [None, 2])
    w1, w2, y = two_layers(x)
    with tf.Session() as session:
        session.run([w1.initializer, w2.initializer])
        print("w1", session.run(w1).tolist())
        print("w2", session.run(w2).tolist())
        print("one row", session.run(y, {x: [[0.7, 0.9]]}))
        print("three rows", session.run(y, {x: [[0.7, 0.9], [0.1, 0.4], [0.5, 0.8]]}))


def chapter_3_3():
    random = np.random.RandomState(1)
    inputs = random.rand(POINTS, 2)
    labels = [[int(a + b < 1)] for a, b in inputs]

    x = tf.placeholder(tf.float32, [None, 2])
    target = tf.placeholder(tf.float32, [None, 1])
    w1, w2, logits = two_layers(x)
    y = tf.sigmoid(logits)
    loss = -tf.reduce_mean(
        target * tf.log(tf.clip_by_value(y, 1e-10, 1.0)) + (1 - target) * tf.log(tf.clip_by_value(1 - y, 1e-10, 1.0))
    )
    train = tf.train.AdamOptimizer(0.001).minimize(loss)
    print("inputs[0:2]", inputs[:2].tolist(), "labels[0:8]", [row[0] for row in labels[:8]])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        print("loss of all rows, untrained", session.run(loss, {x: inputs, target: labels}))
        print("w1 before", session.run(w1).tolist(), "w2 before", session.run(w2).tolist())
        for step in range(5000):
            rows = batches(step)
            session.run(train, {x: inputs[rows], target: labels[rows]})
            if step % 1000 == 0:
                # The course counts from 0, so its "after 0 steps" has one step behind it.
                print("loss of all rows, step", step, session.run(loss, {x: inputs, target: labels}))
        print("w1 after", session.run(w1).tolist(), "w2 after", session.run(w2).tolist())


def chapter_4_1():
    random = np.random.RandomState(1)
    inputs = random.rand(POINTS, 2)
    targets = [[float(a + b + (random.rand() / 10.0 - 0.05))] for a, b in inputs]
    print("targets[0:3]", [row[0] for row in targets[:3]])

    def train_with(name, loss_of):
        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [None, 2])
            target = tf.placeholder(tf.float32, [None, 1])
            w = tf.Variable(tf.random_normal([2, 1], stddev=1, seed=1))
            loss = loss_of(tf.matmul(x, w), target)
            train = tf.train.AdamOptimizer(0.001).minimize(loss)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                for step in range(5000):
                    rows = batches(step)
                    session.run(train, {x: inputs[rows], target: targets[rows]})
                    if step % 1000 == 0:
                        print(name, "w after step", step + 1, session.run(w).ravel())
                print(name, "final w", session.run(w).ravel())

    def asymmetric(too_little, too_much):
        return lambda y, target: tf.reduce_sum(
            tf.where(tf.greater(y, target), (y - target) * too_much, (target - y) * too_little)
        )

    train_with("under-prediction costs 10:", asymmetric(10, 1))
    train_with("over-prediction costs 10:", asymmetric(1, 10))
    train_with("mean squared error:", lambda y, target: tf.losses.mean_squared_error(target, y))


def chapter_4_2():
    def descend(name, rate_of, steps, every):
        with tf.Graph().as_default():
            step_count = tf.Variable(0)
            x = tf.Variable(tf.constant(5, dtype=tf.float32), name="x")
            y = tf.square(x)
            rate = rate_of(step_count)
            train = tf.train.GradientDescentOptimizer(rate).minimize(y, global_step=step_count)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                for step in range(steps):
                    session.run(train)
                    if step % every == 0:
                        print(name, "after", step + 1, "x", session.run(x), "rate", session.run(tf.identity(rate)))

    descend("rate 1:", lambda _: tf.constant(1.0), 10, 1)
    descend("rate 0.001:", lambda _: tf.constant(0.001), 1000, 100)
    descend(
        "decayed rate:", lambda step: tf.train.exponential_decay(0.1, step, 1, 0.96, staircase=True), 100, 10
    )


def circle_points():
    np.random.seed(0)
    points, labels = [], []
    for _ in range(150):
        a = np.random.uniform(-1, 1)
        b = np.random.uniform(0, 2)
        labels.append([0 if a**2 + b**2 <= 1 else 1])
        points.append([np.random.normal(a, 0.1), np.random.normal(b, 0.1)])
    return np.array(points), np.array(labels)


def chapter_4_3():
    points, labels = circle_points()
    print("points[0:2]", points[:2].tolist(), "labels", int(labels.sum()), "of", len(labels))

    def train_with(name, scale):
        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [None, 2])
            target = tf.placeholder(tf.float32, [None, 1])
            layer = x
            sizes = [2, 10, 5, 3, 1]
            for number, (inputs, outputs) in enumerate(zip(sizes, sizes[1:]), start=1):
                # The course leaves the seed open; here layer k has op seed k.
                w = tf.Variable(tf.random_normal([inputs, outputs], seed=number))
                tf.add_to_collection("losses", scale * tf.nn.l2_loss(w))
                layer = tf.nn.elu(tf.matmul(layer, w) + tf.Variable(tf.constant(0.1, shape=[outputs])))
            fit = tf.reduce_sum(tf.pow(target - layer, 2)) / len(points)
            tf.add_to_collection("losses", fit)
            total = tf.add_n(tf.get_collection("losses"))
            train = tf.train.AdamOptimizer(0.001).minimize(total if scale > 0 else fit)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                for step in range(2000):
                    if step % 500 == 0:
                        print(name, "before step", step, fetch(session, [fit, total], {x: points, target: labels}))
                    session.run(train, {x: points, target: labels})
                print(name, "after step", 2000, fetch(session, [fit, total], {x: points, target: labels}))

    train_with("without L2: [fit, total]", 0.0)
    train_with("with L2 0.003: [fit, total]", 0.003)


def chapter_4_4():
    v = tf.Variable(0, dtype=tf.float32)
    step = tf.Variable(0, trainable=False)
    ema = tf.train.ExponentialMovingAverage(0.99, step)
    maintain = ema.apply([v])
    pair = [v, ema.average(v)]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        print("start", fetch(session, pair))
        session.run(tf.assign(v, 5))
        session.run(maintain)
        print("v = 5", fetch(session, pair))
        session.run(tf.assign(step, 10000))
        session.run(tf.assign(v, 10))
        session.run(maintain)
        print("v = 10, step = 10000", fetch(session, pair))
        session.run(maintain)
        print("once more", fetch(session, pair))


def chapter_5_3():
    with tf.variable_scope("foo"):
        v = tf.get_variable("v", [1], initializer=tf.constant_initializer(1.0))
    try:
        with tf.variable_scope("foo"):
            tf.get_variable("v", [1])
    except ValueError as error:
        print("twice:", str(error).splitlines()[0])
    with tf.variable_scope("foo", reuse=True):
        print("same:", v is tf.get_variable("v", [1]) or v == tf.get_variable("v", [1]))
    try:
        with tf.variable_scope("bar", reuse=True):
            tf.get_variable("v", [1])
    except ValueError as error:
        print("missing:", str(error).splitlines()[0])
    with tf.variable_scope("root"):
        print("reuse in root", tf.get_variable_scope().reuse)
        with tf.variable_scope("foo", reuse=True):
            print("reuse in root/foo", tf.get_variable_scope().reuse)
            with tf.variable_scope("bar"):
                print("reuse in root/foo/bar", tf.get_variable_scope().reuse)
        print("reuse in root again", tf.get_variable_scope().reuse)
    print(tf.get_variable("v", [1]).name)
    with tf.variable_scope("foo2", reuse=tf.AUTO_REUSE):
        print(tf.get_variable("v", [1]).name)
        with tf.variable_scope("bar"):
            print(tf.get_variable("v", [1]).name)
    print(tf.get_variable("v1", [1]).name)
    with tf.variable_scope("", reuse=True):
        print("by full name:", tf.get_variable("foo2/bar/v", [1]).name)
    with tf.name_scope("scope"):
        print("name_scope is ignored:", tf.get_variable("w", [1]).name, tf.Variable([1.0], name="w").name)


def chapter_5_4_1():
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "model.ckpt")
    with tf.Graph().as_default():
        v1 = tf.Variable(tf.random_normal([1], stddev=1, seed=1), name="v1")
        v2 = tf.Variable(tf.random_normal([1], stddev=1, seed=1), name="v2")
        result = v1 + v2
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            print("before", session.run([v1, v2, result]))
            print("file", os.path.basename(tf.train.Saver().save(session, path)), sorted(os.listdir(directory)))
        with tf.Session() as session:
            tf.train.Saver().restore(session, path)
            print("restored", session.run(result))
    with tf.Graph().as_default():
        saver = tf.train.import_meta_graph(path + ".meta")
        with tf.Session() as session:
            saver.restore(session, path)
            print("imported", session.run(tf.get_default_graph().get_tensor_by_name("add:0")))
    with tf.Graph().as_default():
        a = tf.Variable(tf.constant(1.0, shape=[1]), name="other-v1")
        b = tf.Variable(tf.constant(2.0, shape=[1]), name="other-v2")
        c = tf.Variable(tf.constant(2.0, shape=[1]), name="v3")
        with tf.Session() as session:
            tf.train.Saver({"v1": a, "v2": b}).restore(session, path)
            print("renamed", session.run([a, b, a + b]))
            try:
                session.run(c)
            except tf.errors.FailedPreconditionError as error:
                print("not in the map:", next(line for line in error.message.splitlines() if "ninitialized" in line))


def chapter_5_4_2():
    path = os.path.join(tempfile.mkdtemp(), "model2.ckpt")
    with tf.Graph().as_default():
        v = tf.Variable(0, dtype=tf.float32, name="v")
        print("before apply", [variable.name for variable in tf.global_variables()])
        ema = tf.train.ExponentialMovingAverage(0.99)
        maintain = ema.apply(tf.global_variables())
        print("after apply", [variable.name for variable in tf.global_variables()])
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(tf.assign(v, 10))
            session.run(maintain)
            print("v and shadow", fetch(session, [v, ema.average(v)]))
            tf.train.Saver().save(session, path)
    with tf.Graph().as_default():
        v = tf.Variable(0, dtype=tf.float32, name="v")
        with tf.Session() as session:
            tf.train.Saver({"v/ExponentialMovingAverage": v}).restore(session, path)
            print("by rename", session.run(v))
    with tf.Graph().as_default():
        v = tf.Variable(0, dtype=tf.float32, name="v")
        names = tf.train.ExponentialMovingAverage(0.99).variables_to_restore()
        print("variables_to_restore", {name: variable.name for name, variable in names.items()})
        with tf.Session() as session:
            tf.train.Saver(names).restore(session, path)
            print("by variables_to_restore", session.run(v))


def chapter_5_4_3():
    with tf.Graph().as_default() as graph:
        v1 = tf.Variable(tf.constant(1.0, shape=[1]), name="v1")
        v2 = tf.Variable(tf.constant(2.0, shape=[1]), name="v2")
        result = v1 + v2
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [result.op.name])
    print("result", result.name, "nodes", [(node.name, node.op) for node in frozen.node])
    with tf.Graph().as_default():
        (again,) = tf.import_graph_def(frozen, return_elements=[result.name])
        with tf.Session() as session:
            print("frozen", session.run(again), again.name)


def chapter_6_1():
    matrix = np.array([[1, -1, 0], [-1, 2, 1], [0, 2, -2]], np.float32).reshape(1, 3, 3, 1)
    x = tf.placeholder(tf.float32, [1, None, None, 1])
    weights = np.array([[1, -1], [0, 2]], np.float32).reshape(2, 2, 1, 1)
    w = tf.get_variable("weights", [2, 2, 1, 1], initializer=tf.constant_initializer(weights))
    b = tf.get_variable("biases", [1], initializer=tf.constant_initializer(1))
    conv = tf.nn.bias_add(tf.nn.conv2d(x, w, strides=[1, 2, 2, 1], padding="SAME"), b)
    pool = tf.nn.avg_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    print("static shapes", conv.shape, pool.shape)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        print("conv and bias", session.run(conv, {x: matrix}).reshape(2, 2).tolist())
        print("average pool", session.run(pool, {x: matrix}).reshape(2, 2).tolist())


def main():
    chapters = {
        name.removeprefix("chapter_").replace("_", "."): run
        for name, run in globals().items()
        if name.startswith("chapter_")
    }
    for number in sys.argv[1:] or chapters:
        print(f"== {number}")
        with tf.Graph().as_default():
            chapters[number]()


if __name__ == "__main__":
    main()
