#!/usr/bin/env python3
"""A command, not a test of every run: what narrower weights and KV caches change on the demonstration
model. All of BLiMP is scored for each; log-probabilities of tokens are compared on 2,000 of its sentences.

Usage: precision_check.py BLIMP [--against=FLAG] [FLAG …]   (a folder or tar.gz of BLiMP's files; flags of
dyad-server, each alone, to compare with weights of float32, or with what --against says)
"""
import argparse
import json
import pathlib
import random
import tempfile

from support.server import DEMO, Server

FLAGS = ("--weight_dtype=bfloat16", "--weight_dtype=int8", "--kv_dtype=bfloat16", "--kv_dtype=int8")


def pairs(server, blimp, folder):
    output = pathlib.Path(folder, "pairs.jsonl")
    server.ctl("blimp", str(blimp), "--convention", "LM_EVAL", "--output", str(output))
    return {(row["UID"], str(row["pairID"])): row for row in map(json.loads, output.open()) if "dyad_run" not in row}


def accuracy(rows):
    by_paradigm = {}
    for (uid, _), row in rows.items():
        by_paradigm.setdefault(uid, []).append(row["good_sum"] >= row["bad_sum"])
    return 100 * sum(sum(right) / len(right) for right in by_paradigm.values()) / len(by_paradigm)


def logprobs(server, lines):
    return [score["logprobs"][1:] for score in server.batch("score", lines)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("blimp")
    parser.add_argument("--against", default="--weight_dtype=float32")
    options, flags_to_try = parser.parse_known_args()
    lines = None
    for flag in ("", *(flags_to_try or FLAGS)):
        flags = [options.against, *([flag] if flag else [])]
        with tempfile.TemporaryDirectory() as folder, Server({"demo": DEMO}, *flags) as server:
            rows = pairs(server, options.blimp, folder)
            if lines is None:
                some = random.Random(1).sample(sorted(rows), min(2000, len(rows)))
                lines = [{"text": rows[key]["sentence_good"]} for key in some]
            tokens = logprobs(server, lines)
        if not flag:
            before, expected = rows, tokens
            print(f"{options.against}: BLiMP {accuracy(rows):.3f} %", flush=True)
            continue
        errors = [abs(a - b) for row, other in zip(tokens, expected) for a, b in zip(row, other)]
        moved = [abs(rows[key][s] - before[key][s]) for key in rows for s in ("good_sum", "bad_sum")]
        flips = sum((row["good_sum"] >= row["bad_sum"]) != (before[key]["good_sum"] >= before[key]["bad_sum"])
                    for key, row in rows.items())
        print(f"{flag}: {len(errors)} tokens, error of a logprob mean {sum(errors) / len(errors):.2e}, largest "
              f"{max(errors):.2e}; error of a sentence's sum mean {sum(moved) / len(moved):.2e}, largest "
              f"{max(moved):.2e}; BLiMP {accuracy(rows):.3f} %, {flips} of {len(rows)} decisions differ", flush=True)


if __name__ == "__main__":
    main()
