"""How every program of this folder measures, and the numbers that they all start from.

A workload is a function that builds everything and returns a step: a function without arguments that does one unit of
work and returns a number of the result, once that is on the host. `serve` measures those named on the command line as
`dormouse-bench` does, and prints the same JSON lines.
"""
import json
import math
import os
import sys
import time

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
BLOCKS = 7
BLOCK_SECONDS = 0.25


class Numbers:
    """SplitMix64 and what is made of it, the same numbers as those of `crates/dormouse-bench/src/data.rs`."""

    def __init__(self, seed):
        with np.errstate(over="ignore"):
            self.state = np.uint64(seed) * GOLDEN

    def _peek(self, count):
        """The next so many words, and the state after each."""
        with np.errstate(over="ignore"):
            states = self.state + GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
            z = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            return z ^ (z >> np.uint64(31)), states

    def _words(self, count):
        words, states = self._peek(count)
        if count:
            self.state = states[-1]
        return words

    @staticmethod
    def _unit(words):
        return (words >> np.uint64(11)).astype(np.float64) / float(1 << 53)

    @classmethod
    def _gauss(cls, words):
        units = cls._unit(words)
        return np.sqrt(-2.0 * np.log(1.0 - units[0::2])) * np.cos(math.tau * units[1::2])

    def uniform(self, shape, low=0.0, high=1.0):
        low, high = np.float32(low), np.float32(high)
        drawn = self._unit(self._words(math.prod(shape))).astype(np.float32)
        return (low + (high - low) * drawn).reshape(shape)

    def normal(self, shape, deviation):
        drawn = self._gauss(self._words(2 * math.prod(shape))).astype(np.float32)
        return (np.float32(deviation) * drawn).reshape(shape)

    def truncated_normal(self, shape, deviation):
        """Normal, without those beyond two deviations; a number left out has used up two words as well."""
        count = math.prod(shape)
        words, states = self._peek(2 * (count + count // 8 + 64))
        drawn = self._gauss(words)
        kept = np.flatnonzero(np.abs(drawn) < 2.0)[:count]
        assert len(kept) == count, "too few numbers were drawn ahead"
        self.state = states[2 * kept[-1] + 1]
        return (np.float32(deviation) * drawn[kept].astype(np.float32)).reshape(shape)

    def integers(self, shape, end):
        return (self._words(math.prod(shape)) % np.uint64(end)).astype(np.int32).reshape(shape)


def seconds(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def measure(system, name, step):
    """Two steps to warm up, one timed, half a block more, then the median of 7 blocks of about a quarter of a second."""
    seconds(step, 2)
    inner = max(1, int(BLOCK_SECONDS / max(seconds(step, 1), 1e-7)))
    seconds(step, max(1, inner // 2))
    nanos = sorted(seconds(step, inner) / inner * 1e9 for _ in range(BLOCKS))
    median, least, most = (round(nanos[i], 1) for i in (BLOCKS // 2, 0, -1))
    line = dict(system=system, workload=name, ns_per_step=median, min=least, max=most, inner=inner, reps=BLOCKS)
    print(json.dumps(line), flush=True)


def serve(system, workloads):
    """Measures the workloads that the command line names, or all. `CHECK=1` prints what their first three steps give."""
    names = sys.argv[1:] or list(workloads)
    unknown = [name for name in names if name not in workloads]
    if unknown:
        sys.exit(f"{system}: no workload {unknown[0]}; there are {', '.join(workloads)}")
    for name in names:
        step = workloads[name]()
        if os.environ.get("CHECK"):
            print(f"{name}: {[float(step()) for _ in range(3)]}", file=sys.stderr, flush=True)
        measure(system, name, step)
