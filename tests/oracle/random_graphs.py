"""Writes what TensorFlow's graphs give that are drawn at random: the golden numbers of tests/tensorflow/graphs.rs.

    python tests/oracle/random_graphs.py > tests/fixtures/random_graphs.txt      # 1,218 of them; two numbers: the first, and how many

A graph is a line `# NUMBER`, then a line a node, numbered from 0. A source is `p`, `c` or `v` (placeholder, constant, variable) or `r`
(a draw by a seed, of a distribution in the place of `numbers`), its dtype's letter (f32 `f`, f64 `d`, i32 `i`, i64 `l`, bool `b`) with its extents, what its numbers are and a seed; `numbers` says
how these are made. Any other node is a method of tests/tensorflow with its attributes, its operands (a node, or node.port)
and its results, apart by `|`. `grad` is the gradients of its first operand by the others, `grad2` those of a sum of such.

A result is its dtype's letter, its extents, and after a colon a sum over its elements: of floats each times a weight of its
place (see `checksum`), of others the same in whole numbers modulo 2^32.

A node is kept if its results are finite, and change no more than a few times as much as all that it is made of does when every
node that rounds is changed by some units of the last place: graphs are well-conditioned and away from kinks, ties and
borders, so that results that differ are mistakes.
"""

import os
import random
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow as tf2

import tensorflow.compat.v1 as tf
from graph_methods import METHODS, MOVING, ONCE
from random_drawers import DRAWERS, NEWER, NEWEST, drawn

LETTERS = {"float32": "f", "float64": "d", "int32": "i", "int64": "l", "bool": "b"}
KINDS = {letter: np.dtype(name) for name, letter in LETTERS.items()}
# How much nodes are changed, and how much their results may change of that.
CHANGE = {"f": 1e-6, "d": 1e-12}
CHANGED = 20
TWINS = 3


class Rejected(Exception):
    """A node that is not kept."""


def numbers(letter, dims, what, seed):
    """The elements of a source."""
    n = int(np.prod(dims))
    dtype = KINDS[letter]
    if what.startswith("="):
        return np.full(dims, float(what[1:]) if letter in "fd" else int(what[1:]), dtype)
    state, bits = seed * 7919 + 12345, []
    for _ in range(n + 3):
        state = (state * 1103515245 + 12345) % 2**31
        bits.append(state >> 10)
    bits = np.array(bits[3:], np.int64)
    if letter == "b":
        x = bits % 2
    elif what == "signed":
        x = ((bits % 2048) * 2 + 1 - 2048) / 1024
    elif what == "unit":
        x = ((bits % 1024) * 2 + 1) / 2048
    else:
        low, high = (int(n) for n in what.removeprefix("sorted").split(".."))
        x = low + bits % (high - low)
        x = np.sort(x) if what.startswith("sorted") else x
    return x.astype(dtype).reshape(dims)


def weights(n):
    return (np.arange(n) * 7919 + 13) % 31 * 2 - 30.5


def checksum(x):
    """The sum, and what its errors are measured by."""
    w = weights(x.size)
    if x.dtype.kind == "f":
        parts = x.ravel().astype(np.float64) * w
        return parts.sum(), float(np.sqrt((parts**2).sum()))
    with np.errstate(over="ignore"):
        return int((x.ravel().astype(np.int64) * (w + 0.5).astype(np.int64)).sum() % 2**32), 0.0


def told(x):
    total, _ = checksum(x)
    digits = {"f": 7, "d": 12}.get(LETTERS[x.dtype.name])
    return f"{LETTERS[x.dtype.name]}{','.join(map(str, x.shape))}:" + (f"{total:.{digits}g}" if digits else f"{total:x}")


def check(values):
    """Whether results are kept: of the node itself, then of its twins."""
    x = values[0]
    if any(v.shape != x.shape for v in values):
        raise Rejected("shape")
    if x.dtype.kind != "f":
        if not all(np.array_equal(v, x) for v in values):
            raise Rejected("discrete")
        return
    if not all(np.isfinite(v).all() for v in values):
        raise Rejected("not finite")
    size = np.abs(x)
    if size.size and (size.max() > 1e4 or size[size > 0].min(initial=1) < 1e-12):
        raise Rejected("size")
    total, scale = checksum(x)
    bound = CHANGED * CHANGE[LETTERS[x.dtype.name]]
    for v in values[1:]:
        if abs(checksum(v)[0] - total) > bound * scale or (np.abs(v - x) > 2 * bound * size.max(initial=0)).any():
            raise Rejected("condition")


def changed(x, seed):
    letter = LETTERS[x.dtype.name]
    signs = np.random.RandomState(seed).randint(0, 2, x.shape) * 2 - 1
    return x * tf.constant((1 + CHANGE[letter] * signs).astype(x.dtype.as_numpy_dtype))


class Entry:
    def __init__(self, ref, tensors, node):
        self.ref, self.tensors, self.node = ref, tensors, node
        self.x = np.asarray(tensors[0])
        self.letter, self.shape = LETTERS[self.x.dtype.name], list(self.x.shape)

    rank = property(lambda self: len(self.shape))
    size = property(lambda self: self.x.size)


class Drawing:
    """A graph that is being drawn, and its entries, evaluated as they come."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.float = "d" if self.rng.random() < 0.3 else "f"
        self.largest = self.rng.choice([60, 200, 200, 600, 600, 3000])
        self.nodes, self.entries = [], []
        self.drawers = DRAWERS + (NEWER if seed % 10000 >= 1000 else []) + (NEWEST if seed % 10000 >= 1118 else [])

    def results(self, number, outputs_of_twins, moving, text):
        outputs = []
        for port, tensors in enumerate(zip(*outputs_of_twins)):
            arrays = [t.numpy() for t in tensors]
            if arrays[0].dtype.name not in LETTERS or arrays[0].size > self.largest:
                raise Rejected("size")
            rounds = not moving and arrays[0].dtype.kind == "f"
            twins = [tensors[0]] + [changed(t, 100 * number + i) if rounds else t for i, t in enumerate(tensors[1:])]
            if arrays[0].dtype.kind == "f":
                check([t.numpy() for t in twins])
            else:
                check(arrays)
            ref = str(number) if port == 0 else f"{number}.{port}"
            outputs.append(Entry(ref, twins, number))
        self.nodes.append((text, outputs))
        self.entries += outputs
        return outputs

    def source(self, letter, dims, what="signed", how=None):
        number, seed = len(self.nodes), self.rng.randrange(1000)
        what = what if letter in "fd" or what != "signed" else "-5..6"
        x = numbers(letter, dims, what, seed)
        how = how or self.rng.choice("ppppcv")
        text = f"{how} {letter}{','.join(map(str, dims))} {what} {seed}"
        return self.results(number, [[tf.constant(x)]] * TWINS, True, (text, how, x))[0]

    def draw_of(self, letter, dims, what):
        """A draw of TensorFlow 1 by a seed."""
        number, seed = len(self.nodes), self.rng.randrange(1000)
        with tf.Graph().as_default(), tf.Session() as session:
            x = session.run(drawn(letter, dims, what, seed))
        text = f"r {letter}{','.join(map(str, dims))} {what} {seed}"
        return self.results(number, [[tf.constant(x)]] * TWINS, True, (text, "r", (letter, dims, what, seed)))[0]

    def literal(self, letter, value):
        return self.source(letter, [], f"={value}", "c")

    def add(self, method, /, *operands, **attributes):
        attributes = {k: int(v) if isinstance(v, bool) else v for k, v in attributes.items() if v is not None and v is not False}
        number = len(self.nodes)
        outputs = []
        for twin in range(TWINS):
            y = METHODS[method](attributes, *[o.tensors[twin] for o in operands])
            outputs.append(list(y) if isinstance(y, (list, tuple)) else [y])
        return self.results(number, outputs, method in MOVING, (method, attributes, operands))

    def one(self, method, /, *operands, **attributes):
        return self.add(method, *operands, **attributes)[0]

    def pick(self, letters=None, ranks=range(6), keep=lambda e: True, new=0.15):
        """An entry, the later the likelier; None where nothing fits."""
        letters = letters or self.float
        fit = [e for e in self.entries if e.letter in letters and e.rank in ranks and keep(e)]
        if not fit or self.rng.random() < new:
            return None
        return fit[max(self.rng.randrange(len(fit)), self.rng.randrange(len(fit)))]

    def extent(self, most=5):
        return self.rng.choice([e for e in (1, 2, 2, 3, 3, 4, 5, 7, 9) if e <= most])

    def dims(self, rank=None, most=5):
        rank = self.rng.choice([0, 1, 2, 2, 3, 3, 4, 5]) if rank is None else rank
        if self.rng.random() < 0.01:
            most = 0
        return [self.extent(most) if most else 0 for _ in range(rank)]

    def any(self, letters=None, ranks=range(6), keep=lambda e: True, what="signed"):
        """An entry, or a new source."""
        found = self.pick(letters, ranks, keep)
        if found:
            return found
        for _ in range(20):
            letter = self.rng.choice(list(letters or self.float))
            made = self.source(letter, self.dims(self.rng.choice(list(ranks))), what)
            if keep(made):
                return made
            self.undo(len(self.nodes) - 1)
        raise Rejected("nothing fits")

    def undo(self, count):
        del self.nodes[count:]
        self.entries = [e for e in self.entries if e.node < count]

    def step(self):
        count = len(self.nodes)
        names, chances = zip(*((f, w) for f, w in self.drawers))
        drawer = self.rng.choices(names, chances)[0]
        try:
            drawer(self)
            return True
        except (Rejected, ValueError, tf.errors.OpError, IndexError) as e:
            REASONS[drawer.__name__, type(e).__name__ if not isinstance(e, Rejected) else str(e)] = REASONS.get((drawer.__name__, str(e)), 0) + 1
            self.undo(count)
            return False

    def draw(self, ops):
        while sum(not isinstance(n[0][1], str) for n in self.nodes) < ops:
            self.step()
        self.objective()

    def objective(self):
        """A scalar that gradients are taken of: weighted sums of some of the last floats."""
        self.loss = None
        if self.rng.random() < 0.35:
            return
        floats = [e for e in self.entries if e.letter in "fd" and not isinstance(self.nodes[e.node][0][1], str)]
        chosen = self.rng.sample(floats[-12:], min(len(floats), 12, self.rng.choice([1, 2, 2, 3])))
        count = len(self.nodes)
        try:
            total = None
            for e in chosen:
                w = self.source(e.letter, e.shape, "signed", "c")
                part = self.one("sum", self.one("mul", e, w))
                if part.letter != self.float:
                    part = self.one("cast", part, to={"f": "f32", "d": "f64"}[self.float])
                total = part if total is None else self.one("add", total, part)
            self.loss = total
        except Rejected:
            self.undo(count)


REASONS = {}


def build(nodes, twin):
    """The graph in TensorFlow 1; results of each node, and what is fed."""
    results, feeds, variables = [], {}, []
    for number, ((method, attributes, *rest), outputs) in enumerate(nodes):
        if isinstance(attributes, str):
            x = rest[0]
            if attributes == "p":
                y = tf.placeholder(x.dtype, x.shape)
                feeds[y] = x
            elif attributes == "r":
                y = drawn(*x)
            elif attributes == "c":
                y = tf.constant(x)
            else:
                y = tf.Variable(x, use_resource=False)
                variables.append(y)
                y = y.value()
            y = [y]
        else:
            operands = [results[e.node][int(e.ref.partition(".")[2] or 0)] for e in rest[0]]
            y = METHODS[method](attributes, *operands)
            y = list(y) if isinstance(y, (list, tuple)) else [y]
            if twin and method not in MOVING:
                ports = [changed(t, 100 * number + twin - 1) if t.dtype.is_floating and t.shape.is_fully_defined() else t for t in y]
                y = ports
        results.append(y)
    return results, feeds, variables


def slopes(y, xs):
    found = tf.gradients(y, xs)
    return [None if g is None else tf.convert_to_tensor(g) for g in found]


def finished(drawing):
    """The graph's values by one run of TensorFlow 1, and its gradients where they are kept."""
    nodes = drawing.nodes
    sources = [n for n, (text, outputs) in enumerate(nodes) if isinstance(text[1], str) and text[1] != "r" and outputs[0].letter in "fd" and outputs[0].size > 0]
    lines = []
    second = drawing.rng.random() < 0.3 and not any(text[0] in ONCE for text, _ in nodes)
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    values, first, again, kept = None, [], [], None
    for twin in range(TWINS if drawing.loss else 1):
        with tf.Graph().as_default():
            results, feeds, variables = build(nodes, twin)
            found = found2 = None
            if drawing.loss:
                loss = results[drawing.loss.node][0]
                xs = [results[n][0] for n in sources]
                try:
                    found = slopes(loss, xs)
                    kept = [n for n, g in zip(sources, found) if g is not None]
                    found = [g for g in found if g is not None]
                    if second and found:
                        loss2 = tf.add_n([tf.cast(tf.reduce_sum(g * tf.constant(weighted(g.shape.as_list(), g.dtype), g.dtype)), loss.dtype) for g in found])
                        found2 = slopes(loss2, [results[n][0] for n in kept])
                except (LookupError, ValueError, NotImplementedError, TypeError) as e:
                    REASONS["gradient", type(e).__name__] = REASONS.get(("gradient", type(e).__name__), 0) + 1
                    found2 = None
                    if not isinstance(found, list) or any(g is None for g in found):
                        found = None
            with tf.Session(config=config) as session:
                session.run([v.initializer for v in variables])
                if twin == 0:
                    values = session.run(results, feeds)
                for fetched, into in ((found, first), (found2, again)):
                    if fetched:
                        try:
                            into.append(session.run([g for g in fetched if g is not None], feeds))
                        except tf.errors.OpError as e:
                            REASONS["gradient", "run"] = REASONS.get(("gradient", "run"), 0) + 1
                    else:
                        into.append(None)
                if found2:
                    kept2 = [n for n, g in zip(kept, found2) if g is not None]
    for number, ((method, attributes, *rest), outputs) in enumerate(nodes):
        for value, entry in zip(values[number], outputs):
            near = np.array_equal(value, entry.x) if value.dtype.kind != "f" else np.allclose(value, entry.x, 1e-6, 1e-6)
            assert value.shape == entry.x.shape and near, (method, value, entry.x)
        if isinstance(attributes, str):
            lines.append(method)
        else:
            given = "".join(f" {k}={attribute(v)}" for k, v in attributes.items())
            results = " ".join(told(np.asarray(v)) for v in values[number])
            lines.append(f"{method}{given}|{' '.join(e.ref for e in rest[0])}|{results}")
    for name, found, of in (("grad", first, kept), ("grad2", again, None)):
        if len(found) < TWINS or not all(found):
            break
        of = kept2 if of is None else of
        try:
            for arrays in zip(*found):
                check(list(arrays))
        except Rejected as e:
            REASONS[name, str(e)] = REASONS.get((name, str(e)), 0) + 1
            break
        refs = " ".join(str(n) for n in [drawing.loss.node, *of])
        lines.append(f"{name}|{refs}|{' '.join(told(x) for x in found[0])}")
    return lines


def weighted(dims, dtype):
    return weights(int(np.prod(dims))).reshape(dims) / 16


def attribute(value):
    if isinstance(value, (list, tuple)):
        return ",".join(str(v) for v in value)
    return str(value)


def main(first, count):
    tf2.config.threading.set_intra_op_parallelism_threads(1)
    tf2.config.threading.set_inter_op_parallelism_threads(1)
    print("# Made by tests/oracle/random_graphs.py with TensorFlow", tf.__version__)
    used = {}
    for number in range(first, first + count):
        seed, lines = number, None
        while lines is None:
            drawing = Drawing(seed)
            drawing.draw(5 + int(195 * drawing.rng.random() ** 9))
            try:
                lines = finished(drawing)
            except (ValueError, TypeError) as e:
                # TensorFlow 1 refuses what runs node by node.
                print(seed, e, file=sys.stderr)
                seed += 10000
        print(f"# {number}", *lines, sep="\n")
        for line in lines:
            name = line.split("|")[0].split(" ")[0]
            used[name] = used.get(name, 0) + 1
    print(*sorted(used.items(), key=lambda u: u[1]), file=sys.stderr)
    print("never:", *sorted(set(METHODS) - set(used)), file=sys.stderr)
    print(*sorted(REASONS.items(), key=lambda r: -r[1])[:60], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given or [0, 1218]))
