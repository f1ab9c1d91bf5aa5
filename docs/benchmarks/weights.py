"""Inputs and initial weights of the networks, drawn in the order in which `dormouse-bench` draws them.

Arrays lie as TensorFlow has them: images `[n, h, w, c]`, filters `[h, w, in, out]`, depthwise ones `[h, w, c, 1]`.
"""
import math
from dataclasses import dataclass

import numpy as np

from protocol import Numbers

EPSILON = 1e-3
CHAIN = 10_000
BRANCHES, BRANCH_DEPTH = 64, 4
VOCABULARY, STEPS, BATCH, HIDDEN, LAYERS = 10_000, 35, 20, 300, 2
# Blocks of MobileNet: channels in, channels out, stride of the depthwise convolution.
BLOCKS = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
BLOCKS += [(512, 512, 1)] * 5 + [(512, 1024, 2), (1024, 1024, 1)]


def branches():
    numbers = Numbers(1)
    return numbers.normal([128, 128], 1.0), [numbers.normal([128, 128], 0.05) for _ in range(BRANCHES)]


def elementwise():
    return Numbers(1).normal([1 << 22], 1.0)


def squares(side):
    numbers = Numbers(1)
    return numbers.normal([side, side], 1.0), numbers.normal([side, side], 1.0)


def mlp():
    numbers = Numbers(2)
    x, y = numbers.uniform([100, 784]), numbers.integers([100], 10)
    return x, y, numbers.truncated_normal([784, 500], 0.1), numbers.truncated_normal([500, 10], 0.1)


def predict(batch):
    numbers = Numbers(2)
    x = numbers.uniform([100, 784])[:batch].copy()
    numbers.integers([100], 10)
    w1, w2 = numbers.truncated_normal([784, 500], 0.1), numbers.truncated_normal([500, 10], 0.1)
    return x, w1, numbers.normal([500], 0.1), w2, numbers.normal([10], 0.1)


def lenet():
    numbers = Numbers(3)
    x, y = numbers.uniform([100, 28, 28, 1]), numbers.integers([100], 10)
    shapes = [[5, 5, 1, 32], [5, 5, 32, 64], [3136, 512], [512, 10]]
    return x, y, [numbers.truncated_normal(shape, 0.1) for shape in shapes]


def lstm():
    numbers = Numbers(4)
    x, y = (numbers.integers([BATCH, STEPS], VOCABULARY) for _ in range(2))
    embedding = numbers.uniform([VOCABULARY, HIDDEN], -0.05, 0.05)
    kernels = [numbers.uniform([2 * HIDDEN, 4 * HIDDEN], -0.05, 0.05) for _ in range(LAYERS)]
    return x, y, embedding, kernels, numbers.uniform([HIDDEN, VOCABULARY], -0.05, 0.05)


def scaled(numbers, shape, inputs):
    return numbers.truncated_normal(shape, math.sqrt(2.0 / inputs))


@dataclass
class Layer:
    """A convolution, the batch norm after it, and how far apart its windows are."""
    filter: np.ndarray
    stride: int
    depthwise: bool
    scale: np.ndarray
    offset: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def mobilenet():
    """The image, the layers, and the dense layer's weights and offsets."""
    numbers = Numbers(5)
    image = numbers.uniform([1, 224, 224, 3], -1.0, 1.0)

    def layer(shape, inputs, channels, stride=1, depthwise=False):
        weights = scaled(numbers, shape, inputs)
        bounds = [(0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5)]
        return Layer(weights, stride, depthwise, *(numbers.uniform([channels], *b) for b in bounds))

    layers = [layer([3, 3, 3, 32], 27, 32, stride=2)]
    for before, after, stride in BLOCKS:
        layers.append(layer([3, 3, before, 1], 9, before, stride, depthwise=True))
        layers.append(layer([1, 1, before, after], before, after))
    return image, layers, scaled(numbers, [1024, 1000], 1024), numbers.uniform([1000], -0.5, 0.5)


def resnet():
    """Images, labels, each convolution's filter and stride, and the dense layer's weights."""
    numbers = Numbers(6)
    x, y = numbers.uniform([64, 32, 32, 3]), numbers.integers([64], 10)
    filters = [(scaled(numbers, [3, 3, 3, 16], 27), 1)]
    before = 16
    for after in (16, 32, 64):
        for _ in range(3):
            filters.append((scaled(numbers, [3, 3, before, after], 9 * before), after // before))
            filters.append((scaled(numbers, [3, 3, after, after], 9 * after), 1))
            before = after
    return x, y, filters, scaled(numbers, [64, 10], 64)
