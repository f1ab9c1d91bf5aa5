"""Writes what TensorFlow's operations on the shapes and parts of arrays give: the golden numbers of tests/tensorflow.

    python tests/oracle/arrays.py > tests/fixtures/arrays.txt

A line is a case, as tests/oracle/ops.py has it. An operation of several results has all of them; its gradients are those of
the first.

Left out on purpose: results whose shape depends on numbers (Dormouse knows shapes before a run), ranges of floats whose
steps are not exact (TensorFlow adds the step again and again, Dormouse multiplies it), batch_gather at indices outside of a
row (TensorFlow takes the next row's elements), and mirrors in arrays without elements (TensorFlow refuses some).
"""

import itertools

import numpy as np

from ops import case, f32, f64, grad, i32, i64, inf, nan, noise, tf, u8

DTYPES = (f32, f64, i32, i64, u8)


def slices():
    def both(x, begin, end, strides, emit=grad, **masks):
        masks = {name: masks.get(name, 0) for name in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
        make = lambda x: tf.strided_slice(x, begin, end, strides, **masks)
        emit("strided_slice", make, x, begin=begin, end=end, strides=strides, **masks)

    x = noise([4, 5])
    for begin, end, strides in [
        ([0, 0], [4, 5], [1, 1]), ([1, 1], [3, 4], [1, 2]), ([-3, -2], [-1, 5], [1, 1]), ([3, 4], [0, 0], [-1, -2]),
        ([-1, -1], [-5, -6], [-1, -1]), ([-100, 0], [100, 100], [2, 3]), ([100, 100], [-100, -100], [-3, -1]),
        ([2], [4], [1]), ([2, 0], [2, 5], [1, 1]), ([3, 0], [1, 5], [1, 1]), ([1, 0], [3, 5], [-1, 1]),
    ]:
        both(x, begin, end, strides)
    both(x, [0, 0], [4, 5], [1, 0], case)
    both(x, [0, 0, 0], [1, 1, 1], [1, 1, 1], case)
    for begin_mask, end_mask in itertools.product(range(4), repeat=2):
        both(x, [1, 2], [3, 4], [1, 1], case, begin_mask=begin_mask, end_mask=end_mask)
        both(x, [3, 2], [1, 0], [-1, -2], case, begin_mask=begin_mask, end_mask=end_mask)
    y = noise([2, 3, 4], seed=1)
    both(y, [1, 0], [2, 1], [1, 1], shrink_axis_mask=3)
    both(y, [-1, 0, -2], [0, 0, 0], [1, 1, 1], shrink_axis_mask=7)
    both(y, [0, 1], [0, 2], [1, 1], ellipsis_mask=1)
    both(y, [1, 0, 1], [2, 0, 3], [1, 1, 1], ellipsis_mask=2)
    both(y, [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], ellipsis_mask=8, new_axis_mask=5, begin_mask=2, end_mask=2)
    both(y, [0, 0, -1], [0, 0, 0], [1, 1, 1], ellipsis_mask=2, new_axis_mask=1, shrink_axis_mask=4)
    both(y, [0, 0], [0, 0], [1, 1], ellipsis_mask=1, new_axis_mask=2)
    both(y, [2], [3], [1], case, shrink_axis_mask=1)
    both(y, [-3], [-2], [1], case, shrink_axis_mask=1)
    both(y, [1], [2], [-1], case, shrink_axis_mask=1)
    both(y, [0, 0, 0], [0, 0, 0], [1, 1, 1], case, ellipsis_mask=5)
    for dtype in DTYPES:
        both(noise([3, 4], dtype), [2, -1], [0, -5], [-1, -2], case)
    both(np.array([[True, False, True]]), [0, 2], [1, 0], [1, -1], case)
    both(np.zeros([0, 3], f32), [0, 0], [2, 2], [1, 1])
    both(np.zeros([0, 3], f32), [0], [1], [1], case, shrink_axis_mask=1)
    both(np.array([nan, inf, -inf, -0.0], f32), [3], [-5], [-1], case)
    for axes in ([0], [1], [0, 2], [-1, 0], []):
        grad("reverse", lambda x: tf.reverse(x, axes), y, axes=axes)
    for axes in ([3], [0, 0], [1, -2]):
        case("reverse", lambda x: tf.reverse(x, axes), y, axes=axes)
    case("reverse", lambda x: tf.reverse(x, [1]), noise([2, 0]), axes=[1])
    case("reverse", lambda x: tf.reverse(x, [0]), noise([3], u8), axes=[0])
    for shifts, axes in [([1], [0]), ([-1], [1]), ([7], [2]), ([2, -1], [0, 1]), ([1, 2], [2, 2]), ([0], [0]), ([-9], [-1])]:
        grad("roll", lambda x: tf.roll(x, shifts, axes), y, shifts=shifts, axes=axes)
    case("roll", lambda x: tf.roll(x, [1], [0]), noise([0, 2]), shifts=[1], axes=[0])
    case("roll", lambda x: tf.roll(x, [1], [3]), noise([2, 2]), shifts=[1], axes=[3])
    case("roll", lambda x: tf.roll(x, [1], [0]), noise([4], i64), shifts=[1], axes=[0])


def together():
    parts = [noise([2, 3], seed=i) for i in range(3)]
    for axis in (0, 1, 2, -1, -3):
        grad("stack", lambda *x: tf.stack(x, axis), *parts, axis=axis)
    case("stack", lambda *x: tf.stack(x, 3), *parts, axis=3)
    case("stack", lambda *x: tf.stack(x, 0), noise([2]), noise([3]), axis=0)
    case("stack", lambda *x: tf.stack(x, 0), i32(1), i32(2), axis=0)
    case("stack", lambda *x: tf.stack(x, 1), noise([2, 0]), noise([2, 0]), axis=1)
    x = noise([2, 3, 4])
    for axis in (0, 1, -1):
        grad("unstack", lambda x: tf.unstack(x, axis=axis), x, axis=axis)
    case("unstack", lambda x: tf.unstack(x, axis=0), noise([3], u8), axis=0)
    case("unstack", lambda x: tf.unstack(x, axis=1), noise([0, 2]), axis=1)
    for parts, axis in [(2, 0), (3, 1), (2, -1), (1, 1), (4, 2)]:
        grad("split_many", lambda x: tf.split(x, parts, axis), x, parts=parts, axis=axis)
    for parts, axis in [(2, 1), (3, 0), (2, 3)]:
        case("split_many", lambda x: tf.split(x, parts, axis), x, parts=parts, axis=axis)
    case("split_many", lambda x: tf.split(x, 2, 1), noise([3, 0], i32), parts=2, axis=1)
    for sizes, axis in [([1, 1], 0), ([1, 2], 1), ([2, -1], -1), ([-1, 1, 1], 2), ([0, 3], 1), ([3, -1], 1), ([3], 1)]:
        grad("split_sizes", lambda x: tf.split(x, sizes, axis), x, sizes=sizes, axis=axis)
    for sizes, axis in [([1, 1], 1), ([2, 2], 1), ([4, -1], 1)]:
        case("split_sizes", lambda x: tf.split(x, sizes, axis), x, sizes=sizes, axis=axis)


def padded():
    for name, mode in [("pad_reflect", "REFLECT"), ("pad_symmetric", "SYMMETRIC")]:
        def pad(x, paddings, emit):
            emit(name, lambda x: tf.pad(x, paddings, mode), x, paddings=paddings)
        for paddings in ([[0, 0], [0, 0]], [[1, 0], [0, 2]], [[2, 2], [1, 3]], [[0, 1], [3, 0]]):
            pad(noise([3, 4]), paddings, grad)
        for paddings in ([[3, 0], [0, 0]], [[0, 4], [0, 0]], [[0, 0], [0, 4]], [[0, 0], [5, 0]]):
            pad(noise([3, 4]), paddings, case)
        pad(noise([1, 2]), [[0, 0], [1, 1]], grad)
        pad(noise([1]), [[1, 0]], case)
        for dtype in (f64, i32, i64, u8):
            pad(noise([4], dtype), [[2, 3]], case)


def indexed():
    x = noise([2, 3, 4])
    for dtype in (i32, i64):
        grad("gather_nd", tf.gather_nd, x, np.array([[1, 2], [0, 0], [1, 2]], dtype))
        grad("gather_nd", tf.gather_nd, x, np.array([[[1]], [[0]]], dtype))
        case("gather_nd", tf.gather_nd, x, np.array([1, 0, 3], dtype))
        case("gather_nd", tf.gather_nd, noise([3], u8), np.array([[2], [0]], dtype))
        for wrong in ([[2, 0]], [[0, -1]], [[0, 0], [0, 3]]):
            case("gather_nd", tf.gather_nd, x, np.array(wrong, dtype))
    case("gather_nd", tf.gather_nd, x, np.zeros([0, 2], i32))
    case("gather_nd", tf.gather_nd, x, np.zeros([2, 0], i32))
    case("gather_nd", tf.gather_nd, x, np.zeros([1, 4], i32))
    case("gather_nd", tf.gather_nd, np.array([[True], [False]]), i32([[1, 0]]))
    for batch, indices in [(1, [[[2], [0]], [[1], [1]]]), (1, [[0, 3], [2, 1]]), (2, [[[1], [0], [3]], [[3], [3], [0]]])]:
        grad("gather_nd_batched", lambda x, i: tf.gather_nd(x, i, batch_dims=batch), x, i32(indices), batch=batch)
    grad("batch_gather", tf.batch_gather, x, i32([[2, 0, 2, 1], [1, 1, 0, 2]]))
    grad("batch_gather", tf.batch_gather, noise([4]), i64([3, 3, 0]))
    grad("batch_gather", tf.batch_gather, x, i64([[[0, 0], [1, 2], [3, 3]], [[2, 1], [0, 3], [1, 1]]]))
    updates = noise([3, 4], seed=2)
    at = i32([[1, 2], [0, 0], [1, 0]])
    twice = i64([[1, 2], [0, 0], [1, 2]])
    for name, f in [("update", tf.tensor_scatter_nd_update), ("add", tf.tensor_scatter_nd_add), ("sub", tf.tensor_scatter_nd_sub)]:
        name = f"tensor_scatter_{name}"
        grad(name, f, x, at, updates)
        if not name.endswith("update"):
            grad(name, f, x, twice, updates)
        grad(name, f, noise([5]), i32([[4], [1]]), noise([2], seed=1))
        for dtype in (i32, i64, u8):
            case(name, f, noise([4], dtype), i32([[3], [0]]), noise([2], dtype, 1))
        case(name, f, x, i32([[2, 0]]), noise([1, 4]))
        case(name, f, x, i32([[0, -1]]), noise([1, 4]))
        case(name, f, x, at, noise([3, 3]))
        case(name, f, x, np.zeros([0, 2], i32), np.zeros([0, 4], f32))
    case("tensor_scatter_update", tf.tensor_scatter_nd_update, np.array([True, True]), i32([[1]]), np.array([False]))
    for shape, indices, values in [([4], [[1], [3], [1]], noise([3])), ([3, 2], [[2], [0]], noise([2, 2])), ([2, 2], [[0, 1]], noise([1]))]:
        grad("scatter_nd", lambda u, i: tf.scatter_nd(i, u, shape), values, i32(indices), shape=shape)
    case("scatter_nd", lambda u, i: tf.scatter_nd(i, u, [3]), noise([1]), i32([[3]]), shape=[3])
    case("scatter_nd", lambda u, i: tf.scatter_nd(i, u, [3]), noise([2], i64), i32([[1], [1]]), shape=[3])

    def variable(name, f):
        def make(x, i, u):
            v = tf.Variable(x, use_resource=False)
            with tf.control_dependencies([v.initializer]):
                return tf.identity(f(v, i, u))
        return lambda *operands, **attributes: case(name, make, *operands, **attributes)

    for name in ("update", "add", "sub"):
        rows = variable(f"scatter_{name}", getattr(tf, f"scatter_{name}"))
        places = variable(f"scatter_nd_{name}", getattr(tf, f"scatter_nd_{name}"))
        rows(noise([4, 2]), i32([3, 0]), noise([2, 2], seed=1))
        rows(noise([4, 2], i32), i64([[1], [2]]), noise([2, 1, 2], i32, 1))
        rows(noise([4]), i32(2), f32(7))
        places(noise([4, 2]), i32([[3, 1], [0, 0]]), noise([2], seed=1))
        if name != "update":
            rows(noise([4, 2]), i32([3, 3, 0]), noise([3, 2], seed=1))
            places(noise([4, 2]), i32([[3], [3]]), noise([2, 2], seed=1))
    for lengths, n in [([1, 3, 0, 7], 4), ([[2], [5]], 3), (2, 3), ([], 2), ([-1, 1], 0)]:
        for dtype in (i32, i64):
            case("sequence_mask", lambda x: tf.sequence_mask(x, n), np.array(lengths, dtype), maxlen=n)


def made():
    like = f32(0)
    for start, end, step, dtype in [
        (0, 5, 1, "i32"), (3, 18, 3, "i32"), (3, 1, -1, "i64"), (5, 5, 1, "i32"), (5, 3, 1, "i64"), (0, 1, 0.25, "f32"),
        (-1.5, 2, 0.5, "f64"), (10, 0, -4, "i32"), (0, 1, 0, "f32"),
    ]:
        kind = {"i32": tf.int32, "i64": tf.int64, "f32": tf.float32, "f64": tf.float64}[dtype]
        case("range", lambda _: tf.range(start, end, step, dtype=kind), like, start=start, end=end, step=step, dtype=dtype)
    for start, stop, n in [(0.0, 1.0, 5), (10.0, 12.0, 3), (-1.0, 1.0, 7), (3.0, 3.0, 2), (5.0, 1.0, 1), (1.0, -2.0, 10), (0.1, 0.7, 100)]:
        for dtype, kind in (("f32", tf.float32), ("f64", tf.float64)):
            make = lambda _: tf.linspace(tf.constant(start, kind), tf.constant(stop, kind), n)
            case("linspace", make, like, start=start, stop=stop, count=n, dtype=dtype)
    for batch, rows, columns, dtype in [([], 3, 3, "f32"), ([], 2, 4, "i32"), ([2, 1], 3, 2, "f64"), ([], 0, 2, "f32"), ([], 1, 1, "bool")]:
        kind = {"i32": tf.int32, "f32": tf.float32, "f64": tf.float64, "bool": tf.bool}[dtype]
        case("eye", lambda _: tf.eye(rows, columns, batch or None, kind), like, batch=batch, rows=rows, columns=columns, dtype=dtype)
    case("rank_of", tf.rank, noise([2, 1, 3]))
    case("rank_of", tf.rank, f32(1))
    for mesh in ("xy", "ij"):
        make = lambda *x: tf.meshgrid(*x, indexing=mesh)
        case("meshgrid", make, noise([3]), noise([2]), mesh=mesh)
        case("meshgrid", make, noise([2]), noise([3]), noise([4]), mesh=mesh)
        case("meshgrid", make, noise([3], i32), mesh=mesh)


def matrices():
    for shape in ([3], [1], [2, 2], [2, 1, 3]):
        if len(shape) < 3:
            grad("diag", tf.diag, noise(shape), )
            grad("diag_part", tf.diag_part, noise(shape * 2))
        grad("matrix_diag", tf.matrix_diag, noise(shape))
    case("diag", tf.diag, noise([2], i32))
    case("matrix_diag", tf.matrix_diag, np.array([nan, inf, -0.0], f32))
    case("matrix_diag", tf.matrix_diag, np.array([True, True]))
    case("matrix_diag", tf.matrix_diag, noise([0]))
    for shape in ([3, 3], [2, 4], [4, 2], [2, 3, 1], [2, 2, 3], [1, 1]):
        grad("matrix_diag_part", tf.matrix_diag_part, noise(shape))
        grad("trace", tf.trace, noise(shape))
        diagonal = noise([*shape[:-2], min(shape[-2:])], seed=3)
        grad("matrix_set_diag", tf.matrix_set_diag, noise(shape), diagonal)
        grad("matrix_transpose", tf.matrix_transpose, noise(shape))
        for lower, upper in [(0, 0), (-1, 0), (0, -1), (1, 1), (-1, -1), (2, 1)]:
            if lower < shape[-2] and upper < shape[-1]:
                make = lambda x: tf.matrix_band_part(x, lower, upper)
                grad("matrix_band_part", make, noise(shape), lower=lower, upper=upper)
    case("matrix_diag_part", tf.matrix_diag_part, noise([0, 3]))
    case("matrix_band_part", lambda x: tf.matrix_band_part(x, 0, 0), np.array([[nan, nan], [inf, 1.0]], f32), lower=0, upper=0)
    case("trace", tf.trace, np.array([[1.0, nan], [inf, 2.0]], f32))
    case("matrix_set_diag", tf.matrix_set_diag, noise([2, 3]), noise([3]))


def blocks():
    for shape, block in [([1, 4, 6, 2], 2), ([2, 3, 3, 1], 3)]:
        grad("space_to_depth", lambda x: tf.space_to_depth(x, block), noise(shape), block=block)
    for shape, block in [([1, 2, 3, 8], 2), ([2, 1, 1, 9], 3)]:
        grad("depth_to_space", lambda x: tf.depth_to_space(x, block), noise(shape), block=block)
    case("space_to_depth", lambda x: tf.space_to_depth(x, 2), noise([1, 3, 4, 1]), block=2)
    case("depth_to_space", lambda x: tf.depth_to_space(x, 2), noise([1, 1, 1, 6]), block=2)
    case("space_to_depth", lambda x: tf.space_to_depth(x, 2), noise([1, 2, 2, 2], i32), block=2)
    for shape, block, pairs in [([1, 4, 6, 2], [2, 3], [[0, 0], [0, 0]]), ([2, 3, 5], [2], [[1, 0]]), ([1, 2, 3, 1], [3, 2], [[1, 0], [0, 1]])]:
        grad("space_to_batch_nd", lambda x: tf.space_to_batch_nd(x, block, pairs), noise(shape), block=block, pairs=pairs)
    for shape, block, pairs in [([6, 2, 2, 1], [2, 3], [[0, 0], [0, 0]]), ([4, 2, 3, 1], [2, 2], [[1, 0], [0, 2]]), ([4, 3, 2], [2], [[2, 1]])]:
        grad("batch_to_space_nd", lambda x: tf.batch_to_space_nd(x, block, pairs), noise(shape), block=block, pairs=pairs)
    case("space_to_batch_nd", lambda x: tf.space_to_batch_nd(x, [2], [[0, 0]]), noise([1, 3]), block=[2], pairs=[[0, 0]])
    case("batch_to_space_nd", lambda x: tf.batch_to_space_nd(x, [2], [[3, 2]]), noise([2, 2]), block=[2], pairs=[[3, 2]])
    case("batch_to_space_nd", lambda x: tf.batch_to_space_nd(x, [2], [[0, 0]]), noise([3, 2]), block=[2], pairs=[[0, 0]])


def contractions():
    for a, b, axes in [([2, 3], [3, 4], 1), ([2, 3, 4], [3, 4, 5], 2), ([2], [3], 0), ([2, 3, 4], [4, 2], [[2, 0], [0, 1]]),
                       ([3, 2], [2, 3], [[0, -1], [-1, 0]]), ([2, 0], [0, 3], 1)]:
        make = lambda a, b: tf.tensordot(a, b, axes)
        given = {"inner": axes} if isinstance(axes, int) else {"left": axes[0], "right": axes[1]}
        (case if 0 in a else grad)("tensordot", make, noise(a), noise(b, seed=1), **given)
    case("tensordot", lambda a, b: tf.tensordot(a, b, 1), noise([2, 3]), noise([2, 3]), inner=1)
    for equation, *shapes in [
        ("ij,jk->ik", [2, 3], [3, 4]), ("ij,jk", [2, 3], [3, 4]), ("ij->ji", [2, 3]), ("ij->", [2, 3]), ("ij->i", [2, 3]),
        ("ii->i", [3, 3]), ("ii->", [3, 3]), ("i,i->", [4], [4]), ("i,j->ij", [2], [3]), ("ij,ij->ij", [2, 3], [2, 3]),
        ("bij,bjk->bik", [2, 3, 4], [2, 4, 2]), ("bij,jk->bik", [2, 3, 4], [4, 2]), ("bhid,bhjd->bhij", [1, 2, 3, 4], [1, 2, 2, 4]),
        ("bij,bkj->kbi", [2, 3, 4], [2, 2, 4]), ("abc,cad->bd", [2, 3, 4], [4, 2, 2]), ("ijk,jil->kl", [2, 3, 2], [3, 2, 2]),
        ("ab,bc,cd->ad", [2, 3], [3, 2], [2, 4]), ("iij,jk->ik", [2, 2, 3], [3, 2]), ("ba", [2, 3]), ("abcd,de->abce", [1, 2, 2, 3], [3, 2]),
        ("...ij,...jk->...ik", [2, 1, 2, 3], [3, 3, 2]), ("i...->...", [2, 3]), ("...i,i->...", [2, 2, 3], [3]),
        ("ijk,ilm->ijl", [2, 2, 2], [2, 3, 2]), ("ij,kl->ijkl", [2, 1], [1, 2]), ("b,bij->ij", [2], [2, 2, 2]),
    ]:
        make = lambda *x: tf.einsum(equation, *x)
        grad("einsum", make, *[noise(s, seed=i) for i, s in enumerate(shapes)], equation=equation)
    for equation, *shapes in [("ij,jk->ik", [2, 3], [2, 3]), ("ij->k", [2, 3]), ("ij,jk->ik", [2, 3]), ("ijk->i", [2, 3]), ("ij->ii", [2, 2])]:
        case("einsum", lambda *x: tf.einsum(equation, *x), *[noise(s) for s in shapes], equation=equation)
    case("einsum", lambda *x: tf.einsum("ij,jk->ik", *x), noise([2, 0]), noise([0, 3]), equation="ij,jk->ik")
    for dtype in (f64, i32, i64):
        case("einsum", lambda *x: tf.einsum("ij,kj->ik", *x), noise([2, 3], dtype), noise([2, 3], dtype, 1), equation="ij,kj->ik")


if __name__ == "__main__":
    print("# Made by tests/oracle/arrays.py with TensorFlow", tf.__version__)
    slices()
    together()
    padded()
    indexed()
    made()
    matrices()
    blocks()
    contractions()
