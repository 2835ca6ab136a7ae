"""Intervals and tests of docs/linguists.md, with dyadctl's random numbers: the same intervals bit for bit."""
from __future__ import annotations

import math
from collections.abc import Sequence

DRAWS = 10_000
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_LOW = (1 << 32) - 1

# Philox4x32-10 of many counters at once: an int has one 32-bit word in each lane of 64 bits, and a lane has room for
# the product of two words.
_Words = tuple[int, int, int, int]


class _Random:
    """The words of up to `count` items of a stratum and draw: item k has word k mod 4 of lane k / 4."""

    def __init__(self, count: int) -> None:
        lanes = (count + 3) // 4
        self.each = sum(1 << 64 * lane for lane in range(lanes))  # 1 in each lane
        self._low = _LOW * self.each
        self._numbers = sum(lane << 64 * lane for lane in range(lanes))
        self._keys = [tuple((step * i & _LOW) * self.each for step in _KEY_STEPS) for i in range(10)]

    def words(self, stratum: int, draw: int) -> _Words:
        low = self._low
        a, b, c, d = self._numbers, stratum * self.each, draw * self.each, 0
        for first, second in self._keys:
            product, other = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
            a, b = other >> 32 & low ^ b ^ first, other & low
            c, d = product >> 32 & low ^ d ^ second, product & low
        return a, b, c, d


class _Scores:
    """Items of a stratum. Their sum over the drawn ones is that of their distinct values, each as often as it was
    drawn; it is exact, in whatever order, for scores of 0, ½ and 1 and their differences."""

    def __init__(self, scores: Sequence[float], random: _Random) -> None:
        ordered, n = sorted(scores), len(scores)
        self.count = n
        self._values = sorted(set(ordered))
        # In a lane the bit above a word: whether it is one of an item.
        self._bits = [sum(1 << 64 * (k // 4) + 32 for k in range(place, n, 4)) for place in range(4)]
        # Item number (u · n) >> 32 is below `begin` where u is below begin · 2³² / n.
        self._limits = [((1 << 32) + -(-(begin << 32) // n) - 1) * random.each
                        for begin in map(ordered.index, self._values[1:])]

    def mean(self, words: _Words) -> float:
        below = [sum((limit - word & bits).bit_count() for word, bits in zip(words, self._bits)) for limit in self._limits]
        counts = [end - begin for begin, end in zip([0, *below], [*below, self.count])]
        return math.fsum(value * count for value, count in zip(self._values, counts)) / self.count


def bootstrap_intervals(rows: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """The 95 % interval of the mean of each row, by itself; a row has an item or more."""
    random = _Random(max(map(len, rows), default=0))
    counters = [_Scores(row, random) for row in rows]
    means: list[list[float]] = [[] for _ in rows]
    for draw in range(DRAWS):
        words = random.words(0, draw)  # each row is stratum 0 of its own interval
        for counter, drawn in zip(counters, means):
            drawn.append(counter.mean(words))
    return [_ends(drawn) for drawn in means]


def stratified_interval(strata: Sequence[tuple[Sequence[float], float]]) -> tuple[float, float]:
    """The 95 % interval of Σ weight · mean over strata of (scores, weight)."""
    randoms = [_Random(len(scores)) for scores, _ in strata]
    counters = [(_Scores(scores, random), random, weight) for (scores, weight), random in zip(strata, randoms)]
    means = []
    for draw in range(DRAWS):
        mean = 0.0
        for stratum, (counter, random, weight) in enumerate(counters):
            mean += weight * counter.mean(random.words(stratum, draw))
        means.append(mean)
    return _ends(means)


def _ends(means: list[float]) -> tuple[float, float]:
    means.sort()
    tail = DRAWS // 40
    return means[tail], means[DRAWS - 1 - tail]


def mcnemar_p(b: int, c: int) -> float:
    """2 Σ_{k ≤ min(b,c)} C(b+c, k) / 2^(b+c), at most 1; in whole numbers, so right to the last bit."""
    total, term = 0, 1
    for k in range(min(b, c) + 1):
        total += term
        term = term * (b + c - k) // (k + 1)
    return min(1.0, 2 * total / (1 << b + c))


def holm_adjusted(p: Sequence[float]) -> list[float]:
    """The adjusted p of each test, in the order given."""
    adjusted, most = [0.0] * len(p), 0.0
    for place, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        most = max(most, (len(p) - place) * p[i])
        adjusted[i] = min(1.0, most)
    return adjusted
