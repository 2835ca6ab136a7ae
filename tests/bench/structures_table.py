#!/usr/bin/env python3
"""Layers of every kind beside dense ones: the table of docs/measurements.md, with its goals.

  tests/bench/structures_table.py [--build=build/release] [--only=blast] [--threads=2]

Runs `dyad-bench linear` in float32 for 768 -> 3072 and 1024 -> 4096 and prints a Markdown table: for each number of tokens
the fraction of the layer's own roof and the speed-up over our dense layer, each with its goal behind a slash. What
misses its goal by more than a point or 2 % is bold. Takes about eight minutes of an idle machine.
"""
import argparse
import json
import os
import subprocess

TOKENS = (1, 4, 16, 64, 256)
SIZES = ((768, 3072), (1024, 4096))

HALF = ((84, 80, 76, 86, 89), (1.8,) * 5)
BLAST_16 = ((83, 79, 73, 84, 87), (1.75,) * 5)
RANK_1 = ((72, 65, 53, 67, 71), (10, 9.5, 8, 9.5, 10))
RANK_4 = ((79, 75, 68, 78, 80), (2.9, 2.8, 2.7, 2.8, 2.9))
KRONECKER = (None, (25, 14, 9, 10, 10))
TRAIN = (None, (12, 4.8, 2.2, 2.2, 2.2))
WINDOWS = ((63, 60, 47, 52, 53), (2.2, 2.2, 1.75, 1.75, 1.75))
EXPERTS = ((74, 78, 78, 66, 63), (5.2, 1.8, 1.3, 3.5, 4.4))
BLOCKS = ((82, 81, 72, 75, 78), (1.6, 0.95, 1.2, 1.45, 1.5))
NO_GOAL = (None, None)


def block_trains(rank):
    """Sizes as near to each other as a factorisation lets them be."""
    return [f"matrix_params.0=48x16x{32 * rank},matrix_params.1=32x{48 * rank}x96",
            f"matrix_params.0=32x32x{64 * rank},matrix_params.1=64x{32 * rank}x64"]


EXPERTS_16 = ["btt_layer.matrix_params.0=48x16x512,btt_layer.matrix_params.1=32x768x96,moe_gate.weight=16x768",
              "btt_layer.matrix_params.0=32x32x1024,btt_layer.matrix_params.1=64x512x64,moe_gate.weight=16x1024"]

# Name, kind, arguments for each size, goals: percent of the roof and speed-up over dense.
LAYERS = [
    ("low_rank, half", "low_rank", [["--blocks=307"], ["--blocks=409"]], HALF),
    ("monarch of 4, half", "monarch", [["--tensors=blkdiag1=4x304x192,blkdiag2=4x768x304"],
                                       ["--tensors=blkdiag1=4x408x256,blkdiag2=4x1024x408"]], HALF),
    ("block_dense of 4, half", "block_dense", [["--tensors=blkdiag=4x90x192,lr=3072x360"],
                                               ["--tensors=blkdiag=4x120x256,lr=4096x480"]], HALF),
    ("blast of 4, half", "blast", [["--blocks=4"]] * 2, HALF),
    ("blast of 16, half", "blast", [["--blocks=16"]] * 2, BLAST_16),
    ("btt, rank 1", "einsum", [[f"--tensors={shapes}"] for shapes in block_trains(1)], RANK_1),
    ("btt, rank 4", "einsum", [[f"--tensors={shapes}"] for shapes in block_trains(4)], RANK_4),
    ("Kronecker (tt1)", "einsum",
     [[f"--tensors={shapes}", "--options=expr=(0.5|0.5|0|0.5|0.5|0|0)"]
      for shapes in ("matrix_params.0=55x28,matrix_params.1=55x28", "matrix_params.0=64x32,matrix_params.1=64x32")],
     KRONECKER),
    ("tensor train of rank 6 (tt3)", "einsum",
     [["--tensors=matrix_params.0=55x6x28,matrix_params.1=55x6x28", "--options=expr=(0.5|0.5|0|0.5|0.5|0|0.27)"],
      ["--tensors=matrix_params.0=64x6x32,matrix_params.1=64x6x32", "--options=expr=(0.5|0.5|0|0.5|0.5|0|0.25)"]], TRAIN),
    ("gblr, windows of a quarter", "gblr", [[]] * 2, WINDOWS),
    ("btt_moe, 2 of 16", "btt_moe", [[f"--tensors={shapes}"] for shapes in EXPERTS_16], EXPERTS),
    ("btt_moe, all 16", "btt_moe", [[f"--tensors={shapes}", "--options=num_active_experts=16"] for shapes in EXPERTS_16],
     NO_GOAL),
    ("dynamic blocks of 128, half, independent rows", "block_sparse_dynamic", [["--blocks=128"]] * 2, BLOCKS),
    ("dynamic blocks of 128, half, rows like the one before (0.9)", "block_sparse_dynamic",
     [["--blocks=128", "--likeness=0.9"]] * 2, NO_GOAL),
    ("dyad of 4", "dyad", [["--blocks=4"]] * 2, NO_GOAL),
]


def measured(program, kind, size, arguments, threads):
    command = [program, "linear", "--json", "--nocompare", f"--kind={kind}", f"--in={size[0]}", f"--out={size[1]}",
               "--tokens=" + ",".join(map(str, TOKENS)), f"--threads={threads}", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def cells(values, goals, digits, slack):
    """Values behind which their goals stand; goals None: none."""
    texts = []
    for value, goal in zip(values, goals or [None] * len(values), strict=True):
        text = f"{value:.{digits}f}"
        if goal is not None:
            text = f"{text}/{goal}" if value >= slack(goal) else f"**{text}**/{goal}"
        texts.append(text)
    return " ".join(texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--only", default="", help="only layers whose name contains this")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    program = os.path.join(arguments.build, "bin", "dyad-bench")
    tokens = " / ".join(map(str, TOKENS))
    print(f"| layer | size | % of its own roof at {tokens} tokens | times our dense at {tokens} |")
    print("|---|---|---|---|")
    for name, kind, by_size, (roof, ratio) in LAYERS:
        if arguments.only not in name:
            continue
        for size, of_size in zip(SIZES, by_size, strict=True):
            results = measured(program, kind, size, of_size, arguments.threads)["results"]
            shares = cells([100 * result["fraction_of_roof"] for result in results], roof, 0, lambda goal: goal - 1)
            speedups = [result["over_dense"] for result in results]
            digits = 1 if max(speedups) > 9 else 2
            times = cells(speedups, ratio, digits, lambda goal: 0.98 * goal)
            print(f"| {name} | {size[0]} -> {size[1]} | {shares} | {times} |", flush=True)


if __name__ == "__main__":
    main()
