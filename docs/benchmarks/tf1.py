"""The workloads as programs of TensorFlow 1: a graph, a session, and a callable made of what is asked for."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow.compat.v1 as tf

import weights
from protocol import serve

tf.disable_eager_execution()


def program(build):
    """A step of what `build` gives: fetches, placeholders, and what to feed to them."""
    graph = tf.Graph()
    with graph.as_default():
        fetches, placeholders, arrays = build()
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        call = session.make_callable(fetches, placeholders)
    return call, arrays


def reading(build):
    """A workload whose step gives the first number of its only fetch."""
    def workload():
        call, arrays = program(build)
        return lambda: np.ravel(call(*arrays))[0]
    return workload


def training(build):
    """A workload whose step gives the first of its fetches, the loss."""
    def workload():
        call, arrays = program(build)
        return lambda: call(*arrays)[0]
    return workload


def variable(array):
    # By a placeholder that no one feeds, a graph would have to hold large arrays as constants.
    return tf.Variable(tf.constant(array), trainable=True)


def zeros(count):
    return tf.Variable(tf.zeros([count]))


def cross_entropy(logits, labels):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=labels))


def hello():
    a = tf.placeholder(tf.float32, [2])
    return a + tf.constant([2.0, 3.0]), [a], [np.array([1.0, 2.0], np.float32)]


def chain():
    x = tf.placeholder(tf.float32, [])
    c = tf.Variable(1.0)
    y = x
    for i in range(weights.CHAIN):
        y = y * c if i % 2 == 0 else tf.sin(y)
    return y, [x], [np.float32(0.5)]


def branches():
    array, matrices = weights.branches()
    x = tf.placeholder(tf.float32, [128, 128])
    ends = []
    for w in map(variable, matrices):
        y = x
        for _ in range(weights.BRANCH_DEPTH):
            y = tf.nn.relu(tf.matmul(y, w))
        ends.append(y)
    return tf.reduce_sum(tf.add_n(ends)), [x], [array]


def elementwise():
    x = variable(weights.elementwise())
    y = 0.5 * x * (1.0 + tf.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))
    return tf.reduce_sum(y), [], []


def matmul(side):
    def workload():
        def build():
            a, b = map(variable, weights.squares(side))
            return tf.matmul(a, b).op, [], []
        call, _ = program(build)
        return lambda: call() or 0.0
    return workload


def mlp():
    xs, ys, w1, w2 = weights.mlp()
    x, y = tf.placeholder(tf.float32, [None, 784]), tf.placeholder(tf.int32, [None])
    w1, b1, w2, b2 = variable(w1), zeros(500), variable(w2), zeros(10)
    logits = tf.matmul(tf.nn.relu(tf.matmul(x, w1) + b1), w2) + b2
    loss = cross_entropy(logits, y) + 1e-4 * (tf.nn.l2_loss(w1) + tf.nn.l2_loss(w2))
    train = tf.train.GradientDescentOptimizer(0.8).minimize(loss)
    with tf.control_dependencies([train]):
        averaged = tf.train.ExponentialMovingAverage(0.99).apply([w1, b1, w2, b2])
    return [loss, averaged], [x, y], [xs, ys]


def lenet():
    xs, ys, (k1, k2, w1, w2) = weights.lenet()
    x, y = tf.placeholder(tf.float32, [None, 28, 28, 1]), tf.placeholder(tf.int32, [None])
    t = x
    for k in (k1, k2):
        t = tf.nn.bias_add(tf.nn.conv2d(t, variable(k), 1, "SAME"), zeros(k.shape[-1]))
        t = tf.nn.max_pool2d(tf.nn.relu(t), 2, 2, "SAME")
    w1, w2 = variable(w1), variable(w2)
    t = tf.nn.relu(tf.matmul(tf.reshape(t, [-1, 3136]), w1) + zeros(512))
    logits = tf.matmul(tf.nn.dropout(t, rate=0.5), w2) + zeros(10)
    loss = cross_entropy(logits, y) + 1e-4 * (tf.nn.l2_loss(w1) + tf.nn.l2_loss(w2))
    return [loss, tf.train.GradientDescentOptimizer(0.01).minimize(loss)], [x, y], [xs, ys]


def lstm():
    xs, ys, embedding, kernels, w = weights.lstm()
    shape = [weights.BATCH, weights.STEPS]
    x, y = tf.placeholder(tf.int32, shape), tf.placeholder(tf.int32, shape)
    embedding, w, b = variable(embedding), variable(w), zeros(weights.VOCABULARY)
    sequence = tf.unstack(tf.nn.embedding_lookup(embedding, x), axis=1)
    for kernel in kernels:
        kernel, bias = variable(kernel), zeros(4 * weights.HIDDEN)
        h = c = tf.zeros([weights.BATCH, weights.HIDDEN])
        outputs = []
        for t in sequence:
            gates = tf.matmul(tf.concat([t, h], 1), kernel) + bias
            i, j, f, o = tf.split(gates, 4, axis=1)
            c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
            h = tf.tanh(c) * tf.sigmoid(o)
            outputs.append(h)
        sequence = outputs
    logits = tf.matmul(tf.reshape(tf.stack(sequence, axis=1), [-1, weights.HIDDEN]), w) + b
    loss = cross_entropy(logits, tf.reshape(y, [-1]))
    variables = tf.trainable_variables()
    clipped, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), 5.0)
    train = tf.train.GradientDescentOptimizer(1.0).apply_gradients(zip(clipped, variables))
    return [loss, train], [x, y], [xs, ys]


def predict(batch):
    def build():
        xs, *arrays = weights.predict(batch)
        x = tf.placeholder(tf.float32, [None, 784])
        w1, b1, w2, b2 = map(tf.constant, arrays)
        return tf.nn.softmax(tf.matmul(tf.nn.relu(tf.matmul(x, w1) + b1), w2) + b2), [x], [xs]
    return build


def mobilenet():
    # Constants for weights, as a frozen graph has them: the session then folds batch norm into the filters.
    image, layers, w, b = weights.mobilenet()
    x = tf.placeholder(tf.float32, [1, 224, 224, 3])
    y = x
    for layer in layers:
        strides = [1, layer.stride, layer.stride, 1]
        convolve = tf.nn.depthwise_conv2d if layer.depthwise else tf.nn.conv2d
        y = convolve(y, tf.constant(layer.filter), strides, "SAME")
        given = dict(mean=layer.mean, variance=layer.variance, epsilon=weights.EPSILON, is_training=False)
        y, _, _ = tf.nn.fused_batch_norm(y, layer.scale, layer.offset, **given)
        y = tf.nn.relu6(y)
    return tf.nn.softmax(tf.matmul(tf.reduce_mean(y, [1, 2]), w) + b), [x], [image]


def resnet():
    xs, ys, filters, w = weights.resnet()
    x, y = tf.placeholder(tf.float32, [64, 32, 32, 3]), tf.placeholder(tf.int32, [64])
    filters = iter(filters)
    decayed, averages = [], []

    def layer(t):
        array, stride = next(filters)
        channels = array.shape[-1]
        decayed.append(variable(array))
        t = tf.nn.conv2d(t, decayed[-1], stride, "SAME")
        scale, offset = tf.Variable(tf.ones([channels])), zeros(channels)
        t, *found = tf.nn.fused_batch_norm(t, scale, offset, epsilon=weights.EPSILON)
        for start, now in zip((tf.zeros, tf.ones), found):
            average = tf.Variable(start([channels]), trainable=False)
            averages.append(tf.assign_sub(average, (average - now) * 0.1))
        return t

    t = tf.nn.relu(layer(x))
    for channels in (16, 32, 64):
        for _ in range(3):
            shortcut = t
            t = layer(tf.nn.relu(layer(t)))
            more = channels - shortcut.shape[-1]
            if more:
                side = int(more) // 2
                shortcut = tf.pad(shortcut[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [side, side]])
            t = tf.nn.relu(t + shortcut)
    decayed.append(variable(w))
    logits = tf.matmul(tf.reduce_mean(t, [1, 2]), decayed[-1]) + zeros(10)
    loss = cross_entropy(logits, y) + 1e-4 * tf.add_n([tf.nn.l2_loss(v) for v in decayed])
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    return [loss, tf.group(train, *averages)], [x, y], [xs, ys]


if __name__ == "__main__":
    read = dict(hello=hello, chain=chain, branches=branches, elementwise=elementwise, predict1=predict(1),
                predict100=predict(100), mobilenet=mobilenet)
    train = dict(mlp=mlp, lenet=lenet, lstm=lstm, resnet=resnet)
    products = {f"matmul{side}": matmul(side) for side in (256, 1024, 2048)}
    workloads = {name: reading(build) for name, build in read.items()} | products
    serve("tf1", workloads | {name: training(build) for name, build in train.items()})
