#!/usr/bin/env python3
"""Scores have the same bits alone and under load, and on every instruction set.

Alone: one thread, one request at a time, no prefix cache. Under load: two threads, many requests at once
beside generation streams that come and go, with the prefix cache on or off, step budgets from small to large and so
little KV memory that sequences are preempted. dyadctl prints floats so that they read back exactly.

The weights as stored (bfloat16) meet every load; each other type of weights or of the KV cache meets the harshest,
with a hundred sentences at most. Instruction sets are compared with float32 weights, with
int8 in integer arithmetic, with bfloat16 in its own, and with a cache of int8.

Options: --sentences N (default 2000); --weight_dtype, --kv_dtype: only this type, under every load.
"""
import argparse
import random
import re
import subprocess

from support.server import BUILD, DEMO, Server
from support.traffic import Streams, sentence

PAGE_BYTES = 16 * 2 * 6 * 256 * 4  # of the demonstration model: tokens, K and V, layers, hidden, float32
# With other keys and values; int8 has scales beside them, of float32: tokens, K and V, layers, heads.
NARROW_PAGE_BYTES = {"--kv_dtype=bfloat16": PAGE_BYTES // 2, "--kv_dtype=int8": PAGE_BYTES // 4 + 16 * 2 * 6 * 8 * 4}

PREEMPTION = ("24 pages, so preemption", ["--threads=2", "--max_batch_tokens=256", "--prefix_cache=on"], 24)
LOADS = [
    ("large budget, cache on", ["--threads=2", "--max_batch_tokens=512", "--prefix_cache=on"], 340),
    ("budget of 37 tokens, cache off", ["--threads=2", "--max_batch_tokens=37", "--prefix_cache=off"], 340),
    PREEMPTION,
]
OTHER_TYPES = [["--weight_dtype=float32"], ["--weight_dtype=float16"], ["--weight_dtype=int8"], ["--kv_dtype=bfloat16"],
               ["--kv_dtype=int8"],
               *(["--weight_dtype=int8", f"--arithmetic=integer{bits}"] for bits in (24, 16, 8)),
               ["--arithmetic=bfloat16"]]


def check_loads(types, lines, loads):
    """Returns how many preemptions there were, and how many tokens came from the prefix cache."""
    [page_bytes] = [NARROW_PAGE_BYTES[flag] for flag in types if flag in NARROW_PAGE_BYTES] or [PAGE_BYTES]
    rng = random.Random(8)
    count = len(lines)
    with Server({"demo": DEMO}, *types, "--threads=1", "--prefix_cache=off", "--kv_cache_bytes=67108864") as server:
        alone = server.batch("score", lines, "--concurrency", "1")
    assert len(alone) == count and all("sum" in row for row in alone)
    preempted = hits = 0
    for name, flags, pages in loads:
        order = list(range(count))
        rng.shuffle(order)
        with Server({"demo": DEMO}, *types, *flags, f"--kv_cache_bytes={pages * page_bytes}") as server, \
                Streams(server.address, 12, seed=11, max_tokens=150) as streams:
            loaded = server.batch("score", [lines[i] for i in order], "--concurrency", "48")
            streams.stop.set()
            preempted += server.metric_sum("dyad_preemptions_total")
            hits += server.metric_sum("dyad_prefix_cache_hit_tokens_total")
        different = sum(alone[i] != row for i, row in zip(order, loaded, strict=True))
        print(f"{' '.join([*types, name])}: {different} of {count} sentences differ; {streams.finished} streams ended, "
              f"{streams.cancelled} were cancelled beside them")
        assert different == 0
        assert not streams.errors, streams.errors[:3]
        assert streams.finished > 0
    return preempted, hits


def check_instruction_sets(flags, lines):
    refusal = subprocess.run([BUILD / "bin" / "dyad-server", f"--model=demo={DEMO}", "--check", "--cpu_isa=?"],
                             capture_output=True, text=True).stderr
    names = re.search(r"this machine runs (.*)", refusal).group(1).split(", ")
    assert "scalar" in names, refusal
    expected = None
    for name in names:
        with Server({"demo": DEMO}, *flags, f"--cpu_isa={name}", "--threads=2") as server:
            scores = server.batch("score", lines)
        assert len(scores) == len(lines) and all("sum" in row for row in scores)
        expected = expected or scores
        different = sum(a != b for a, b in zip(expected, scores, strict=True))
        print(f"{' '.join(flags)} --cpu_isa={name}: {different} of {len(lines)} sentences differ from {names[0]}")
        assert different == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--weight_dtype")
    parser.add_argument("--kv_dtype")
    options = parser.parse_args()
    rng = random.Random(7)
    texts = [sentence(rng) for _ in range(options.sentences * 3 // 4)]
    # A quarter comes twice, also with the likeliest tokens: of one stored pages know, of two they do not.
    lines = [{"text": texts[i % len(texts)], "top_n": rng.randrange(3)} for i in range(options.sentences)]
    types = [f"--{name}={getattr(options, name)}" for name in ("weight_dtype", "kv_dtype") if getattr(options, name)]
    reached = [check_loads(types, lines, LOADS)]
    if not types:
        reached += [check_loads(flags, lines[:100], [PREEMPTION]) for flags in OTHER_TYPES]
        for flags in (["--weight_dtype=float32"], ["--weight_dtype=int8", "--arithmetic=integer16"],
                      ["--arithmetic=bfloat16"], ["--kv_dtype=int8"]):
            check_instruction_sets(flags, lines[:20])
    preempted, hits = map(sum, zip(*reached))
    print(f"{preempted:.0f} preemptions, {hits:.0f} tokens from the prefix cache")
    assert preempted > 0 and hits > 0, "the loads did not reach what they are for"


if __name__ == "__main__":
    main()
