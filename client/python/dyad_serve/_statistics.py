"""Intervals and tests of docs/linguists.md, with dyadctl's random numbers: the same intervals bit for bit."""
from __future__ import annotations

import bisect
import collections
import functools
import itertools
import struct
from collections.abc import Sequence

DRAWS = 10_000
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_LOW = (1 << 32) - 1

# Of a binomial, smaller weights than this beside the likeliest number's are none: finer than a uniform number is.
_LEAST_WEIGHT = 2.0**-60


class _Uniforms:
    """A number from 0, less than 1, for each draw: Philox4x32-10 of all draws at once, in an int that has a 32-bit word
    of each in a lane of 64 bits, where the product of two words has room."""

    def __init__(self) -> None:
        self._each = sum(1 << 64 * draw for draw in range(DRAWS))  # 1 in each lane
        self._low = _LOW * self._each
        self._draws = sum(draw << 64 * draw for draw in range(DRAWS))
        self._keys = [tuple((step * i & _LOW) * self._each for step in _KEY_STEPS) for i in range(10)]

    def of(self, stage: int, stratum: int) -> list[float]:
        low = self._low
        a, b, c, d = stage // 2 * self._each, stratum * self._each, self._draws, 0
        for first, second in self._keys:
            product, other = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
            a, b = other >> 32 & low ^ b ^ first, other & low
            c, d = product >> 32 & low ^ d ^ second, product & low
        high, rest = (c, d) if stage % 2 else (a, b)
        words = (high << 32 | rest).to_bytes(8 * DRAWS, "little")
        return [(word >> 11) * 2.0**-53 for word in struct.unpack(f"<{DRAWS}Q", words)]


class _Binomial:
    """How many of `trials` drawn items are of the `hits` ones among `count`; 0 < hits < count."""

    def __init__(self, trials: int, hits: int, count: int) -> None:
        misses, mode = count - hits, (trials + 1) * hits // count
        below, above = [], [1.0]  # weights, of the mode 1
        weight, k = 1.0, mode
        while k > 0 and weight >= _LEAST_WEIGHT:
            weight = weight * float(k * misses) / float((trials - k + 1) * hits)
            below.append(weight)
            k -= 1
        self._first, weight, k = k, 1.0, mode
        while k < trials and weight >= _LEAST_WEIGHT:
            weight = weight * float((trials - k) * hits) / float((k + 1) * misses)
            above.append(weight)
            k += 1
        self._below_or_here = list(itertools.accumulate([*reversed(below), *above]))

    def at(self, uniform: float) -> int:
        return self._first + bisect.bisect_right(self._below_or_here, uniform * self._below_or_here[-1])


class Bootstrap:
    """Draws as client/statistics.h defines them."""

    def __init__(self) -> None:
        self._uniforms = functools.lru_cache(maxsize=4)(_Uniforms().of)  # each row by itself is stratum 0

    def interval(self, strata: Sequence[tuple[Sequence[float], float]]) -> tuple[float, float]:
        """The 95 % interval of Σ weight · mean over strata of (scores, weight); each has a score or more."""
        means = [0.0] * DRAWS
        for number, (scores, weight) in enumerate(strata):
            means = [mean + weight * drawn for mean, drawn in zip(means, self.means(scores, number))]
        means.sort()
        return means[DRAWS // 40], means[DRAWS - 1 - DRAWS // 40]

    def means(self, scores: Sequence[float], stratum: int) -> list[float]:
        """Of each draw the mean of the items that it takes."""
        left = len(scores)
        sums, open_ = [0.0] * DRAWS, [left] * DRAWS
        for stage, (score, count) in enumerate(sorted(collections.Counter(scores).items())):
            taken = open_
            if count < left:
                numbers = {trials: _Binomial(trials, count, left) for trials in set(open_)}
                taken = [numbers[trials].at(uniform) for trials, uniform in zip(open_, self._uniforms(stage, stratum))]
            sums = [total + score * number for total, number in zip(sums, taken)]
            open_ = [trials - number for trials, number in zip(open_, taken)]
            left -= count
        return [total / len(scores) for total in sums]


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
