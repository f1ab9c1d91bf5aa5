"""What a random graph may draw next, and how often: DRAWERS. Each adds one node, and before it what keeps its operands in
the domain."""

import itertools

import tensorflow.compat.v1 as tf

INTS, FLOATS, NUMBERS, ANY = "il", "fd", "fdil", "fdilb"
NAMES = {"f": "f32", "d": "f64", "i": "i32", "l": "i64", "b": "bool"}


def chance(g, p):
    return g.rng.random() < p


def axis(g, rank):
    """An axis, from the front or from the end."""
    return g.rng.randrange(-rank, rank)


def axes(g, x):
    """What is reduced: everything, or some axes, which may stay."""
    if x.rank == 0 or chance(g, 0.15):
        return {}
    some = g.rng.sample(range(x.rank), g.rng.randint(1, min(x.rank, 3)))
    return {"axes": [a - x.rank if chance(g, 0.3) else a for a in some], "keep": chance(g, 0.3)}


def within(g, x, low, high):
    """x, or its squashed image in (low, high)."""
    if x.size == 0 or low < x.x.min() and x.x.max() < high:
        return x
    middle, half = (low + high) / 2, (high - low) / 2
    squashed = g.one("mul", g.one("tanh", x), g.literal(x.letter, half))
    return squashed if middle == 0 else g.one("add", squashed, g.literal(x.letter, middle))


def positive(g, x, least=0.25):
    if x.size == 0 or x.x.min() > least:
        return x
    if chance(g, 0.3):
        return g.one("add", g.one("square", x), g.literal(x.letter, least))
    return g.one("add", g.one("abs", x), g.literal(x.letter, least))


def beside(g, x, letters=None, what="signed"):
    """Something of x's dtype that broadcasts with it."""

    def fits(e):
        return e.letter == x.letter and all(a == b or 1 in (a, b) for a, b in zip(e.shape[::-1], x.shape[::-1]))

    found = g.pick(x.letter, keep=fits, new=0.2)
    if found and what == "signed":
        return found
    dims = [1 if chance(g, 0.2) else n for n in x.shape[g.rng.choice([0, 0, 0, x.rank, g.rng.randint(0, x.rank)]) :]]
    if chance(g, 0.1) and x.rank < 5:
        dims = [g.extent(3), *[1] * (x.rank - len(dims)), *dims]
    return g.source(x.letter, dims, what)


def with_rank(g, letters, rank, keep=lambda e: True, what="signed"):
    return g.any(letters, [rank], keep, what)


SMOOTH = "neg abs sign square tanh sigmoid softplus relu elu sin cos atan asinh erf softsign relu6 selu log_sigmoid swish crelu".split()
STEPS = "floor ceil round is_nan is_inf is_finite ones_like zeros_like identity stop_gradient".split()
GUARDED = {
    "exp": (-4, 4), "expm1": (-4, 4), "sinh": (-4, 4), "cosh": (-4, 4), "tan": (-1.2, 1.2), "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9), "atanh": (-0.9, 0.9), "erfc": (-2, 2),
}
POSITIVE = {"sqrt": 0.25, "rsqrt": 0.25, "reciprocal": 0.25, "log": 0.25, "log1p": 0.25, "acosh": 1.25, "lgamma": 0.5, "digamma": 0.5}


def smooth(g):
    x = g.any()
    g.add(g.rng.choice(SMOOTH), x)


def gelu(g):
    g.add("gelu", g.any("f"))


def leaky(g):
    x = g.any()
    # TensorFlow's slope of f64 has the digits of f32.
    g.add("leaky_relu", x, slope=g.rng.choice([0.25, 0.125]))


def steps(g):
    g.add(g.rng.choice(STEPS), g.any())


def guarded(g):
    name = g.rng.choice(list(GUARDED))
    g.add(name, within(g, g.any(), *GUARDED[name]))


def above(g):
    name = g.rng.choice(list(POSITIVE))
    g.add(name, positive(g, g.any(), POSITIVE[name]))


def arithmetic(g):
    a = g.any()
    g.add(g.rng.choice("add add add sub sub mul mul mul maximum minimum squared_difference multiply_no_nan".split()), *in_order(g, a, beside(g, a)))


def in_order(g, a, b):
    return (b, a) if chance(g, 0.4) else (a, b)


def quotient(g):
    a = g.any()
    b = positive(g, beside(g, a), 0.5)
    name = g.rng.choice("div div div floor_div floor_mod truncate_mod xdivy div_no_nan atan2 xlogy xlog1py".split())
    g.add(name, a, b)


def power(g):
    a = within(g, positive(g, g.any(), 0.25), 0.2, 5)
    g.add("pow", a, within(g, beside(g, a), -3, 3))


def zeta(g):
    x = within(g, positive(g, g.any(), 0.5), 0.4, 12)
    g.add("zeta", g.literal(x.letter, g.rng.choice([1.5, 2.5, 4])), x)


def integers(g):
    a = g.any(INTS)
    g.add(g.rng.choice("add sub mul maximum minimum squared_difference bitwise_and bitwise_or bitwise_xor".split()), *in_order(g, a, beside(g, a)))


def integer_one(g):
    g.add(g.rng.choice("neg abs sign square invert relu identity".split()), g.any(INTS))


def integer_quotient(g):
    a = g.any(INTS)
    b = beside(g, a, what=g.rng.choice(["1..7", "-6..0"]))
    g.add(g.rng.choice("floor_div floor_mod truncate_div truncate_mod true_div".split()), a, b)


def shift(g):
    a = g.any(INTS)
    g.add(g.rng.choice(["left_shift", "right_shift"]), a, beside(g, a, what="0..9"))


def integer_power(g):
    a = g.any(INTS)
    g.add("pow", a, beside(g, a, what="0..4"))


def compare(g):
    a = g.any(NUMBERS)
    g.add(g.rng.choice("equal not_equal less less_equal greater greater_equal".split()), a, beside(g, a))


def near(g):
    a = g.any()
    b = g.pick(a.letter, keep=lambda e: e.shape == a.shape) or g.source(a.letter, a.shape)
    g.add("approximate_equal", a, b, tolerance=0.5)


def logic(g):
    a = g.any("b")
    if chance(g, 0.25):
        g.add("logical_not", a)
    else:
        g.add(g.rng.choice(["logical_and", "logical_or", "logical_xor"]), a, beside(g, a))


def select(g):
    a = g.any(ANY)
    b = beside(g, a)

    def fits(e):
        return all(m == n or 1 in (m, n) for other in (a, b) for m, n in zip(e.shape[::-1], other.shape[::-1]))

    c = g.pick("b", keep=fits)
    if c is None:
        if a.letter in NUMBERS and chance(g, 0.5):
            c = g.one(g.rng.choice(["less", "greater"]), a, b)
        else:
            c = g.source("b", a.shape)
    g.add("select", c, a, b)


def cast(g):
    x = g.any(ANY)
    to = g.rng.choice([n for n in ANY if n != x.letter])
    if to in INTS and x.letter in FLOATS:
        x = within(g, x, -1000, 1000)
    if to in FLOATS and x.letter in INTS and x.size and abs(x.x.astype(float)).max() > 2**20:
        x = g.one("floor_mod", x, g.literal(x.letter, 97))
    g.add("cast", x, to=NAMES[to])


def clip(g):
    low, high = g.rng.choice([(-1, 1), (-0.5, 2), (0.25, 0.75)])
    g.add("clip_by_value", g.any(), low=low, high=high)


def add_n(g):
    a = g.any(NUMBERS)
    more = [g.pick(a.letter, keep=lambda e: e.shape == a.shape, new=0.05) or g.source(a.letter, a.shape) for _ in range(g.rng.randint(1, 3))]
    g.add("add_n", a, *more)


def reduce(g):
    x = g.any(ranks=range(1, 6))
    name = g.rng.choice("sum sum mean mean max min prod logsumexp variance std".split())
    g.add(name, x, **axes(g, x))


def reduce_integers(g):
    x = g.any(INTS, ranks=range(1, 6))
    g.add(g.rng.choice("sum prod max min mean".split()), x, **axes(g, x))


def reduce_truths(g):
    x = g.any("b", ranks=range(1, 6))
    g.add(g.rng.choice(["any", "all"]), x, **axes(g, x))


def count(g):
    x = g.any(ANY, ranks=range(1, 6))
    g.add("count_nonzero", x, **axes(g, x)) if chance(g, 0.7) else g.add("zero_fraction", x)


def lengths(g):
    x = g.any(ranks=range(1, 6))
    name = g.rng.choice(["norm", "l2_loss", "mean_of_moments", "variance_of_moments", "l2_normalize", "clip_by_norm", "global_norm", "weighted_moments"])
    some = axes(g, x)
    if name == "norm":
        some = {**some, "axes": some["axes"][:1]} if some else some
        g.add(name, x, kind=g.rng.choice(["euclidean", "one", "infinity"]), **some)
    elif name == "clip_by_norm":
        g.add(name, x, limit=1.5)
    elif name == "global_norm":
        g.add(name, x, *[g.any(x.letter) for _ in range(g.rng.randint(0, 2))])
    elif name == "l2_loss":
        g.add(name, x)
    else:
        some = some or {"axes": [0]}
        if name == "l2_normalize":
            some.pop("keep", None)
        more = [positive(g, beside(g, x))] if name == "weighted_moments" else []
        g.add(name, x, *more, **some)


def extreme(g):
    x = g.any("fdi", ranks=range(1, 5))
    g.add(g.rng.choice(["argmax", "argmin"]), x, axis=axis(g, x.rank))


def cumulate(g):
    x = g.any("fdil", ranks=range(1, 5))
    flags = {"exclusive": chance(g, 0.5), "reverse": chance(g, 0.5)}
    name = g.rng.choice(["cumsum", "cumsum", "cumprod", "cumulative_logsumexp"])
    if name == "cumulative_logsumexp":
        if x.letter in INTS:
            name = "cumsum"
        flags["exclusive"] = False
    g.add(name, x, axis=axis(g, x.rank), **flags)


def factors(g, n, rank):
    """Extents whose product is n."""
    dims = [1] * rank
    for p in (7, 5, 3, 2):
        while n % p == 0 and n > 1:
            n //= p
            dims[g.rng.randrange(rank)] *= p
    dims[0] *= n
    return dims


def reshape(g):
    x = g.any(ANY)
    rank = g.rng.randint(1, 5)
    dims = factors(g, x.size, rank) if x.size else [0] + [g.extent(3) for _ in range(rank - 1)]
    if x.size and chance(g, 0.5):
        dims[g.rng.randrange(rank)] = -1
    g.add("reshape", x, dims=dims)


def transpose(g):
    x = g.any(ANY, ranks=range(2, 6))
    g.add("transpose", x, perm=g.rng.sample(range(x.rank), x.rank))


def ones(g):
    x = g.any(ANY, ranks=range(5))
    flat = [i for i, n in enumerate(x.shape) if n == 1]
    if flat and chance(g, 0.5):
        some = g.rng.sample(flat, g.rng.randint(1, len(flat)))
        g.add("squeeze", x, axes=[i - x.rank if chance(g, 0.3) else i for i in some])
    else:
        g.add("expand_dims", x, axis=g.rng.randint(-x.rank - 1, x.rank))


def broadcast(g):
    x = g.any(ANY, ranks=range(5))
    dims = [g.extent(4) if n == 1 else n for n in x.shape]
    dims = [g.extent(3) for _ in range(g.rng.randint(0, 5 - x.rank) if x.size < 40 else 0)] + dims
    g.add("broadcast_to", x, dims=dims)


def concat(g):
    x = g.any(ANY, ranks=range(1, 6))
    at = g.rng.randrange(x.rank)
    parts = [x]
    for _ in range(g.rng.randint(1, 3)):
        same = lambda e: all(m == n or i == at for i, (m, n) in enumerate(zip(e.shape, x.shape)))
        part = g.pick(x.letter, [x.rank], same, new=0.3)
        if part is None:
            dims = list(x.shape)
            dims[at] = g.extent(4)
            part = g.source(x.letter, dims)
        parts.append(part)
    g.add("concat", *parts, axis=at - x.rank if chance(g, 0.3) else at)


def stack(g):
    x = g.any(ANY, ranks=range(5))
    parts = [x] + [g.pick(x.letter, keep=lambda e: e.shape == x.shape) or g.source(x.letter, x.shape) for _ in range(g.rng.randint(1, 2))]
    g.add("stack", *parts, axis=g.rng.randint(-x.rank - 1, x.rank))


def unstack(g):
    x = g.any(ANY, range(1, 6), lambda e: any(1 < n <= 4 for n in e.shape))
    at = g.rng.choice([i for i, n in enumerate(x.shape) if 1 < n <= 4])
    if chance(g, 0.4):
        g.add("unstack", x, axis=at)
    elif chance(g, 0.5):
        g.add("split_many", x, parts=x.shape[at], axis=at)
    else:
        first = g.rng.randint(0, x.shape[at])
        g.add("split_sizes", x, sizes=[first, x.shape[at] - first], axis=at)


def cut(g):
    x = g.any(ANY, range(1, 6))
    begin = [g.rng.randint(0, max(n - 1, 0)) for n in x.shape]
    size = [-1 if chance(g, 0.3) else g.rng.randint(min(1, n - b), n - b) for b, n in zip(begin, x.shape)]
    g.add("slice", x, begin=begin, size=size)


def strided(g):
    x = g.any(ANY, range(1, 5))
    masks = dict(begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0)
    begin, end, strides = [], [], []
    ellipsis = False
    at = 0
    while at < x.rank and (len(begin) < 5):
        bit = 1 << len(begin)
        n = x.shape[at]
        kind = g.rng.random()
        if kind < 0.1 and not ellipsis:
            ellipsis = True
            masks["ellipsis_mask"] |= bit
            at += g.rng.randint(0, x.rank - at)
            left = x.rank - at
            begin, end, strides = begin + [0], end + [0], strides + [1]
            # What follows an ellipsis goes along the last axes.
            for n in x.shape[at:]:
                bit = 1 << len(begin)
                b = g.rng.randint(0, max(n - 1, 0))
                begin, end, strides = begin + [b], end + [g.rng.randint(b, n)], strides + [1]
            break
        if kind < 0.2 and len(begin) < 5 and x.rank < 4:
            masks["new_axis_mask"] |= bit
            begin, end, strides = begin + [0], end + [0], strides + [1]
            continue
        at += 1
        if kind < 0.35 and n:
            masks["shrink_axis_mask"] |= bit
            b = g.rng.randrange(-n, n)
            begin, end, strides = begin + [b], end + [b + 1], strides + [1]
            continue
        step = g.rng.choice([1, 1, 1, 2, 3, -1, -2])
        low, high = sorted(g.rng.sample(range(n + 1), 2)) if n else (0, 0)
        b, e = (low, high) if step > 0 else (high - 1, low - 1 if low else -n - 1)
        if chance(g, 0.25):
            masks["begin_mask"] |= bit
        if chance(g, 0.25):
            masks["end_mask"] |= bit
        begin, end, strides = begin + [b - n if chance(g, 0.2) and b >= 0 else b], end + [e], strides + [step]
    g.add("strided_slice", x, begin=begin, end=end, strides=strides, **masks)


def pad(g):
    x = g.any(ANY, range(1, 5))
    kind = g.rng.choice(["pad", "pad_reflect", "pad_symmetric"])
    most = {"pad": lambda n: 2, "pad_reflect": lambda n: min(n - 1, 2), "pad_symmetric": lambda n: min(n, 2)}[kind]
    if x.size == 0 or x.letter == "b":
        kind = "pad"
    paddings = [g.rng.randint(0, max(most(n), 0)) for n in x.shape for _ in range(2)]
    if kind == "pad":
        if x.letter == "b":
            x = g.one("cast", x, to="i32")
        value = g.rng.choice([0, 0, 1.5]) if x.letter in FLOATS else g.rng.choice([0, 3])
        g.add("pad", x, paddings=paddings, value=value)
    else:
        g.add(kind, x, paddings=paddings)


def repeat(g):
    x = g.any(ANY, range(1, 6))
    g.add("tile", x, multiples=[g.rng.choice([1, 1, 2, 3]) for _ in x.shape])


def turn(g):
    x = g.any(ANY, range(1, 6))
    some = g.rng.sample(range(x.rank), g.rng.randint(1, x.rank))
    if chance(g, 0.5):
        g.add("reverse", x, axes=some)
    else:
        g.add("roll", x, shifts=[g.rng.randint(-4, 4) for _ in some], axes=some)


def indices(g, n, dims):
    letter = g.rng.choice(INTS)
    return g.source(letter, dims, f"0..{n}", "c" if chance(g, 0.5) else "p")


def gather(g):
    x = g.any(ANY, range(1, 5), lambda e: 0 not in e.shape)
    at = axis(g, x.rank)
    g.add("gather", x, indices(g, x.shape[at], g.dims(g.rng.choice([0, 1, 1, 2]), 4)), axis=at)


def gather_by_own(g):
    """By indices that the graph itself has computed."""
    x = g.any(ANY, range(1, 5), lambda e: 0 not in e.shape)
    i = g.any(INTS, range(3))
    at = axis(g, x.rank)
    g.add("gather", x, g.one("floor_mod", i, g.literal(i.letter, x.shape[at])), axis=at)


def gather_nd(g):
    x = g.any(ANY, range(1, 5), lambda e: 0 not in e.shape)
    depth = g.rng.randint(1, x.rank)
    n = min(x.shape[:depth])
    if chance(g, 0.25) and x.rank > 1 and x.size < 60:
        i = indices(g, x.shape[1], [x.shape[0], g.extent(3)])
        g.add("batch_gather", x, i)
    elif chance(g, 0.25) and x.rank > 1:
        g.add("gather_nd_batched", x, indices(g, x.shape[1], [x.shape[0], g.extent(3), 1]), batch=1)
    else:
        g.add("gather_nd", x, indices(g, n, [*g.dims(g.rng.choice([0, 1, 2]), 3), depth]))


def scatter(g):
    x = g.any(NUMBERS, range(1, 4), lambda e: 0 not in e.shape)
    depth = g.rng.randint(1, min(x.rank, 2))
    at = indices(g, min(x.shape[:depth]), [g.extent(3), depth])
    name = g.rng.choice(["add", "sub", "update"])
    if name == "update":
        # Of several updates of one element TensorFlow's last is any.
        if len(set(map(tuple, at.x.tolist()))) < len(at.x):
            name = "add"
    updates = g.source(x.letter, [at.shape[0], *x.shape[depth:]])
    if chance(g, 0.3):
        g.add("scatter_nd", updates, at, shape=x.shape)
    else:
        g.add(f"tensor_scatter_{name}", x, at, updates)


def one_hot(g):
    x = g.pick(INTS, range(3)) or g.source(g.rng.choice(INTS), g.dims(g.rng.choice([0, 1, 2])), "-1..4")
    on, off, dtype = g.rng.choice([(1, 0, g.float), (2.5, -1, g.float), (7, 2, "i"), (1, 0, "l")])
    g.add("one_hot", x, depth=g.extent(4), axis=g.rng.randint(-1, x.rank), on=on, off=off, dtype=NAMES[dtype])


def masks(g):
    x = g.pick(INTS, range(3)) or g.source(g.rng.choice(INTS), g.dims(g.rng.choice([0, 1, 2])), "-1..6")
    g.add("sequence_mask", x, maxlen=g.extent())


def mesh(g):
    parts = [g.any(g.float, [1]) for _ in range(g.rng.randint(2, 3))]
    g.add("meshgrid", *parts, mesh=g.rng.choice(["xy", "ij"]))


def fresh(g):
    like = g.any()
    if chance(g, 0.5):
        start, step = g.rng.randint(-3, 3), g.rng.choice([1, 2, -1])
        g.add("range", like, start=start, end=start + step * g.extent(), step=step, dtype=NAMES[g.rng.choice("il" + g.float)])
    else:
        g.add("eye", like, rows=g.extent(4), columns=g.extent(4), batch=g.dims(g.rng.choice([0, 0, 1]), 3), dtype=NAMES[g.rng.choice("i" + g.float)])


def about(g):
    g.add(g.rng.choice(["shape_of", "size_of", "rank_of"]), g.any(ANY))


def diagonals(g):
    name = g.rng.choice("diag diag_part matrix_diag matrix_diag_part matrix_set_diag matrix_band_part matrix_transpose trace".split())
    if name in ("diag", "matrix_diag"):
        g.add(name, g.any(g.float, [1] if name == "diag" else range(1, 4)))
    elif name == "diag_part":
        n = g.extent(4)
        g.add(name, g.any(g.float, [2], lambda e: e.shape[0] == e.shape[1]))
    else:
        x = g.any(g.float, range(2, 5), lambda e: 0 not in e.shape)
        if name == "matrix_set_diag":
            g.add(name, x, g.source(x.letter, [*x.shape[:-2], min(x.shape[-2:])]))
        elif name == "matrix_band_part":
            g.add(name, x, lower=g.rng.randint(-1, x.shape[-2] - 1), upper=g.rng.randint(-1, x.shape[-1] - 1))
        else:
            g.add(name, x)


def blocks(g):
    kind = g.rng.choice(["space_to_depth", "depth_to_space", "space_to_batch_nd", "batch_to_space_nd"])
    if kind == "space_to_depth":
        b = g.rng.choice([2, 3])
        g.add(kind, g.source(g.float, [g.extent(2), b * g.extent(2), b * g.extent(2), g.extent(3)]), block=b)
    elif kind == "depth_to_space":
        g.add(kind, g.source(g.float, [g.extent(2), g.extent(3), g.extent(3), 4 * g.extent(2)]), block=2)
    elif kind == "space_to_batch_nd":
        x = g.any(g.float, range(3, 5), lambda e: 0 not in e.shape)
        b = g.rng.choice([2, 3])
        before = g.rng.randint(0, 2)
        g.add(kind, x, block=[b], pairs=[before, -(x.shape[1] + before) % b])
    else:
        x = g.source(g.float, [4 * g.extent(2), g.extent(3), g.extent(3), g.extent(2)])
        g.add(kind, x, block=[2, 2], pairs=[g.rng.randint(0, 1), g.rng.randint(0, 1), 0, 0])


def product(g):
    a = g.any("fdi", range(2, 5))
    ta, tb = chance(g, 0.3), chance(g, 0.3)
    k = a.shape[-2] if ta else a.shape[-1]
    at = -1 if tb else -2
    batch = a.shape[:-2]

    def fits(e):
        return e.shape[at] == k and all(m == n or 1 in (m, n) for m, n in zip(e.shape[:-2][::-1], batch[::-1]))

    b = g.pick(a.letter, range(2, 5), fits)
    if b is None:
        own = [k, g.extent()]
        lead = [1 if chance(g, 0.2) else n for n in batch] if chance(g, 0.5) else batch[len(batch):]
        b = g.source(a.letter, [*lead, *(own[::-1] if tb else own)])
    g.add("matmul", a, b, transpose_a=ta, transpose_b=tb)


EQUATIONS = ["ij,jk->ik", "ij->ji", "ij->", "ij->i", "i,j->ij", "ij,ij->ij", "bij,bjk->bik", "bij,jk->bik", "bhid,bhjd->bhij", "bij,bkj->kbi",
             "abc,cad->bd", "ab,bc,cd->ad", "ij,kl->ijkl", "b,bij->ij", "ijk,ilm->ijl", "abcd,de->abce"]


def contraction(g):
    equation = g.rng.choice(EQUATIONS)
    terms = equation.split("->")[0].split(",")
    extents = {}
    first = g.any(g.float, [len(terms[0])], lambda e: 0 not in e.shape)
    extents.update(zip(terms[0], first.shape))
    operands = [first]
    for term in terms[1:]:
        dims = [extents.setdefault(c, g.extent(4)) for c in term]
        operands.append(g.pick(first.letter, keep=lambda e: e.shape == dims) or g.source(first.letter, dims))
    g.add("einsum", *operands, equation=equation)


def tensordot(g):
    a = g.any(g.float, range(1, 4), lambda e: 0 not in e.shape)
    n = g.rng.randint(0, min(a.rank, 2))
    if chance(g, 0.5):
        g.add("tensordot", a, g.source(a.letter, [*a.shape[a.rank - n :], g.extent(3)]), inner=n)
    else:
        left = g.rng.sample(range(a.rank), max(n, 1))
        dims = [a.shape[i] for i in left] + [g.extent(3)]
        order = g.rng.sample(range(len(dims)), len(dims))
        right = [order.index(i) for i in range(len(left))]
        g.add("tensordot", a, g.source(a.letter, [dims[i] for i in order]), left=left, right=right)


def image(g, letter=None, channels=None, least=1):
    letter = letter or g.float
    fits = lambda e: 0 not in e.shape and (channels is None or e.shape[3] == channels) and min(e.shape[1:3]) >= least
    found = g.pick(letter, [4], fits)
    return found or g.source(letter, [g.extent(2), max(g.extent(), least), max(g.extent(), least), channels or g.extent(4)])


def window(g, x):
    size = [g.rng.randint(1, 3) for _ in range(2)]
    padding = g.rng.choice(["SAME", "VALID"])
    if padding == "VALID":
        size = [min(s, n) for s, n in zip(size, x.shape[1:3])]
    return size, padding


def convolution(g):
    x = image(g)
    size, padding = window(g, x)
    c = x.shape[3]
    strides = g.rng.choice([[1, 1], [1, 1], [2, 2], [1, 2]])
    kind = g.rng.choice(["conv2d"] * 4 + ["depthwise_conv2d", "separable_conv2d", "conv2d_explicit", "atrous_conv2d", "conv2d_transpose"])
    if kind in ("depthwise_conv2d", "separable_conv2d"):
        strides = [strides[0], strides[0]]
        m = g.rng.randint(1, 2)
        d = g.source(x.letter, [*size, c, m])
        more = [g.source(x.letter, [1, 1, c * m, g.extent(3)])] if kind.startswith("sep") else []
        g.add(kind, x, d, *more, strides=strides, dilations=[1, 1], padding=padding)
    elif kind == "conv2d_explicit":
        cells = [g.rng.randint(0, 2) for _ in range(4)]
        size = [min(s, n + a + b) for s, n, a, b in zip(size, x.shape[1:3], cells[::2], cells[1::2])]
        g.add(kind, x, g.source(x.letter, [*size, c, g.extent(4)]), strides=strides, dilations=[1, 1], padding=cells)
    elif kind == "atrous_conv2d":
        g.add(kind, x, g.source(x.letter, [*size, c, g.extent(4)]), rate=g.rng.choice([1, 2]), padding="SAME")
    elif kind == "conv2d_transpose":
        w = g.source(x.letter, [*size, g.extent(3), c])
        out = [n * s for n, s in zip(x.shape[1:3], strides)] if padding == "SAME" else [(n - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, size)]
        g.add(kind, x, w, size=out, strides=strides, padding=padding)
    else:
        w = g.source(x.letter, [*size, c, g.extent(4)])
        g.add(kind, x, w, strides=strides, dilations=[1, 1], padding=padding)


def further_convolution(g):
    if chance(g, 0.5):
        x = g.any(g.float, [3], lambda e: 0 not in e.shape)
        g.add("conv1d", x, g.source(x.letter, [g.rng.randint(1, 3), x.shape[2], g.extent(3)]), stride=g.rng.choice([1, 2]), padding="SAME")
    else:
        x = g.any(g.float, [5], lambda e: 0 not in e.shape)
        w = g.source(x.letter, [*[g.rng.randint(1, 2) for _ in range(3)], x.shape[4], g.extent(2)])
        g.add("conv3d", x, w, strides=g.rng.choice([[1, 1, 1], [1, 2, 1]]), padding="SAME")


def pool(g):
    kind = g.rng.choice(["max_pool", "avg_pool"])
    if chance(g, 0.25):
        x = g.any(g.float, [3], lambda e: 0 not in e.shape)
        g.add(f"{kind}1d", x, size=g.rng.randint(1, 3), stride=g.rng.choice([1, 2]), padding="SAME")
    elif chance(g, 0.2):
        # Of equals TensorFlow's gradient goes to each.
        x = g.any("f", [5], lambda e: 0 not in e.shape and len(set(e.x.ravel().tolist())) == e.size)
        g.add(f"{kind}3d", x, size=[2, 2, 1], strides=g.rng.choice([[1, 1, 1], [2, 2, 1]]), padding="SAME")
    else:
        x = image(g)
        size, padding = window(g, x)
        g.add(kind, x, size=size, strides=g.rng.choice([[1, 1], [2, 2], [2, 1]]), padding=padding)


def bias(g):
    x = g.any(g.float, range(2, 5))
    g.add("bias_add", x, g.pick(x.letter, [1], lambda e: e.shape == x.shape[-1:]) or g.source(x.letter, x.shape[-1:]))


def normalization(g):
    kind = g.rng.choice(["batch_normalization", "fused_batch_norm", "layer_norm", "local_response_normalization"])
    x = image(g, "f") if kind in ("fused_batch_norm", "local_response_normalization") else g.any(g.float, range(2, 5), lambda e: 0 not in e.shape)
    c = x.shape[-1:]
    if kind == "batch_normalization":
        stats = [g.source(x.letter, c), positive(g, g.source(x.letter, c)), g.source(x.letter, c), g.source(x.letter, c)]
        g.add(kind, x, *stats, epsilon=0.001)
    elif kind == "fused_batch_norm":
        g.add(kind, x, g.source("f", c), g.source("f", c), epsilon=0.125)
    elif kind == "layer_norm":
        g.add(kind, x, g.source(x.letter, c), g.source(x.letter, c), axes=[-1], epsilon=0.125)
    else:
        g.add(kind, x, depth_radius=g.rng.choice([1, 2]), bias=1.5, alpha=0.5, beta=g.rng.choice([0.5, 0.75]))


def softmax(g):
    x = g.any(g.float, range(1, 5))
    g.add(g.rng.choice(["softmax", "log_softmax"]), x, axis=axis(g, x.rank))


def entropy(g):
    kind = g.rng.choice(["sparse_softmax_cross_entropy", "softmax_cross_entropy", "sigmoid_cross_entropy", "weighted_cross_entropy"])
    x = g.any(g.float, [2] if kind.startswith("soft") else range(1, 4), lambda e: 0 not in e.shape)
    if kind.startswith("sparse"):
        g.add(kind, x, indices(g, x.shape[-1], x.shape[:-1]))
    elif kind.startswith("softmax"):
        g.add(kind, x, g.source(x.letter, x.shape, "unit"))
    elif kind.startswith("weighted"):
        g.add(kind, x, g.source(x.letter, x.shape, "unit"), weight=2.5)
    else:
        g.add(kind, x, g.source(x.letter, x.shape, "unit"))


def order(g):
    kind = g.rng.choice(["top_k", "sort", "argsort", "nth_element", "in_top_k", "searchsorted"])
    x = g.any("fdi", range(1, 4), lambda e: 0 not in e.shape)
    down = chance(g, 0.5)
    if kind == "top_k":
        g.add(kind, x, k=g.rng.randint(0, x.shape[-1]))
    elif kind in ("sort", "argsort"):
        g.add(kind, x, axis=axis(g, x.rank), down=down)
    elif kind == "nth_element":
        g.add(kind, x, n=g.rng.randrange(x.shape[-1]), down=down)
    elif kind == "in_top_k":
        x = g.any("f", [2], lambda e: 0 not in e.shape)
        g.add(kind, x, g.source("i", x.shape[:1], f"0..{x.shape[1]}"), k=g.rng.randint(1, 3))
    else:
        rows = g.one("sort", x, axis=-1)
        g.add(kind, rows, g.source(x.letter, [*x.shape[:-1], g.extent()]), side=g.rng.choice(["left", "right"]))


def segment(g):
    x = g.any("fdi", range(1, 4), lambda e: 0 not in e.shape)
    name = g.rng.choice(["sum", "prod", "max", "min", "mean"])
    if chance(g, 0.5):
        ids = g.source(g.rng.choice(INTS), x.shape[:1], "sorted0..4")
        if x.letter in INTS and name == "mean":
            name = "sum"
        g.add(f"segment_{name}", x, ids, n=int(ids.x[-1]) + 1)
    else:
        if name in ("max", "min"):
            # Of no elements they are the lowest and the largest number.
            g.add(f"unsorted_segment_{name}", x, g.source("i", x.shape[:1], "0..1"), n=1)
        else:
            name = g.rng.choice([name, "sqrt_n"]) if x.letter in FLOATS else "sum"
            dims = x.shape[: g.rng.randint(1, x.rank)]
            g.add(f"unsorted_segment_{name}", x, g.source(g.rng.choice(INTS), dims, "-1..4"), n=4)


def statistics(g):
    kind = g.rng.choice(["bincount", "bincount_weighted", "histogram_fixed_width", "confusion_matrix"])
    if kind == "histogram_fixed_width":
        g.add(kind, g.any("fd", range(1, 4)), low=-2.0, high=2.0, bins=g.extent())
        return
    dims = g.dims(1)
    x = g.source("i", dims, "0..6")
    if kind == "bincount":
        g.add(kind, x, length=6)
    elif kind == "bincount_weighted":
        g.add(kind, x, g.source(g.float, dims), length=6)
    else:
        g.add(kind, g.one("floor_mod", x, g.literal("i", 3)), g.source("i", dims, "0..3"), classes=3)


def system(g):
    n = g.rng.choice([1, 2, 3, 4])
    batch = g.dims(g.rng.choice([0, 0, 1, 2]), 2)
    a = g.pick(g.float, [2, 3], lambda e: 0 not in e.shape and e.shape[-2] <= 5 and e.shape[-1] <= 6) or g.source(g.float, [*batch, n, g.rng.choice([2, 4])])
    square = g.one("matmul", a, a, transpose_b=True)
    eye = g.one("eye", square, rows=square.shape[-1], columns=square.shape[-1], batch=[], dtype=NAMES[a.letter])
    spd = g.one("add", square, eye)
    kind = g.rng.choice("cholesky cholesky matrix_inverse determinant logdet slogdet matrix_solve triangular_solve cholesky_solve".split())
    b = [g.source(a.letter, [*spd.shape[:-1], g.extent(3)])] if "solve" in kind else []
    if kind == "cholesky_solve":
        g.add(kind, g.one("cholesky", spd), *b)
    elif kind == "triangular_solve":
        g.add(kind, spd, *b, lower=chance(g, 0.5), adjoint=chance(g, 0.5))
    else:
        g.add(kind, spd, *b)


def picture(g):
    kind = g.rng.choice("resize resize crop_to_bounding_box pad_to_bounding_box central_crop resize_with_crop_or_pad rot90 flip_left_right flip_up_down "
                        "transpose_image adjust_brightness adjust_contrast adjust_saturation adjust_hue rgb_to_grayscale rgb_to_hsv hsv_to_rgb rgb_to_yuv "
                        "grayscale_to_rgb per_image_standardization total_variation image_gradients crop_and_resize".split())
    colors = kind in "adjust_saturation adjust_hue rgb_to_grayscale rgb_to_hsv hsv_to_rgb rgb_to_yuv".split()
    x = image(g, "f", 3 if colors else 1 if kind == "grayscale_to_rgb" else None, 2)
    height, width = x.shape[1:3]
    if kind == "resize":
        method = g.rng.choice(["nearest", "bilinear", "bicubic", "area"])
        places = g.rng.choice(["corner", "aligned", "centers"]) if method != "area" else "corner"
        g.add(kind, x, method=method, places=places, size=[g.extent(), g.extent()])
    elif kind == "crop_to_bounding_box":
        offset = [g.rng.randrange(height), g.rng.randrange(width)]
        g.add(kind, x, offset=offset, size=[g.rng.randint(1, height - offset[0]), g.rng.randint(1, width - offset[1])])
    elif kind == "pad_to_bounding_box":
        offset = [g.rng.randint(0, 2), g.rng.randint(0, 2)]
        g.add(kind, x, offset=offset, size=[height + offset[0] + g.rng.randint(0, 2), width + offset[1] + g.rng.randint(0, 1)])
    elif kind == "central_crop":
        g.add(kind, x, fraction=0.5)
    elif kind == "resize_with_crop_or_pad":
        g.add(kind, x, size=[g.extent(), g.extent()])
    elif kind == "rot90":
        g.add(kind, x, k=g.rng.randint(0, 3))
    elif kind in ("adjust_saturation", "adjust_hue", "rgb_to_hsv", "hsv_to_rgb"):
        x = within(g, x, 0, 1)
        given = {"adjust_saturation": {"factor": 1.5}, "adjust_hue": {"delta": 0.125}}.get(kind, {})
        g.add(kind, x, **given)
    elif kind == "adjust_brightness":
        g.add(kind, x, delta=0.25)
    elif kind == "adjust_contrast":
        g.add(kind, x, factor=1.5)
    elif kind == "crop_and_resize":
        boxes = g.source("f", [g.extent(3), 4], "unit")
        g.add(kind, x, boxes, g.source("i", boxes.shape[:1], f"0..{x.shape[0]}"), size=[g.extent(3), g.extent(3)], outside=0.5)
    else:
        g.add(kind, x)


def cross(g):
    x = g.any("fdi", range(1, 4), lambda e: e.shape[-1] == 3) if chance(g, 0.5) else g.source(g.float, [g.extent(3), 3])
    g.add("cross", x, g.source(x.letter, x.shape))


def polynomial(g):
    x = within(g, g.any(), -2, 2)
    g.add("polyval", x, *[beside(g, x) for _ in range(g.rng.randint(1, 3))])


def dynamic(g):
    """Results whose extents depend on numbers."""
    x = g.any(NUMBERS, range(1, 4), lambda e: 0 not in e.shape)
    if chance(g, 0.5):
        g.add("nonzero", g.pick("b", range(1, 4)) or g.source("b", x.shape))
    else:
        g.add("boolean_mask", x, g.source("b", x.shape[: g.rng.randint(1, x.rank)]))


def lbeta(g):
    x = g.any(g.float, range(1, 4), lambda e: 0 not in e.shape)
    g.add("lbeta", positive(g, within(g, x, -6, 6), 0.5))


def special(g):
    name = g.rng.choice(list(SPECIAL))
    g.add(name, within(g, g.any(), *SPECIAL[name]))


SPECIAL = {"bessel_i0": (-4, 4), "bessel_i0e": (-4, 4), "bessel_i1": (-4, 4), "bessel_i1e": (-4, 4), "erfinv": (-0.8, 0.8)}


def quantile(g):
    x = within(g, g.any(), -0.4, 0.4)
    g.add("ndtri", g.one("add", x, g.literal(x.letter, 0.5)))


def incomplete(g):
    a = positive(g, g.any(), 0.5)
    if chance(g, 0.3):
        x = within(g, g.any(), -0.4, 0.4)
        x = g.one("add", x, g.literal(x.letter, 0.5))
        g.add("betainc", g.literal(x.letter, g.rng.choice([0.75, 2.5])), g.literal(x.letter, g.rng.choice([0.5, 1.5])), x)
    else:
        g.add(g.rng.choice(["igamma", "igammac"]), a, positive(g, beside(g, a), 0.5))


def exponential(g):
    n = g.rng.randint(1, 3)
    x = g.any(None, [2, 3], lambda e: e.shape[-2:] == [n, n] and e.size > 0)
    g.add("matrix_exponential", within(g, x, -1, 1))


def half(g):
    x = within(g, g.any(), -8, 8)
    y = g.pick(x.letter, keep=lambda e: e.shape == x.shape) or g.source(x.letter, x.shape)
    g.add(g.rng.choice("add sub mul maximum".split()) + g.rng.choice(["_in_f16", "_in_bf16"]), x, within(g, y, -8, 8))


def truth(g):
    return g.pick("b", [0]) or g.source("b", [])


def choice(g):
    x = g.any()
    y = g.pick(x.letter, keep=lambda e: e.shape == x.shape) or g.source(x.letter, x.shape)
    if chance(g, 0.5):
        g.add("cond", truth(g), x, y)
    else:
        g.add("case", truth(g), truth(g), x, y)


DRAWERS = [
    (smooth, 8), (gelu, 0.4), (leaky, 0.5), (steps, 1.5), (guarded, 3), (above, 3), (arithmetic, 10), (quotient, 4), (power, 1), (zeta, 0.2),
    (integers, 2), (integer_one, 1), (integer_quotient, 1), (shift, 0.5), (integer_power, 0.3), (compare, 1.5), (near, 0.2), (logic, 1), (select, 2),
    (cast, 2), (clip, 0.7), (add_n, 1), (reduce, 4), (reduce_integers, 0.7), (reduce_truths, 0.5), (count, 0.4), (lengths, 1.5), (extreme, 0.7),
    (cumulate, 1.2), (reshape, 2), (transpose, 2), (ones, 1.5), (broadcast, 1), (concat, 1.5), (stack, 1), (unstack, 1), (cut, 1), (strided, 2),
    (pad, 1.5), (repeat, 1), (turn, 1), (gather, 1), (gather_by_own, 0.4), (gather_nd, 1), (scatter, 1), (one_hot, 0.7), (masks, 0.3), (mesh, 0.3),
    (fresh, 0.4), (about, 0.3), (diagonals, 1.2), (blocks, 0.6), (product, 4), (contraction, 1.2), (tensordot, 0.7), (convolution, 2),
    (further_convolution, 0.6), (pool, 1), (bias, 0.7), (normalization, 1), (softmax, 1.2), (entropy, 1), (order, 1.2), (segment, 1),
    (statistics, 0.5), (system, 1), (picture, 1.5), (cross, 0.2), (polynomial, 0.3), (dynamic, 0.3), (lbeta, 0.2),
]

# What graphs after the first 1,000 may draw besides.
NEWER = [(special, 2), (quantile, 0.5), (incomplete, 2), (exponential, 1.5), (half, 3), (choice, 5)]


def drawn(letter, dims, what, seed):
    """The draw in TensorFlow 1."""
    dtype = {"f": tf.float32, "d": tf.float64, "i": tf.int32, "l": tf.int64}[letter]
    if ".." in what:
        low, high = (int(n) for n in what.split(".."))
        return tf.random_uniform(dims, low, high, dtype, seed=seed)
    return {"uniform": tf.random_uniform, "normal": tf.random_normal, "truncated": tf.truncated_normal}[what](dims, dtype=dtype, seed=seed)


def draw(g):
    if chance(g, 0.25):
        g.draw_of(g.rng.choice("il"), g.dims(), g.rng.choice(["0..3", "-5..6", "0..1000"]))
    else:
        g.draw_of(g.float, g.dims(), g.rng.choice(["uniform", "normal", "truncated"]))


def dropped(g):
    x = g.any()
    g.add("dropout", x, rate=g.rng.choice([0.2, 0.5, 0.75]), seed=g.rng.randrange(1000))


# What graphs after those may.
NEWEST = [(draw, 12), (dropped, 4)]
