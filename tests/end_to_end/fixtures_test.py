#!/usr/bin/env python3
"""Every fixture, served over gRPC: log-probabilities and greedy continuations equal the
golden values of the reference layers.

Tolerances: 2e-4 is what float32 weights promise (the fixtures' own noise is below 2e-5); narrower weights
round, so they stay within 1e-2 (float16), 6e-2 (bfloat16, in its own arithmetic too) and 2e-1 (int8) of the float32
values.
"""
import math

from support import safetensors
from support.server import FIXTURES, Server

NAMES = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "expected.safetensors").exists())
TOLERANCE = {("float32", "exact"): 2e-4, ("float16", "exact"): 1e-2, ("bfloat16", "exact"): 6e-2, ("int8", "exact"): 2e-1,
             ("bfloat16", "bfloat16"): 6e-2}


def log_softmax(row):
    top = max(row)
    total = top + math.log(math.fsum(math.exp(value - top) for value in row))
    return [value - total for value in row]


def largest_error(score, ids, logits, vocabulary):
    """Over the scored tokens of one text; also checks which positions were scored."""
    assert score["ids"] == list(ids)
    assert score["logprobs"][0] is None and score["greedy"][0] is None
    worst = 0.0
    for position in range(1, len(ids)):
        row = log_softmax(logits[(position - 1) * vocabulary:position * vocabulary])
        worst = max(worst, abs(score["logprobs"][position] - row[ids[position]]))
    return worst


def golden_prompts(name):
    """What the fixture expects, and its prompts."""
    golden = safetensors.read(FIXTURES / name / "expected.safetensors")
    return golden, [list(golden[f"case{i}.input_ids"][1]) for i in range(4)]


def worst_error(server, name, model):
    """Of the scores that the server's model has for the fixture's prompts."""
    golden, prompts = golden_prompts(name)
    scores = server.batch("score", [{"ids": ids} for ids in prompts], "--model", model)
    worst = 0.0
    for i, ids in enumerate(prompts):
        shape, logits = golden[f"case{i}.logits"]
        worst = max(worst, largest_error(scores[i], ids, logits, shape[1]))
    return worst


def check(server, name, dtype, arithmetic):
    worst = worst_error(server, name, name)
    same = 0
    if dtype == "float32":
        golden, prompts = golden_prompts(name)
        asked = [{"ids": ids, "max_new_tokens": 24, "ignore_eos": True} for ids in prompts]
        answers = server.batch("generate", asked, "--model", name)
        for i, answer in enumerate(answers):
            greedy = list(golden[f"case{i}.greedy"][1])
            assert answer["ids"] == greedy, f"{name} case {i}: {answer['ids']} is not {greedy}"
            assert answer["finish_reason"] == "LENGTH"
            same += 1
    print(f"{dtype:9} {arithmetic:9} {name:33} largest error {worst:.2e}; {same} greedy continuations equal")
    # Two cores with as few as 8 weights for a scale.
    tolerance = 3e-1 if (name, dtype) == ("opt-einsum-btt1", "int8") else TOLERANCE[dtype, arithmetic]
    assert worst <= tolerance, f"{name}: {worst} is above {tolerance}"


def main():
    assert len(NAMES) == 36, NAMES
    # The comparison must be able to fail.
    assert largest_error({"ids": [0, 1], "logprobs": [None, -0.5], "greedy": [None, True]},
                         [0, 1], [0.0, 0.0], 2) > 0.19
    for dtype, arithmetic in TOLERANCE:
        with Server({name: FIXTURES / name for name in NAMES}, f"--weight_dtype={dtype}", f"--arithmetic={arithmetic}",
                    f"--kv_cache_bytes={64 << 20}") as server:
            for name in NAMES:
                # With narrower weights a row may choose other blocks or experts, and compute something else.
                if dtype == "float32" or "moe" not in name and "dynamic" not in name:
                    check(server, name, dtype, arithmetic)


if __name__ == "__main__":
    main()
