"""The networks that only answer, as ONNX models in ONNX Runtime: it folds and lays out what it will, at its highest level."""
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import weights
from protocol import serve


class Model:
    """Nodes one after the other, and the arrays that they take."""

    def __init__(self):
        self.nodes, self.arrays = [], []

    def array(self, array):
        name = f"array{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, *inputs, **attributes):
        name = f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def step(self, output, classes, shape, array):
        """Of an array fed as `x`; reads the output and gives its first number."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], classes])
        graph = helper.make_graph(self.nodes, "workload", [x], [y], self.arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = os.cpu_count()
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": array})[0].ravel()[0]


def predict(batch):
    def workload():
        x, w1, b1, w2, b2 = weights.predict(batch)
        model = Model()
        hidden = model.node("Relu", model.node("Gemm", "x", model.array(w1), model.array(b1)))
        logits = model.node("Gemm", hidden, model.array(w2), model.array(b2))
        return model.step(model.node("Softmax", logits, axis=1), 10, ["batch", 784], x)
    return workload


def mobilenet():
    image, layers, w, b = weights.mobilenet()
    model = Model()
    low, high = model.array(np.float32(0.0)), model.array(np.float32(6.0))
    y = "x"
    for layer in layers:
        # [h, w, in, out], or [h, w, c, 1], as [out, in / groups, h, w].
        taps = layer.filter.transpose(2, 3, 0, 1) if layer.depthwise else layer.filter.transpose(3, 2, 0, 1)
        groups = taps.shape[0] if layer.depthwise else 1
        strides = [layer.stride] * 2
        y = model.node("Conv", y, model.array(taps), strides=strides, auto_pad="SAME_UPPER", group=groups)
        given = map(model.array, (layer.scale, layer.offset, layer.mean, layer.variance))
        y = model.node("BatchNormalization", y, *given, epsilon=weights.EPSILON)
        y = model.node("Clip", y, low, high)
    y = model.node("Flatten", model.node("GlobalAveragePool", y))
    y = model.node("Softmax", model.node("Gemm", y, model.array(w), model.array(b)), axis=1)
    return model.step(y, 1000, [1, 3, 224, 224], np.ascontiguousarray(image.transpose(0, 3, 1, 2)))


if __name__ == "__main__":
    serve("onnxruntime", dict(predict1=predict(1), predict100=predict(100), mobilenet=mobilenet))
