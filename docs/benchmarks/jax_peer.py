"""The workloads in JAX: one jitted function a step, parameters donated to it."""
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import weights
from protocol import serve


def convolve(x, w, stride=1, groups=1):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (stride, stride), "SAME", dimension_numbers=numbers, feature_group_count=groups)


def cross_entropy(logits, labels):
    found = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -found.mean()


def half_squares(*arrays):
    return 0.5 * sum((a * a).sum() for a in arrays)


def reading(function, *arrays):
    """A step that reads all of what a function gives; what is fed goes in as numpy has it."""
    compiled = jax.jit(function)
    return lambda: np.asarray(compiled(*arrays)).ravel()[0]


def training(function, state, *arrays):
    """A step of a function from state and inputs to a loss and the next state."""
    compiled = jax.jit(function, donate_argnums=0)
    held = [jax.tree.map(jnp.asarray, state)]

    def step():
        loss, held[0] = compiled(held[0], *arrays)
        return float(loss)
    return step


def hello():
    b = jnp.array([2.0, 3.0])
    return reading(lambda a: a + b, np.array([1.0, 2.0], np.float32))


def chain():
    def function(y, c):
        for i in range(weights.CHAIN):
            y = y * c if i % 2 == 0 else jnp.sin(y)
        return y
    return reading(function, np.float32(0.5), jnp.float32(1.0))


def branches():
    array, matrices = weights.branches()

    def function(x, matrices):
        ends = []
        for w in matrices:
            y = x
            for _ in range(weights.BRANCH_DEPTH):
                y = jax.nn.relu(y @ w)
            ends.append(y)
        return sum(ends).sum()
    return reading(function, array, [jnp.asarray(w) for w in matrices])


def elementwise():
    def function(x):
        return (0.5 * x * (1.0 + jnp.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))).sum()
    return reading(function, jnp.asarray(weights.elementwise()))


def matmul(side):
    def workload():
        a, b = map(jnp.asarray, weights.squares(side))
        multiply = jax.jit(jnp.matmul)

        def step():
            multiply(a, b).block_until_ready()
            return 0.0
        return step
    return workload


def mlp():
    xs, ys, w1, w2 = weights.mlp()

    def loss(parameters, x, y):
        w1, b1, w2, b2 = parameters
        return cross_entropy(jax.nn.relu(x @ w1 + b1) @ w2 + b2, y) + 1e-4 * half_squares(w1, w2)

    def function(state, x, y):
        parameters, averages = state
        found, slopes = jax.value_and_grad(loss)(parameters, x, y)
        parameters = [p - 0.8 * g for p, g in zip(parameters, slopes)]
        return found, (parameters, [e - (e - p) * 0.01 for e, p in zip(averages, parameters)])
    parameters = [w1, np.zeros(500, np.float32), w2, np.zeros(10, np.float32)]
    return training(function, (parameters, [p.copy() for p in parameters]), xs, ys)


def lenet():
    xs, ys, (k1, k2, w1, w2) = weights.lenet()

    def loss(parameters, x, y, key):
        (k1, b1, k2, b2), (w3, b3, w4, b4) = parameters[:4], parameters[4:]
        for k, b in ((k1, b1), (k2, b2)):
            x = jax.nn.relu(convolve(x, k) + b)
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
        x = jax.nn.relu(x.reshape(-1, 3136) @ w3 + b3)
        x = jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2.0 * x, 0.0)
        return cross_entropy(x @ w4 + b4, y) + 1e-4 * half_squares(w3, w4)

    def function(state, x, y):
        parameters, key = state
        key, drawn = jax.random.split(key)
        found, slopes = jax.value_and_grad(loss)(parameters, x, y, drawn)
        return found, ([p - 0.01 * g for p, g in zip(parameters, slopes)], key)
    parameters = []
    for w in (k1, k2, w1, w2):
        parameters += [w, np.zeros(w.shape[-1], np.float32)]
    return training(function, (parameters, jax.random.PRNGKey(1)), xs, ys)


def lstm():
    xs, ys, embedding, kernels, w = weights.lstm()
    hidden = weights.HIDDEN

    def loss(parameters, x, y):
        embedding, layers, w, b = parameters
        sequence = embedding[x].swapaxes(0, 1)
        for kernel, bias in layers:
            def cell(state, t):
                h, c = state
                i, j, f, o = jnp.split(jnp.concatenate([t, h], axis=1) @ kernel + bias, 4, axis=1)
                c = c * jax.nn.sigmoid(f + 1.0) + jax.nn.sigmoid(i) * jnp.tanh(j)
                h = jnp.tanh(c) * jax.nn.sigmoid(o)
                return (h, c), h
            rest = jnp.zeros((weights.BATCH, hidden))
            _, sequence = lax.scan(cell, (rest, rest), sequence)
        return cross_entropy(sequence.swapaxes(0, 1).reshape(-1, hidden) @ w + b, y.reshape(-1))

    def function(parameters, x, y):
        found, slopes = jax.value_and_grad(loss)(parameters, x, y)
        norm = jnp.sqrt(2.0 * half_squares(*jax.tree.leaves(slopes)))
        scale = 5.0 / jnp.maximum(norm, 5.0)
        return found, jax.tree.map(lambda p, g: p - scale * g, parameters, slopes)
    layers = [(kernel, np.zeros(4 * hidden, np.float32)) for kernel in kernels]
    return training(function, (embedding, layers, w, np.zeros(weights.VOCABULARY, np.float32)), xs, ys)


def predict(batch):
    def workload():
        xs, *arrays = weights.predict(batch)
        w1, b1, w2, b2 = map(jnp.asarray, arrays)
        return reading(lambda x: jax.nn.softmax(jax.nn.relu(x @ w1 + b1) @ w2 + b2), xs)
    return workload


def mobilenet():
    # The weights are constants of the jitted function, into which batch norm goes before it is compiled.
    image, layers, w, b = weights.mobilenet()
    folded = []
    for layer in layers:
        inverse = layer.scale / np.sqrt(layer.variance + weights.EPSILON)
        taps = layer.filter.transpose(0, 1, 3, 2) if layer.depthwise else layer.filter
        folded.append((layer, jnp.asarray(taps * inverse), jnp.asarray(layer.offset - layer.mean * inverse)))
    w, b = jnp.asarray(w), jnp.asarray(b)

    def function(y):
        for layer, taps, offset in folded:
            groups = layer.filter.shape[2] if layer.depthwise else 1
            y = jnp.clip(convolve(y, taps, layer.stride, groups) + offset, 0.0, 6.0)
        return jax.nn.softmax(y.mean((1, 2)) @ w + b)
    return reading(function, image)


def resnet():
    xs, ys, filters, w = weights.resnet()
    strides = [stride for _, stride in filters]

    def loss(parameters, x, y):
        layers, w, b = parameters
        remaining = iter(zip(layers, strides))
        found = []

        def layer(t):
            (taps, scale, offset), stride = next(remaining)
            t = convolve(t, taps, stride)
            mean = t.mean((0, 1, 2))
            variance = jnp.square(t - mean).mean((0, 1, 2))
            count = t.size // t.shape[-1]
            found.append((mean, variance * (count / (count - 1))))
            return (t - mean) * (lax.rsqrt(variance + weights.EPSILON) * scale) + offset

        t = jax.nn.relu(layer(x))
        for channels in (16, 32, 64):
            for _ in range(3):
                shortcut = t
                t = layer(jax.nn.relu(layer(t)))
                side = (channels - shortcut.shape[-1]) // 2
                if side:
                    shortcut = jnp.pad(shortcut[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (side, side)])
                t = jax.nn.relu(t + shortcut)
        logits = t.mean((1, 2)) @ w + b
        return cross_entropy(logits, y) + 1e-4 * half_squares(w, *(taps for taps, _, _ in layers)), found

    def function(state, x, y):
        parameters, sums, averages = state
        (lost, found), slopes = jax.value_and_grad(loss, has_aux=True)(parameters, x, y)
        sums = jax.tree.map(lambda a, g: 0.9 * a + g, sums, slopes)
        parameters = jax.tree.map(lambda p, a: p - 0.1 * a, parameters, sums)
        return lost, (parameters, sums, jax.tree.map(lambda e, now: e - (e - now) * 0.1, averages, found))
    ones, zeros = (lambda n: np.ones(n, np.float32)), (lambda n: np.zeros(n, np.float32))
    layers = [(taps, ones(taps.shape[-1]), zeros(taps.shape[-1])) for taps, _ in filters]
    parameters = (layers, w, zeros(10))
    averages = [(zeros(taps.shape[-1]), ones(taps.shape[-1])) for taps, _ in filters]
    return training(function, (parameters, jax.tree.map(np.zeros_like, parameters), averages), xs, ys)


if __name__ == "__main__":
    products = {f"matmul{side}": matmul(side) for side in (256, 1024, 2048)}
    networks = dict(mlp=mlp, lenet=lenet, lstm=lstm, predict1=predict(1), predict100=predict(100), mobilenet=mobilenet,
                    resnet=resnet)
    serve("jax", dict(hello=hello, chain=chain, branches=branches, elementwise=elementwise) | products | networks)
