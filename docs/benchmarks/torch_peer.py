"""The workloads in PyTorch: as it stands, or with `MODE=compile` by `torch.compile`.

Networks that only answer are frozen: eager ones by TorchScript's `optimize_for_inference`, which folds batch norm into the
filters and calls oneDNN's own layouts, compiled ones by inductor's freezing. Images are `channels_last`.
"""
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch
import torch.nn.functional as F
from torch._inductor import config as inductor

import weights
from protocol import serve

COMPILED = os.environ.get("MODE") == "compile"


def compiled(function):
    return torch.compile(function) if COMPILED else function


def frozen(module, example):
    """A function of one array that reads what a network in inference mode gives; its first number is returned."""
    module.eval()
    if COMPILED:
        inductor.freezing = True
        network = torch.compile(module)
    else:
        with torch.no_grad():
            network = torch.jit.optimize_for_inference(torch.jit.trace(module, example))

    def step():
        with torch.inference_mode() if not COMPILED else torch.no_grad():
            return network(example).numpy().ravel()[0]
    return step


def parameter(array):
    return torch.from_numpy(np.ascontiguousarray(array)).clone().requires_grad_()


def filters_of(array):
    """[h, w, in, out] as PyTorch has it, [out, in, h, w]."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1))).to(memory_format=torch.channels_last)


def images_of(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2))).to(memory_format=torch.channels_last)


def half_squares(*tensors):
    return 0.5 * sum((t * t).sum() for t in tensors)


def padded(x, stride):
    """What windows of 3 × 3 take, and the zeros still to put around: of stride 2 as TensorFlow's SAME has it, behind alone."""
    return (F.pad(x, (0, 1, 0, 1)), 0) if stride == 2 else (x, 1)


def hello():
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0])
    add = compiled(lambda a: a + b)
    return lambda: add(a).numpy()[0]


def branches():
    array, matrices = weights.branches()
    x, matrices = torch.from_numpy(array), [torch.from_numpy(w) for w in matrices]

    def function(x):
        total = 0
        for w in matrices:
            y = x
            for _ in range(weights.BRANCH_DEPTH):
                y = torch.relu(y @ w)
            total = total + y
        return total.sum()
    function = compiled(function)
    return lambda: function(x).item()


def elementwise():
    x = torch.from_numpy(weights.elementwise())
    function = compiled(lambda x: (0.5 * x * (1.0 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))).sum())
    return lambda: function(x).item()


def matmul(side):
    def workload():
        a, b = map(torch.from_numpy, weights.squares(side))

        def step():
            torch.matmul(a, b)
            return 0.0
        return step
    return workload


def training(loss, parameters, optimizer, after=lambda: None):
    loss = compiled(loss)

    def step():
        optimizer.zero_grad(set_to_none=True)
        found = loss()
        found.backward()
        after()
        optimizer.step()
        return found.item()
    return step


def mlp():
    x, y, w1, w2 = weights.mlp()
    x, y = torch.from_numpy(x), torch.from_numpy(y).long()
    w1, b1, w2, b2 = map(parameter, (w1, np.zeros(500, np.float32), w2, np.zeros(10, np.float32)))
    parameters = [w1, b1, w2, b2]
    averages = [p.detach().clone() for p in parameters]

    @compiled
    def loss():
        logits = torch.addmm(b2, torch.relu(torch.addmm(b1, x, w1)), w2)
        return F.cross_entropy(logits, y) + 1e-4 * half_squares(w1, w2)

    def step():
        for p in parameters:
            p.grad = None
        found = loss()
        found.backward()
        with torch.no_grad():
            torch._foreach_add_(parameters, [p.grad for p in parameters], alpha=-0.8)
            torch._foreach_lerp_(averages, parameters, 0.01)
        return found.item()
    return step


def lenet():
    x, y, (k1, k2, w1, w2) = weights.lenet()
    x, y = images_of(x), torch.from_numpy(y).long()
    k1, k2 = (filters_of(k).requires_grad_() for k in (k1, k2))
    # The dense layer's rows in the order of its own flattened images, [c, h, w].
    w1 = w1.reshape(7, 7, 64, 512).transpose(2, 0, 1, 3).reshape(3136, 512)
    w1, w2 = parameter(w1.T), parameter(w2.T)
    b1, b2, b3, b4 = (torch.zeros(n, requires_grad=True) for n in (32, 64, 512, 10))

    def loss():
        t = F.max_pool2d(torch.relu(F.conv2d(x, k1, b1, padding=2)), 2)
        t = F.max_pool2d(torch.relu(F.conv2d(t, k2, b2, padding=2)), 2)
        t = F.dropout(torch.relu(F.linear(t.flatten(1), w1, b3)), 0.5)
        return F.cross_entropy(F.linear(t, w2, b4), y) + 1e-4 * half_squares(w1, w2)
    parameters = [k1, b1, k2, b2, w1, b3, w2, b4]
    return training(loss, parameters, torch.optim.SGD(parameters, lr=0.01))


def lstm():
    # Its own LSTM, which is faster than cells of ours; it has no + 1 on the forget gate, so its bias starts there. Gates
    # lie i, f, g, o there, and i, j, f, o in the kernels drawn. Its second bias, which others have not, stays 0.
    x, y, embedding, kernels, w = weights.lstm()
    hidden = weights.HIDDEN
    x, y = torch.from_numpy(x).long(), torch.from_numpy(y).long().reshape(-1)
    network = torch.nn.LSTM(hidden, hidden, weights.LAYERS, batch_first=True)
    embedding, w = parameter(embedding), parameter(w.T)
    b = torch.zeros(weights.VOCABULARY, requires_grad=True)
    with torch.no_grad():
        for number, kernel in enumerate(kernels):
            i, j, f, o = np.split(kernel, 4, axis=1)
            gates = torch.from_numpy(np.concatenate([i, f, j, o], axis=1).T.copy())
            getattr(network, f"weight_ih_l{number}").copy_(gates[:, :hidden])
            getattr(network, f"weight_hh_l{number}").copy_(gates[:, hidden:])
            bias = torch.zeros(4 * hidden)
            bias[hidden:2 * hidden] = 1.0
            getattr(network, f"bias_ih_l{number}").copy_(bias)
            getattr(network, f"bias_hh_l{number}").zero_().requires_grad_(False)

    def loss():
        logits = F.linear(network(F.embedding(x, embedding))[0], w, b)
        return F.cross_entropy(logits.reshape(-1, weights.VOCABULARY), y)
    parameters = [embedding, w, b, *(p for p in network.parameters() if p.requires_grad)]
    clip = lambda: torch.nn.utils.clip_grad_norm_(parameters, 5.0)
    return training(loss, parameters, torch.optim.SGD(parameters, lr=1.0), clip)


def predict(batch):
    class Network(torch.nn.Module):
        def __init__(self, w1, b1, w2, b2):
            super().__init__()
            for name, array in dict(w1=w1, b1=b1, w2=w2, b2=b2).items():
                self.register_buffer(name, torch.from_numpy(array))

        def forward(self, x):
            return torch.addmm(self.b2, torch.relu(torch.addmm(self.b1, x, self.w1)), self.w2).softmax(1)

    def workload():
        x, *arrays = weights.predict(batch)
        return frozen(Network(*arrays), torch.from_numpy(x))
    return workload


def mobilenet():
    image, layers, w, b = weights.mobilenet()

    class Padded(torch.nn.Module):
        """A convolution, batch norm and relu6."""

        def __init__(self, layer):
            super().__init__()
            taps = layer.filter.transpose(0, 1, 3, 2) if layer.depthwise else layer.filter
            taps = filters_of(taps)
            outputs, inputs, size, _ = taps.shape
            groups = outputs if layer.depthwise else 1
            self.stride = layer.stride
            padding = 1 if size == 3 and layer.stride == 1 else 0
            self.convolution = torch.nn.Conv2d(inputs * groups, outputs, size, layer.stride, padding, groups=groups,
                                               bias=False)
            self.norm = torch.nn.BatchNorm2d(outputs, eps=weights.EPSILON)
            with torch.no_grad():
                self.convolution.weight.copy_(taps)
                for name, array in dict(weight=layer.scale, bias=layer.offset, running_mean=layer.mean,
                                        running_var=layer.variance).items():
                    getattr(self.norm, name).copy_(torch.from_numpy(array))

        def forward(self, x):
            x, _ = padded(x, self.stride)
            return F.relu6(self.norm(self.convolution(x)))

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(*map(Padded, layers))
            self.dense = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                self.dense.weight.copy_(torch.from_numpy(w.T.copy()))
                self.dense.bias.copy_(torch.from_numpy(b))

        def forward(self, x):
            return self.dense(self.layers(x).mean((2, 3))).softmax(1)

    return frozen(Network().to(memory_format=torch.channels_last), images_of(image))


def resnet():
    x, y, filters, w = weights.resnet()
    x, y = images_of(x), torch.from_numpy(y).long()
    w, b = parameter(w.T), torch.zeros(10, requires_grad=True)
    layers, decayed = [], [w]
    for array, stride in filters:
        taps = filters_of(array).requires_grad_()
        norm = torch.nn.BatchNorm2d(taps.shape[0], eps=weights.EPSILON, momentum=0.1)
        layers.append((taps, stride, norm))
        decayed.append(taps)

    def loss():
        remaining = iter(layers)

        def layer(t):
            taps, stride, norm = next(remaining)
            t, padding = padded(t, stride)
            return norm(F.conv2d(t, taps, stride=stride, padding=padding))

        t = torch.relu(layer(x))
        for channels in (16, 32, 64):
            for _ in range(3):
                shortcut = t
                t = layer(torch.relu(layer(t)))
                side = (channels - shortcut.shape[1]) // 2
                if side:
                    shortcut = F.pad(shortcut[:, :, ::2, ::2], (0, 0, 0, 0, side, side))
                t = torch.relu(t + shortcut)
        logits = F.linear(t.mean((2, 3)), w, b)
        return F.cross_entropy(logits, y) + 1e-4 * half_squares(*decayed)
    parameters = decayed + [b] + [p for _, _, norm in layers for p in norm.parameters()]
    return training(loss, parameters, torch.optim.SGD(parameters, lr=0.1, momentum=0.9))


if __name__ == "__main__":
    products = {f"matmul{side}": matmul(side) for side in (256, 1024, 2048)}
    networks = dict(mlp=mlp, lenet=lenet, lstm=lstm, predict1=predict(1), predict100=predict(100), mobilenet=mobilenet,
                    resnet=resnet)
    small = dict(hello=hello, branches=branches, elementwise=elementwise)
    serve("torch-compile" if COMPILED else "torch", small | products | networks)
