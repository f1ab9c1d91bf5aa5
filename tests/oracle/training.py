"""Prints what optimizers, schedules, losses, averages and clipping give in TensorFlow's compat.v1.

    python tests/oracle/training.py > crates/dormouse-train/tests/golden.txt

Needs tensorflow-cpu 2.21. Every line is a case, a step, a name and numbers with the digits that their dtype needs.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)

INPUTS = [[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]]
TARGETS = [[2.0, -1.0], [0.25, 1.5], [-0.5, 4.0]]


def show(case, step, name, value):
    numbers = " ".join(np.format_float_scientific(x, unique=True) for x in np.asarray(value).ravel())
    print(case, step, name, numbers)


def problem(dtype):
    w = tf.get_variable("layer/w", initializer=tf.constant([[0.5, -0.25], [1.0, 2.0]], dtype))
    b = tf.get_variable("layer/b", initializer=tf.constant([0.1, -0.1], dtype))
    tf.get_variable("unused", initializer=tf.constant([1.0], dtype))
    y = tf.matmul(tf.constant(INPUTS, dtype), w) + b
    return tf.reduce_mean(tf.square(y - tf.constant(TARGETS, dtype)))


def optimizers():
    train = tf.train
    yield "sgd", lambda _: train.GradientDescentOptimizer(0.1), tf.float32
    yield "momentum", lambda _: train.MomentumOptimizer(0.05, 0.9), tf.float32
    yield "nesterov", lambda _: train.MomentumOptimizer(0.05, 0.9, use_nesterov=True), tf.float32
    yield "adam", lambda _: train.AdamOptimizer(0.1), tf.float32
    yield "adam_options", lambda _: train.AdamOptimizer(0.2, beta1=0.5, beta2=0.9, epsilon=0.1), tf.float32
    yield "adam_f64", lambda _: train.AdamOptimizer(0.1), tf.float64
    yield "adagrad", lambda _: train.AdagradOptimizer(0.3), tf.float32
    yield "adagrad_initial", lambda _: train.AdagradOptimizer(0.3, initial_accumulator_value=1.0), tf.float32
    yield "rmsprop", lambda _: train.RMSPropOptimizer(0.1), tf.float32
    yield "rmsprop_momentum", lambda _: train.RMSPropOptimizer(0.1, decay=0.8, momentum=0.5, epsilon=0.01), tf.float32
    yield "rmsprop_centered", lambda _: train.RMSPropOptimizer(0.1, momentum=0.5, centered=True), tf.float32
    yield "rmsprop_f64", lambda _: train.RMSPropOptimizer(0.1, momentum=0.5), tf.float64
    yield "adadelta", lambda _: train.AdadeltaOptimizer(1.0), tf.float32
    yield "adadelta_options", lambda _: train.AdadeltaOptimizer(2.0, rho=0.8, epsilon=0.01), tf.float32
    yield "ftrl", lambda _: train.FtrlOptimizer(0.3), tf.float32
    yield (
        "ftrl_options",
        lambda _: train.FtrlOptimizer(
            0.3,
            learning_rate_power=-0.7,
            initial_accumulator_value=0.2,
            l1_regularization_strength=0.4,
            l2_regularization_strength=0.1,
            l2_shrinkage_regularization_strength=0.05,
            beta=0.3,
        ),
        tf.float32,
    )
    yield (
        "decayed",
        lambda step: train.GradientDescentOptimizer(train.exponential_decay(0.2, step, 2, 0.5, staircase=True)),
        tf.float32,
    )


def train():
    for case, optimizer, dtype in optimizers():
        with tf.Graph().as_default():
            loss = problem(dtype)
            step = tf.train.get_or_create_global_step()
            update = optimizer(step).minimize(loss, global_step=step)
            print(case, "op", update.name, 0)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                for number in range(5):
                    show(case, number, "loss", session.run(loss))
                    session.run(update)
                    for variable in tf.global_variables():
                        show(case, number, variable.op.name, session.run(variable))


# What is taken in each step: rows more than once, none of some, and fewer in the end.
TAKEN = [[[1, 4], [1, 0]], [[4, 4], [4, 2]], [[0, 1], [2, 2]], [[1, 1], [1, 1]], [[4, 0], [1, 4]]]


def embedding(dtype, ids, shape="lookup"):
    """A loss over rows of a matrix, in one of the ways that make its gradient rows, or not."""
    numbers = np.linspace(-0.7, 0.9, 10).reshape(5, 2)
    w = tf.get_variable("rows/w", initializer=tf.constant(numbers, dtype))
    b = tf.get_variable("rows/b", initializer=tf.constant([0.3, -0.2], dtype))
    weights = tf.constant([[0.5, -1.5], [1.0, 0.25]], dtype)
    if shape == "negated":
        found = tf.nn.embedding_lookup(-w, ids)
    elif shape == "identity":
        found = tf.nn.embedding_lookup(tf.identity(w), ids)
    elif shape == "scaled":
        found = tf.nn.embedding_lookup(w * 0.5, ids)
    elif shape == "nd":
        found = tf.reshape(tf.gather_nd(w, tf.reshape(ids, [4, 1])), [2, 2, 2])
    else:
        found = tf.nn.embedding_lookup(w, ids)
    loss = tf.reduce_mean(tf.square(tf.matmul(found, weights) + b - 0.4))
    if shape == "twice":
        loss += tf.reduce_sum(tf.square(tf.gather(w, [3, 1])) * 0.1)
    if shape == "regularized":
        loss += 0.01 * tf.nn.l2_loss(w)
    return loss


def sparse_cases():
    train = tf.train
    clip = lambda pairs: list(zip(tf.clip_by_global_norm([g for g, _ in pairs], 0.3)[0], [v for _, v in pairs]))
    each = lambda change: lambda pairs: [(change(g), v) for g, v in pairs]
    same = each(lambda g: g)
    makers = {case: make for case, make, dtype in optimizers() if dtype == tf.float32 and case != "decayed"}
    for case, make in makers.items():
        yield "sparse_" + case, make, "lookup", same
        yield "sparse_twice_" + case, make, "twice", same
    for shape in ["negated", "identity", "scaled", "nd", "regularized"]:
        yield "sparse_" + shape, makers["rmsprop_centered"], shape, same
    momentum = lambda _: train.MomentumOptimizer(0.5, 0.9)
    yield "sparse_clipped", momentum, "twice", clip
    yield "sparse_by_norm", momentum, "twice", each(lambda g: tf.clip_by_norm(g, 0.2))
    yield "sparse_by_value", momentum, "twice", each(lambda g: tf.clip_by_value(g, -0.1, 0.05))
    yield "sparse_by_average", momentum, "twice", each(lambda g: tf.clip_by_average_norm(g, 0.05))
    yield "sparse_turned", momentum, "twice", each(lambda g: -g)


def sparse():
    for case, make, shape, change in sparse_cases():
        with tf.Graph().as_default():
            ids = tf.placeholder(tf.int32, [2, 2])
            loss = embedding(tf.float32, ids, shape)
            step = tf.train.get_or_create_global_step()
            optimizer = make(step)
            pairs = optimizer.compute_gradients(loss)
            update = optimizer.apply_gradients(change(pairs), global_step=step)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                for number, taken in enumerate(TAKEN):
                    feed = {ids: taken}
                    show(case, number, "loss", session.run(loss, feed))
                    if number == 0:
                        gradient = tf.convert_to_tensor(change(pairs)[0][0])
                        show(case, number, "gradient", session.run(gradient, feed))
                    session.run(update, feed)
                    for variable in tf.global_variables():
                        show(case, number, variable.op.name, session.run(variable))


def schedules():
    train = tf.train
    makers = {
        "exponential": lambda step: train.exponential_decay(0.8, step, 7, 0.9),
        "exponential_staircase": lambda step: train.exponential_decay(0.8, step, 7, 0.9, staircase=True),
        "natural": lambda step: train.natural_exp_decay(0.8, step, 7, 0.9),
        "inverse_time": lambda step: train.inverse_time_decay(0.8, step, 7, 0.9),
        "inverse_time_staircase": lambda step: train.inverse_time_decay(0.8, step, 7, 0.9, staircase=True),
        "polynomial": lambda step: train.polynomial_decay(0.8, step, 10, 0.01, power=0.5),
        "polynomial_cycle": lambda step: train.polynomial_decay(0.8, step, 10, 0.01, power=2.0, cycle=True),
        "cosine": lambda step: train.cosine_decay(0.8, step, 10, alpha=0.1),
        "piecewise": lambda step: train.piecewise_constant(step, [2, 5, 11], [1.0, 0.5, 0.25, 0.1]),
    }
    for case, make in makers.items():
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.placeholder(tf.int64, [])
            rate = make(step)
            for number in [0, 1, 2, 3, 5, 6, 7, 10, 11, 25]:
                show("schedule", number, case, session.run(rate, {step: number}))


def losses():
    labels = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    classes = tf.constant([0, 1])
    logits = tf.constant([[0.3, 0.9, 0.2], [0.6, 0.1, 0.0]])
    rows = tf.constant([[0.5], [0.0]])
    weights = tf.constant([0.5, 2.0])
    l, r = tf.losses, tf.losses.Reduction
    cases = {
        "mean_squared_error": l.mean_squared_error(labels, logits),
        "absolute_difference": l.absolute_difference(labels, logits),
        "log_loss": l.log_loss(labels, logits),
        "hinge_loss": l.hinge_loss(labels, logits * 2.0),
        "huber_loss": l.huber_loss(labels, logits * 3.0),
        "cosine_distance": l.cosine_distance(labels, logits, axis=1),
        "sigmoid_cross_entropy": l.sigmoid_cross_entropy(labels, logits),
        "softmax_cross_entropy": l.softmax_cross_entropy(labels, logits),
        "smoothed": l.softmax_cross_entropy(labels, logits, label_smoothing=0.1),
        "sparse": l.sparse_softmax_cross_entropy(classes, logits),
        "number": l.mean_squared_error(labels, logits, 0.5),
        "zero": l.mean_squared_error(labels, logits, 0.0),
        "rows": l.mean_squared_error(labels, logits, rows),
        "rows_sum": l.mean_squared_error(labels, logits, rows, reduction=r.SUM),
        "rows_mean": l.mean_squared_error(labels, logits, rows, reduction=r.MEAN),
        "rows_batch": l.mean_squared_error(labels, logits, rows, reduction=r.SUM_OVER_BATCH_SIZE),
        "rows_none": l.mean_squared_error(labels, logits, rows, reduction=r.NONE),
        "sparse_weighted": l.sparse_softmax_cross_entropy(classes, logits, weights),
    }
    with tf.Session() as session:
        for case, loss in cases.items():
            show("loss", loss.op.name, case, session.run(loss))
            gradient = tf.gradients(loss, logits)[0]
            show("loss", "gradient", case, session.run(gradient))


def clipping():
    a, b = tf.constant([[3.0, -1.0], [0.5, 2.0]]), tf.constant([4.0, 0.0])
    with tf.Session() as session:
        for limit in [2.0, 100.0]:
            clipped, norm = tf.clip_by_global_norm([a, None, b], limit)
            show("clip", limit, "norm", session.run(norm))
            show("clip", limit, "a", session.run(clipped[0]))
            show("clip", limit, "b", session.run(clipped[2]))
            show("clip", limit, "by_norm", session.run(tf.clip_by_norm(a, limit)))


def averages():
    w = tf.get_variable("w", initializer=[1.0, -2.0])
    step = tf.Variable(0, trainable=False, name="step")
    for case, average in {
        "fixed": tf.train.ExponentialMovingAverage(0.9),
        "dynamic": tf.train.ExponentialMovingAverage(0.9, step),
    }.items():
        maintain = average.apply([w])
        shadow = average.average(w)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for number in range(5):
                session.run(tf.assign_add(w, [0.5, 1.25]))
                session.run(maintain)
                session.run(tf.assign_add(step, 3))
                show(case, number, shadow.op.name, session.run(shadow))


def main():
    train()
    sparse()
    schedules()
    losses()
    clipping()
    averages()


if __name__ == "__main__":
    main()
