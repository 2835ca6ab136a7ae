#!/usr/bin/env python3
"""A command, not a test of every run: all of BLiMP with the demonstration model, over one
ScoreMinimalPairs stream and over eight; the reference implementation's scores reproduced (they are of the
first 20 pairs of each paradigm, so for the other conventions only those are scored).

Usage: blimp_check.py BLIMP REFERENCE   (a folder or tar.gz of BLiMP's files; reference_scores.jsonl)
"""
import json
import pathlib
import sys
import tempfile
import time

from support.server import DEMO, Server

CONVENTIONS = ("LM_EVAL", "BABYLM", "MINICONS_MEAN")


def run(server, blimp, folder, convention, streams, *flags):
    output = pathlib.Path(folder, "-".join([convention, str(streams), *flags]) + ".jsonl")
    start = time.time()
    result = server.ctl("blimp", str(blimp), "--convention", convention, "--streams", str(streams),
                        "--output", str(output), *flags)
    seconds = time.time() - start
    rows = {(row["UID"], str(row["pairID"])): row for row in map(json.loads, output.open())}
    print(f"{convention}, {streams} streams: {len(rows)} pairs in {seconds:.1f} s "
          f"({len(rows) / seconds:.0f} pairs/s)")
    return rows, result.stdout


def compare(rows, reference, convention):
    worst, flips = 0.0, 0
    for expected in reference:
        row = rows[expected["UID"], expected["pairID"]]
        good, bad = expected[convention]
        kind = "mean" if convention == "MINICONS_MEAN" else "sum"
        found = (row[f"good_{kind}"], row[f"bad_{kind}"])
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
            compare(rows, reference, convention)
        rows, table = run(server, blimp, folder, "LM_EVAL", 1)
        assert len(rows) == 67000
        compare(rows, reference, "LM_EVAL")
        print(table)
        split, _ = run(server, blimp, folder, "LM_EVAL", 8)
        different = sum(split[key] != row for key, row in rows.items())
        print(f"one stream against eight: {different} of {len(rows)} pairs differ")
        assert different == 0


if __name__ == "__main__":
    main()
