"""Writes what element-wise functions are, rounded correctly, and how far TensorFlow's are from that: the golden numbers of
tests/ops/accuracy.rs.

    pip install mpmath                  # beside tensorflow-cpu
    python tests/oracle/accuracy.py > tests/fixtures/accuracy.txt

A line is a function of f64: its name; the largest errors of TensorFlow's in f32 and f64, in units of the last place of the correctly
rounded result, without denormal numbers; the exponents between which arguments are dense; arguments beside the drawn ones
(`samples`); and after a colon the results, all in the bits of f64, of several equal ones `n*x`. Of a function of two or three numbers
all arguments are told. The line after it holds the results of f32, in its bits: of drawn arguments (`samples32`) and those beside them,
or of all told ones, rounded to f32.
"""

import itertools
import os
import struct

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import mpmath
import numpy as np
import tensorflow as tf2

import tensorflow.compat.v1 as tf
from mpmath import mp, mpf

mp.prec = 240
inf, nan = mpf("inf"), mpf("nan")
DENSE, SPARSE = 12, 16


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def number(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


def samples(low, high):
    state, all = 0x9E3779B97F4A7C15, []
    for e in range(-1074, 1024):
        for _ in range(DENSE if low <= e <= high else e % SPARSE == 0):
            state ^= state << 13 & (1 << 64) - 1
            state ^= state >> 7
            state ^= state << 17 & (1 << 64) - 1
            sign, rest = state >> 63, state & (1 << 52) - 1
            if e >= -1022:
                b = e + 1023 << 52 | rest
            else:
                k = -1022 - e
                b = 1 << 52 - k | rest >> k & (1 << 52 - k) - 1
            all.append(number(sign << 63 | b))
    return all


def samples32(low, high):
    state, all = 0xD1B54A32D192ED03, []
    for e in range(-149, 128):
        for _ in range(6 if low <= e <= high else e % 4 == 0):
            state ^= state << 13 & (1 << 64) - 1
            state ^= state >> 7
            state ^= state << 17 & (1 << 64) - 1
            sign, rest = state >> 63, state & (1 << 23) - 1
            if e >= -126:
                b = e + 127 << 23 | rest
            else:
                k = -126 - e
                b = 1 << 23 - k | rest >> k & (1 << 23 - k) - 1
            all.append(float(np.array(sign << 31 | b, np.uint32).view(np.float32)))
    return all


def rounded(y, digits=53, least=-1074):
    """The nearest float, halves to even; of f32 too."""
    if mpmath.isnan(y):
        return float("nan")
    if mpmath.isinf(y) or y == 0:
        return float(y)
    sign, man, exp, bc = y._mpf_
    unit = max(exp + bc - digits, least)
    whole = int(mpmath.nint(mpmath.ldexp(abs(y), -unit)))
    most = mpf(2) ** (1024 if digits == 53 else 128)
    value = mpmath.ldexp(mpf(whole), unit)
    value = float("inf") if value >= most else float(value)
    return -value if sign else value


def steps(a, b, kind):
    """Floats between two."""
    if np.isnan(a) or np.isnan(b):
        return 0 if np.isnan(a) and np.isnan(b) else float("inf")
    def place(x):
        n = int(np.array(abs(x), kind).view({"f4": np.uint32, "f8": np.uint64}[kind]))
        return -n if x < 0 else n
    return abs(place(a) - place(b))


def digamma(x):
    return nan if x <= 0 and x == mpmath.floor(x) else mpmath.digamma(x)


def lgamma(x):
    if x <= 0 and x == mpmath.floor(x):
        return inf
    if x > mpf(2) ** 400:
        return x * (mpmath.log(x) - 1)
    if x < -mpf(2) ** 60:
        return inf
    return mpmath.log(abs(mpmath.gamma(x))) if abs(x) < 100 else mpmath.re(mpmath.loggamma(x))


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def softplus(x):
    return mpmath.log1p(mpmath.exp(x)) if x < 60 else x + mpmath.exp(-x)


def tail(w):
    """The y with erfc y = w, for w up to 1."""
    l = -mpmath.log(w)
    y = mpmath.sqrt(max(l - mpmath.log(mpmath.pi * l) / 2, mpf("0.04")))
    for _ in range(40):
        scaled = mpmath.erfc(y) * mpmath.exp(y * y)
        step = (y * y - mpmath.log(scaled) - l) * scaled * mpmath.sqrt(mpmath.pi) / 2
        y -= step
        if abs(step) < mpf(2) ** -200 * y:
            break
    return y


def quantile(x):
    if abs(x) == 1 or x == 0:
        return inf * x if x else x
    y = mpmath.erfinv(x) if abs(x) < 0.5 else tail(1 - abs(x)) * mpmath.sign(x)
    return y


def normal(p):
    if p in (0, 1):
        return inf if p else -inf
    return mpmath.sqrt(2) * (quantile(2 * p - 1) if abs(p - 0.5) < 0.25 else -tail(2 * p) if p < 0.5 else tail(2 * (1 - p)))


def bessel(order, scaled):
    """Of large numbers by the asymptotic series, whose terms fall until there is nothing left to add."""
    def value(x):
        a = abs(x)
        if a < 400:
            y = mpmath.besseli(order, a) * (mpmath.exp(-a) if scaled else 1)
        else:
            term, total, k = mpf(1), mpf(0), 0
            while abs(term) > mpf(2) ** -230:
                total += term
                k += 1
                term *= -(4 * order - (2 * k - 1) ** 2) / (8 * k * a)
            y = total / mpmath.sqrt(2 * mpmath.pi * a) * (1 if scaled else inf if a > 1e5 else mpmath.exp(a))
        return -y if order and x < 0 else y
    return value


def incomplete(a, x):
    """P(a, x), 1 - P(a, x), the derivative of P by a, and x^(a-1) exp(-x) / gamma(a)."""
    with mpmath.workprec(3000):
        density = mpmath.exp((a - 1) * mpmath.log(x) - x - mpmath.loggamma(a))
        term = density * x / a
        p, slope, harmonic, n = mpf(0), mpf(0), mpf(0), 0
        base = mpmath.log(x) - mpmath.digamma(a + 1)
        while True:
            p += term
            slope += term * (base - harmonic)
            n += 1
            term *= x / (a + n)
            harmonic += 1 / (a + n)
            if n > x and term * 1000 * (1 + abs(base) + harmonic) < mpf(2) ** -2900 * p:
                return p, 1 - p, slope, density


def random_gamma_grad(a, x):
    p, q, slope, density = incomplete(a, x)
    return -slope / density


def betainc(a, b, x):
    with mpmath.workprec(3000):
        return mpmath.betainc(a, b, 0, x, regularized=True)


def guarded(f, inside):
    return lambda x: f(x) if inside(x) else nan


def near(*points):
    """Points and their neighbors."""
    return [n for p in points for n in (np.nextafter(p, -np.inf), p, np.nextafter(p, np.inf))]


ONES = [1 + s * 2.0**-k for k in (4, 9, 15, 22, 30, 41, 50) for s in (1, -1)]
TURNS = [k * np.pi / 2 for k in (1, 2, 3, 4, 7, 11, 100, 12345, 2**20, 2**31)] + [6381956970095103 * 2.0**797]
MP_SELU = mpf("1.050700987355480493419334985294"), mpf("1.758099340847376859940217520815")
always = lambda x: True
exp = lambda x: mpmath.exp(x) if abs(x) < 1e5 else (inf if x > 0 else mpf(0))
big = lambda f: lambda x: f(x) if abs(x) < 1e5 else f(mpf(1e5) * mpmath.sign(x))
# name: (function, TensorFlow's, dense exponents, further arguments, value at ∞, at −∞)
FUNCTIONS = {
    "neg": (lambda x: -x, tf.negative, (-2, 2), [], -inf, inf),
    "abs": (abs, tf.abs, (-2, 2), [], inf, inf),
    "sign": (mpmath.sign, tf.sign, (-2, 2), [], 1, -1),
    "square": (lambda x: x * x, tf.square, (-30, 30), [], inf, inf),
    "sqrt": (guarded(mpmath.sqrt, lambda x: x >= 0), tf.sqrt, (-20, 20), [], inf, nan),
    "rsqrt": (guarded(lambda x: 1 / mpmath.sqrt(x) if x else inf, lambda x: x >= 0), tf.rsqrt, (-20, 20), [], 0, nan),
    "reciprocal": (lambda x: 1 / x, tf.reciprocal, (-20, 20), [], 0, 0),
    "exp": (exp, tf.exp, (-20, 9), near(709.78, -708.4, -745.1), inf, 0),
    "expm1": (lambda x: exp(x) - 1 if abs(x) > 1e-3 else mpmath.expm1(x), tf.math.expm1, (-40, 9), [], inf, -1),
    "log": (guarded(lambda x: mpmath.log(x) if x else -inf, lambda x: x >= 0), tf.log, (-30, 30), ONES, inf, nan),
    "log1p": (guarded(lambda x: mpmath.log1p(x) if x > -1 else -inf, lambda x: x >= -1), tf.log1p, (-40, 30), ONES, inf, nan),
    "sin": (mpmath.sin, tf.sin, (-30, 40), TURNS, nan, nan),
    "cos": (mpmath.cos, tf.cos, (-30, 40), TURNS, nan, nan),
    "tan": (mpmath.tan, tf.tan, (-30, 40), TURNS, nan, nan),
    "tanh": (mpmath.tanh, tf.tanh, (-30, 6), near(22.0), 1, -1),
    "sigmoid": (big(sigmoid), tf.sigmoid, (-30, 9), near(-708.0, 36.7), 1, 0),
    "softplus": (lambda x: softplus(x) if x > -1e5 else mpf(0), tf.nn.softplus, (-30, 9), near(-37.0, 37.0), inf, 0),
    "relu": (lambda x: max(x, mpf(0)), tf.nn.relu, (-2, 2), [], inf, 0),
    "elu": (lambda x: x if x > 0 else big(mpmath.expm1)(x), tf.nn.elu, (-40, 9), [], inf, -1),
    "floor": (mpmath.floor, tf.floor, (-3, 60), near(1.0, 2.0, -3.0), inf, -inf),
    "ceil": (mpmath.ceil, tf.ceil, (-3, 60), near(1.0, 2.0, -3.0), inf, -inf),
    "round": (mpmath.nint, tf.round, (-3, 60), near(0.5, 1.5, -2.5, 4503599627370495.5), inf, -inf),
    "asin": (guarded(mpmath.asin, lambda x: abs(x) <= 1), tf.asin, (-30, 0), ONES, nan, nan),
    "acos": (guarded(mpmath.acos, lambda x: abs(x) <= 1), tf.acos, (-30, 0), ONES, nan, nan),
    "atan": (mpmath.atan, tf.atan, (-30, 30), ONES, mpmath.pi / 2, -mpmath.pi / 2),
    "sinh": (lambda x: big(mpmath.sinh)(x) if abs(x) < 1e5 else inf * mpmath.sign(x), tf.sinh, (-30, 9), near(710.4), inf, -inf),
    "cosh": (lambda x: mpmath.cosh(x) if abs(x) < 1e5 else inf, tf.cosh, (-30, 9), near(710.4), inf, inf),
    "asinh": (mpmath.asinh, tf.asinh, (-30, 40), [], inf, -inf),
    "acosh": (guarded(mpmath.acosh, lambda x: x >= 1), tf.acosh, (0, 40), ONES, inf, nan),
    "atanh": (guarded(lambda x: mpmath.atanh(x) if abs(x) < 1 else inf * x, lambda x: abs(x) <= 1), tf.atanh, (-30, 0), ONES, nan, nan),
    "erf": (lambda x: mpmath.erf(x) if abs(x) < 50 else mpmath.sign(x), tf.erf, (-40, 3), near(0.84375, 1.25, 6.0), 1, -1),
    "erfc": (lambda x: mpmath.erfc(x) if abs(x) < 50 else 1 - mpmath.sign(x), tf.erfc, (-30, 5), near(0.84375, 26.5), 0, 2),
    "lgamma": (lgamma, tf.lgamma, (-30, 20), near(1.0, 2.0, 2.5, 8.0), inf, inf),
    "digamma": (digamma, tf.digamma, (-30, 20), near(1.4616321449683623, 1.0, 7.0), inf, nan),
    "erfinv": (guarded(quantile, lambda x: abs(x) <= 1), tf.math.erfinv, (-30, -1), ONES + near(0.5), nan, nan),
    "ndtri": (guarded(normal, lambda x: 0 <= x <= 1), tf.math.ndtri, (-40, -1), ONES + near(0.25, 0.5, 0.75), nan, nan),
    "softsign": (lambda x: x / (1 + abs(x)), tf.nn.softsign, (-30, 30), [], nan, nan),
    "relu6": (lambda x: min(max(x, mpf(0)), mpf(6)), tf.nn.relu6, (-2, 4), near(6.0), 6, 0),
    "selu": (lambda x: MP_SELU[0] * x if x > 0 else MP_SELU[1] * big(mpmath.expm1)(x), tf.nn.selu, (-40, 9), [], inf, -MP_SELU[1]),
    "log_sigmoid": (lambda x: -softplus(-x) if x < 1e5 else -mpf(0), tf.log_sigmoid, (-30, 9), near(37.0), 0, -inf),
    "bessel_i0": (bessel(0, 0), tf.math.bessel_i0, (-30, 9), near(8.0, 709.8, 713.9), inf, inf),
    "bessel_i0e": (bessel(0, 1), tf.math.bessel_i0e, (-30, 20), near(8.0), 0, 0),
    "bessel_i1": (bessel(1, 0), tf.math.bessel_i1, (-30, 9), near(8.0, 709.8, 713.9), inf, -inf),
    "bessel_i1e": (bessel(1, 1), tf.math.bessel_i1e, (-30, 20), near(8.0), 0, 0),
    "swish": (lambda x: x * big(sigmoid)(x) if x > -1e5 else mpf(0), tf.nn.swish, (-30, 9), [], inf, nan),
    "gelu": (lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2 if abs(x) < 50 else max(x, mpf(0)), tf2.nn.gelu, (-30, 4), [], inf, nan),
}
EDGES = [0.0, 1.0, 0.5, 2.0, 3.0, 1.5, 10.0, 1e-300, 1e300, 2.2250738585072014e-308, 1.7976931348623157e308, 5e-324]


def pairs(name):
    generator = np.random.RandomState(11)
    draw = lambda low, high: float(generator.choice([-1, 1]) * 2.0 ** generator.uniform(low, high))
    if name == "pow":
        for _ in range(700):
            x = abs(draw(-1070, 1023)) if generator.rand() < 0.5 else abs(draw(-3, 3))
            y = generator.uniform(-740, 709) / abs(np.log(x)) if x != 1 else 1.0
            yield x, float(y)
        for _ in range(100):
            yield 1 + draw(-52, -3), draw(3, 50) if generator.rand() < 0.3 else draw(1, 12)
        for x in (-2.0, -0.3, -7.25):
            for y in (2.0, 3.0, -3.0, 0.5, 101.0):
                yield x, y
    elif name == "atan2":
        for _ in range(500):
            y = draw(-1060, 1023) if generator.rand() < 0.3 else draw(-3, 3)
            yield y, y * draw(-50, 50) if abs(y) < 1e290 else draw(-3, 3)
    elif name == "zeta":
        for _ in range(300):
            yield float(generator.uniform(1.01, 40)), abs(draw(-8, 10))
        # Between the poles, where only whole s have real values; TensorFlow takes as many steps as q is long.
        for _ in range(100):
            yield float(generator.randint(2, 12)), -float(generator.uniform(0, 4 if generator.rand() < 0.5 else 300))
    elif name == "polygamma":
        for _ in range(300):
            yield float(generator.randint(0, 12)), abs(draw(-8, 8))
        for _ in range(100):
            yield float(generator.randint(0, 12)), -float(generator.uniform(0, 4 if generator.rand() < 0.5 else 300))
    elif name == "betainc":
        for _ in range(120):
            yield abs(draw(-8, 7)), abs(draw(-8, 7)), float(generator.rand())
    else:
        # The normal range of the distribution, and beyond.
        for _ in range(60):
            yield abs(draw(-12, 4)), abs(draw(-12, 5))
        for _ in range(60):
            a = abs(draw(0, 9))
            yield a, float(a * np.exp(generator.normal() / np.sqrt(a)))


def power(x, y):
    if x < 0:
        return nan if y != mpmath.floor(y) else (-1) ** int(y) * mpmath.power(-x, y)
    e = y * mpmath.log(x)
    return inf if e > 800 else mpf(0) if e < -800 else mpmath.exp(e)


def zeta(s, q):
    # The result is far below 1.
    with mpmath.workprec(1500):
        return mpmath.zeta(s, q)


SEVERAL = {
    "pow": (power, tf.pow), "atan2": (mpmath.atan2, tf.atan2), "zeta": (zeta, tf.zeta),
    "polygamma": (lambda n, x: mpmath.polygamma(int(n), x), tf.polygamma),
    "igamma": (lambda a, x: incomplete(a, x)[0], tf.igamma), "igammac": (lambda a, x: incomplete(a, x)[1], tf.igammac),
    "igamma_grad_a": (lambda a, x: incomplete(a, x)[2], lambda a, x: tf.raw_ops.IgammaGradA(a=a, x=x)),
    "random_gamma_grad": (random_gamma_grad, lambda a, x: tf.raw_ops.RandomGammaGrad(alpha=a, sample=x)),
    "betainc": (betainc, tf.betainc),
}


def tensorflow(f, *x):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(f(*[tf.constant(v) for v in x]))


def theirs(f, exact, arguments, kind):
    """The largest error of TensorFlow's where neither arguments nor results are denormal or out of range."""
    digits, least, tiny, most = (53, -1074, 2.3e-308, 1.7e308) if kind == "f8" else (24, -149, 1.2e-38, 3.4e38)
    columns = [np.array(c) for c in zip(*arguments)]
    with np.errstate(over="ignore", under="ignore"):
        columns = [c.astype(kind) for c in columns]
    fine = np.all([np.isfinite(c) & ((c == 0) | (abs(c) > tiny)) for c in columns], axis=0)
    columns = [c[fine] for c in columns]
    got = tensorflow(f, *columns)
    worst = 0
    for row, y in zip(zip(*columns), got):
        want = rounded(mpf(exact(*[float(v) for v in row])), digits, least)
        if want != 0 and not tiny < abs(want) < most:
            continue
        worst = max(worst, steps(float(y), want, kind))
    return worst


def bits32(x):
    return int(np.array(x, np.float32).view(np.uint32))


def packed(results, bits=bits):
    words = []
    for word, run in itertools.groupby(f"{bits(r):x}" for r in results):
        n = len(list(run))
        words += [f"{n}*{word}"] if n > 1 else [word]
    return " ".join(words)


def main():
    print("# Made by tests/oracle/accuracy.py with TensorFlow", tf.__version__, "and mpmath", mpmath.__version__)
    for name, (f, tensorflows, (low, high), more, at_inf, at_minus) in FUNCTIONS.items():
        further = [s * e for e in EDGES for s in (1, -1)] + [float(m) for m in more] + [-float(m) for m in more]

        def exact(x):
            if np.isnan(x):
                return nan
            if np.isinf(x):
                return mpf(at_inf if x > 0 else at_minus)
            if x == 0 and name in ("reciprocal", "rsqrt"):
                return -inf if np.signbit(x) else inf
            return f(mpf(x))

        edges = [float("inf"), float("-inf"), float("nan")]

        def all_of(arguments, *precision):
            results = []
            for x in arguments:
                y = rounded(mpf(exact(x)), *precision)
                # The sign of a zero is the argument's where it is the argument that is zero, or as the function is odd.
                if y == 0 and name in ODD:
                    y = float(np.copysign(0.0, x if name != "neg" else -x))
                results.append(y)
            return results

        arguments = samples(low, high) + further + edges
        told = [theirs(tensorflows, lambda x: exact(x), [(x,) for x in arguments], kind) for kind in ("f4", "f8")]
        print(name, *told, low, high, *[f"{bits(x):x}" for x in further], ":", packed(all_of(arguments)), flush=True)
        with np.errstate(over="ignore"):
            narrow = samples32(low, high) + [float(np.float32(x)) for x in further] + edges
        print(name, "f32 :", packed(all_of(narrow, 24, -149), bits32), flush=True)
    for name, (f, tensorflows) in SEVERAL.items():
        arguments = list(pairs(name))
        exact = lambda *x: f(*[mpf(v) for v in x])
        results = [rounded(mpf(exact(*x))) for x in arguments]
        told = [theirs(tensorflows, exact, arguments, kind) for kind in ("f4", "f8")]
        print(name, *told, *[f"{bits(v):x}" for x in arguments for v in x], ":", packed(results), flush=True)
        with np.errstate(over="ignore", under="ignore"):
            narrow = [[float(np.float32(v)) for v in x] for x in arguments]
        results = [rounded(mpf(special(name, f, x)), 24, -149) for x in narrow]
        print(name, "f32 :", packed(results, bits32), flush=True)


def special(name, f, x):
    """Arguments that are zero or infinite in f32, as C's functions have them; all others exactly."""
    if all(np.isfinite(v) and v != 0 for v in x):
        return f(*[mpf(v) for v in x])
    with np.errstate(all="ignore"):
        if name == "polygamma":
            return f(*[mpf(v) for v in x])
        return {"pow": np.power, "atan2": np.arctan2}[name](*[np.float64(v) for v in x])


ODD = {"neg", "sign", "expm1", "log1p", "sin", "tan", "tanh", "elu", "floor", "ceil", "round", "asin", "atan", "sinh", "asinh", "atanh", "erf",
       "softsign", "selu", "sqrt", "erfinv", "reciprocal", "swish", "gelu", "bessel_i1", "bessel_i1e"}

if __name__ == "__main__":
    main()
