"""Prints what TensorFlow's metrics over batches give: the numbers of tests/metrics.rs.

    python tests/oracle/metrics.py

A line is a metric and its value after each of three batches, the last of them weighted.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
m = tf.metrics
CLASSES = [([0, 1, 2, 2], [0, 2, 2, 2]), ([3, 1, 0, 1], [3, 1, 1, 1]), ([2, 2, 0, 0], [1, 2, 0, 3])]
NUMBERS = [([0.0, 1.0, 2.5, -1.0], [0.5, 1.0, 2.0, 1.0]), ([3.0, -2.0, 0.0, 1.0], [2.0, -2.5, 0.25, 1.0]), ([1.0, 4.0, 0.5, 0.0], [1.5, 3.0, 0.0, 1.0])]
TRUTHS = [([1, 0, 1, 0], [0.9, 0.4, 0.35, 0.6]), ([1, 1, 0, 0], [0.8, 0.1, 0.1, 0.7]), ([0, 1, 1, 0], [0.3, 1.0, 0.55, 0.0])]
WEIGHTS = [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.5, 2.0, 0.0, 1.0]]
classes = lambda f: (f, CLASSES, np.int64, np.int64)
numbers = lambda f: (f, NUMBERS, np.float32, np.float32)
answers = lambda f: (f, [(y, [int(p > 0.5) for p in x]) for y, x in TRUTHS], np.int64, np.int64)
chances = lambda f: (f, TRUTHS, np.int64, np.float32)
METRICS = {
    "mean": numbers(lambda y, p, w: m.mean(p, w)),
    "accuracy": classes(lambda y, p, w: m.accuracy(y, p, w)),
    "mean_absolute_error": numbers(lambda y, p, w: m.mean_absolute_error(y, p, w)),
    "mean_squared_error": numbers(lambda y, p, w: m.mean_squared_error(y, p, w)),
    "root_mean_squared_error": numbers(lambda y, p, w: m.root_mean_squared_error(y, p, w)),
    "mean_relative_error": numbers(lambda y, p, w: m.mean_relative_error(y, p, y, w)),
    "percentage_below": numbers(lambda y, p, w: m.percentage_below(p, 1.0, w)),
    "true_positives": answers(lambda y, p, w: m.true_positives(y, p, w)),
    "false_positives": answers(lambda y, p, w: m.false_positives(y, p, w)),
    "true_negatives": answers(lambda y, p, w: m.true_negatives(y, p, w)),
    "false_negatives": answers(lambda y, p, w: m.false_negatives(y, p, w)),
    "precision": answers(lambda y, p, w: m.precision(y, p, w)),
    "recall": answers(lambda y, p, w: m.recall(y, p, w)),
    "auc": chances(lambda y, p, w: m.auc(y, p, w, num_thresholds=50, summation_method="trapezoidal")),
    "auc_pr": chances(lambda y, p, w: m.auc(y, p, w, num_thresholds=50, curve="PR", summation_method="trapezoidal")),
    "mean_iou": classes(lambda y, p, w: m.mean_iou(y, p, 5, w)),
    "mean_per_class_accuracy": classes(lambda y, p, w: m.mean_per_class_accuracy(y, p, 5, w)),
}

for name, (metric, batches, of_labels, of_said) in METRICS.items():
    with tf.Graph().as_default(), tf.Session() as session:
        y, p, w = tf.placeholder(of_labels, [None]), tf.placeholder(of_said, [None]), tf.placeholder(tf.float32, [None])
        value, update = metric(y, p, w)
        session.run(tf.local_variables_initializer())
        told = []
        for (truth, said), weights in zip(batches, WEIGHTS):
            session.run(update, {y: truth, p: said, w: weights})
            told.append(session.run(value))
        print(f'("{name}", {[round(float(t), 7) for t in told]}),')
