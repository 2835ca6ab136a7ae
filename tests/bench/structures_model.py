#!/usr/bin/env python3
"""OPT-125m whose linear layers have half of a dense one's parameters, beside the dense model.

  tests/bench/structures_model.py [--build=build/release] [--folder=/tmp] [--rounds=3] [--threads=2]

Makes the models (1.5 GB in a folder of its own, removed at the end) with random weights, all linear layers but the head of
one kind, and runs `dyad-bench model` on each of them and the dense one in turn. Prints a Markdown table: how many times as
fast as dense a decode step of one sequence and a prefill of 512 tokens are, whole and in their linear layers alone, medians
over the rounds; and what share of the dense step its linear layers take. The goal is 1.7. Takes about three minutes of an
idle machine.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import make_model

KINDS = (("blast", 4), ("blast", 16), ("monarch", 4), ("low_rank", 1))
STEPS = (("decode", "decode, 1 sequence"), ("prefill", "prefill of 512"))
GOAL = 1.7


def measured(program, folder, threads):
    """Of each step: seconds of all of it, and of its linear layers but the head."""
    command = [program, "model", str(folder), "--json", "--batch=1", "--context=128", "--text=512", f"--threads={threads}"]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {result["work"]: (result["seconds"],
                             result["part_seconds"]["projections"] + result["part_seconds"]["feed_forward"])
            for result in answer["results"]}


def speedup(rounds, work, part):
    value = statistics.median(dense[work][part] / ours[work][part] for dense, ours in rounds)
    return f"{value:.2f}" if value >= GOAL else f"**{value:.2f}**"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    program = os.path.join(arguments.build, "bin", "dyad-bench")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = pathlib.Path(temporary)
        make_model.make_model(folder / "dense", "opt", "125m", "dense", 1)
        head = " | ".join(f"{name}: whole | its linear layers" for _, name in STEPS)
        print(f"| layers, half the parameters | {head} |\n|---|---|---|---|---|")
        shares = []
        for kind, blocks in KINDS:
            name = f"{kind} of {blocks}" if blocks > 1 else kind
            make_model.make_model(folder / name, "opt", "125m", kind, blocks, half=True, layers="all")
            rounds = [(measured(program, folder / "dense", arguments.threads),
                       measured(program, folder / name, arguments.threads)) for _ in range(arguments.rounds)]
            cells = [speedup(rounds, work, part) for work, _ in STEPS for part in (0, 1)]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            shares += [dense for dense, _ in rounds]
            for file in (folder / name).iterdir():
                file.unlink()
        for work, name in STEPS:
            share = statistics.median(dense[work][1] / dense[work][0] for dense in shares)
            print(f"{name}: linear layers but the head take {100 * share:.0f} % of the dense step")


if __name__ == "__main__":
    main()
