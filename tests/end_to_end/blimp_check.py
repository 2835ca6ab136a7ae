#!/usr/bin/env python3
"""A command, not a test of every run: all of BLiMP with the demonstration model, over one
ScoreMinimalPairs stream and over eight; the reference implementation's scores reproduced (they are of the
first 20 pairs of each paradigm, so for the other conventions only those are scored). The reference has no
"</s>" in front under MINICONS_MEAN, so there its ids are given.

Usage: blimp_check.py BLIMP REFERENCE   (a folder or tar.gz of BLiMP's files; reference_scores.jsonl)
"""
import json
import pathlib
import sys
import tempfile
import time

from support.server import DEMO, Server

CONVENTIONS = ("LM_EVAL", "BABYLM")


def run(server, blimp, folder, convention, streams, *flags):
    output = pathlib.Path(folder, "-".join([convention, str(streams), *flags]) + ".jsonl")
    start = time.time()
    result = server.ctl("blimp", str(blimp), "--convention", convention, "--streams", str(streams),
                        "--output", str(output), *flags)
    seconds = time.time() - start
    rows = {(row["UID"], str(row["pairID"])): row for row in map(json.loads, output.open()) if "dyad_run" not in row}
    print(f"{convention}, {streams} streams: {len(rows)} pairs in {seconds:.1f} s "
          f"({len(rows) / seconds:.0f} pairs/s)")
    return rows, result.stdout


def answers(server, command, folder, lines):
    source = pathlib.Path(folder, command + ".in")
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    printed = server.ctl(command, "--input", str(source)).stdout
    return [json.loads(line) for line in printed.splitlines()]


def means_of_ids(server, folder, rows, reference):
    """(good, bad) of each reference pair: the mean over all but the first token of the sentence's own ids."""
    pairs = [rows[expected["UID"], expected["pairID"]] for expected in reference]
    texts = [{"text": pair[key], "add_special_tokens": False} for pair in pairs for key in ("sentence_good", "sentence_bad")]
    ids = answers(server, "tokenize", folder, texts)
    scores = [score["mean"] for score in answers(server, "score", folder, [{"ids": one["ids"]} for one in ids])]
    return dict(zip(((e["UID"], e["pairID"]) for e in reference), zip(scores[::2], scores[1::2])))


def sums(rows):
    return {key: (row["good_sum"], row["bad_sum"]) for key, row in rows.items()}


def compare(scores, reference, convention):
    worst, flips = 0.0, 0
    for expected in reference:
        good, bad = expected[convention]
        found = scores[expected["UID"], expected["pairID"]]
        worst = max(worst, abs(found[0] - good), abs(found[1] - bad))
        flips += (good >= bad) != (found[0] >= found[1])
    print(f"{convention}: {len(reference)} reference pairs, largest difference {worst:.2e}, "
          f"{flips} decisions differ")
    assert worst <= 1e-3 and flips == 0


def main():
    blimp, reference_file = map(pathlib.Path, sys.argv[1:3])
    reference = [json.loads(line) for line in reference_file.open()]
    with tempfile.TemporaryDirectory() as folder, Server({"demo": DEMO}) as server:
        for convention in CONVENTIONS:
            rows, _ = run(server, blimp, folder, convention, 1, "--limit", "20")
            compare(sums(rows), reference, convention)
        compare(means_of_ids(server, folder, rows, reference), reference, "MINICONS_MEAN")
        rows, table = run(server, blimp, folder, "LM_EVAL", 1)
        assert len(rows) == 67000
        compare(sums(rows), reference, "LM_EVAL")
        print(table)
        split, _ = run(server, blimp, folder, "LM_EVAL", 8)
        different = sum(split[key] != row for key, row in rows.items())
        print(f"one stream against eight: {different} of {len(rows)} pairs differ")
        assert different == 0


if __name__ == "__main__":
    main()
