"""Prints the functions of TensorFlow's that docs/from-tensorflow.md has a row of: tests/fixtures/symbols.txt.

    python tests/oracle/symbols.py > tests/fixtures/symbols.txt

What has several names has its first here, by how many dots and then how many letters it has; a line is that name, and the others.
"""

import inspect
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow.compat.v1 as tf

MODULES = ["tf", "tf.math", "tf.math.special", "tf.nn", "tf.image", "tf.losses", "tf.linalg", "tf.random", "tf.bitwise", "tf.debugging", "tf.initializers", "tf.metrics", "tf.manip"]

SHARED = ["tf", "tf.math", "tf.math.special", "tf.nn", "tf.bitwise", "tf.debugging"]

# Each function's names, found by the function and, as some are wrapped once more elsewhere, by its last name in modules that share.
groups, found = [], {}
for module in MODULES:
    at = tf
    for part in module.split(".")[1:]:
        at = getattr(at, part)
    for name in dir(at):
        of = getattr(at, name)
        if name.startswith("_") or not callable(of) or inspect.isclass(of) and module != "tf.initializers":
            continue
        keys = [id(of), name] if module in SHARED else [id(of)]
        group = next((found[key] for key in keys if key in found), None)
        if group is None:
            groups.append(group := [])
        group.append(f"{module}.{name}")
        found.update((key, group) for key in keys if key not in found)
for names in sorted(sorted(names, key=lambda n: (n.count("."), len(n), n)) for names in groups):
    print(" ".join(names))
