#!/usr/bin/env python3
"""Scores have the same bits alone and under load.

Alone: one thread, one request at a time, no prefix cache. Under load: two threads, many requests at once
beside generation streams that come and go, with the prefix cache on or off, step budgets from small to large and so
little KV memory that sequences are preempted. dyadctl prints floats so that they read back exactly.

Option: --sentences N (default 2000).
"""
import argparse
import random

from support.server import DEMO, Server
from support.traffic import Streams, sentence

PAGE_BYTES = 16 * 2 * 6 * 256 * 4  # of the demonstration model: tokens, K and V, layers, hidden, float32

LOADS = [
    ("large budget, cache on", ["--threads=2", "--max_batch_tokens=512", "--prefix_cache=on"]),
    ("budget of 37 tokens, cache off", ["--threads=2", "--max_batch_tokens=37", "--prefix_cache=off"]),
    ("24 pages, so preemption", ["--threads=2", "--max_batch_tokens=256", "--prefix_cache=on",
                                 f"--kv_cache_bytes={24 * PAGE_BYTES}"]),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=2000)
    count = parser.parse_args().sentences
    rng = random.Random(7)
    lines = [{"text": sentence(rng)} for _ in range(count)]
    with Server({"demo": DEMO}, "--threads=1", "--prefix_cache=off", "--kv_cache_bytes=67108864") as server:
        alone = server.batch("score", lines, "--concurrency", "1")
    assert len(alone) == count and all("sum" in row for row in alone)
    preempted = hits = 0
    for name, flags in LOADS:
        if not any("kv_cache" in flag for flag in flags):
            flags = [*flags, "--kv_cache_bytes=67108864"]
        order = list(range(count))
        rng.shuffle(order)
        with Server({"demo": DEMO}, *flags) as server, \
                Streams(server.address, 12, seed=11, max_tokens=150) as streams:
            loaded = server.batch("score", [lines[i] for i in order], "--concurrency", "48")
            streams.stop.set()
            preempted += server.metric_sum("dyad_preemptions_total")
            hits += server.metric_sum("dyad_prefix_cache_hit_tokens_total")
        different = sum(alone[i] != row for i, row in zip(order, loaded))
        print(f"{name}: {different} of {count} sentences differ; {streams.finished} streams ended, "
              f"{streams.cancelled} were cancelled beside them")
        assert different == 0
        assert not streams.errors, streams.errors[:3]
        assert streams.finished > 0
    print(f"{preempted:.0f} preemptions, {hits:.0f} tokens from the prefix cache")
    assert preempted > 0 and hits > 0, "the loads did not reach what they are for"


if __name__ == "__main__":
    main()
