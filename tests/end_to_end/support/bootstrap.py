"""The bootstrap of client/statistics.h in plain Python, from its definition."""
import math


def philox(counter, key):
    counter, key = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & 0xFFFFFFFF, a >> 32 ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def drawn(trials, hits, count, u):
    """The smallest number whose cumulative binomial probability is above u."""
    taken, below = 0, (1 - hits / count)**trials
    while below <= u and taken < trials:
        taken += 1
        below += math.comb(trials, taken) * (hits / count)**taken * (1 - hits / count)**(trials - taken)
    return taken


def bootstrap(strata, draws=10_000):
    """strata: (scores, weight)"""
    means = []
    for draw in range(draws):
        total = 0.0
        for r, (scores, weight) in enumerate(strata):
            open_, count, mean = len(scores), len(scores), 0.0
            for stage, score in enumerate(sorted(set(scores))):
                words = philox((stage // 2, r, draw, 0), (0, 0))[stage % 2 * 2:]
                taken = drawn(open_, scores.count(score), count, ((words[0] << 32 | words[1]) >> 11) / 2**53)
                open_, count, mean = open_ - taken, count - scores.count(score), mean + score * taken / len(scores)
            total += weight * mean
        means.append(total)
    means.sort()
    return means[draws // 40], means[draws - 1 - draws // 40]
