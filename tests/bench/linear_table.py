#!/usr/bin/env python3
"""Every layer, block count, weight type and number of tokens that README.md speaks of.

  tests/bench/linear_table.py [--build=build/release] [--nocompare]

Runs `dyad-bench linear` for fc1 and fc2 of OPT-125m and OPT-350m with 4 and 8 blocks and prints two
Markdown tables: the fraction of the roof for each number of tokens, and the speed-ups. Figures at the
ridge (reading and multiplying take times within a factor of 2 of each other) have a tilde. Takes about
ten minutes of an idle machine.
"""
import argparse
import json
import os
import subprocess

LAYERS = [("125m fc1", 768, 3072), ("125m fc2", 3072, 768), ("350m fc1", 1024, 4096), ("350m fc2", 4096, 1024)]
BLOCKS = [4, 8]
DTYPES = ["float32", "bfloat16", "float16", "int8"]
TOKENS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def run(program, inputs, outputs, blocks, dtype, compare):
    command = [program, "linear", "--json", "--kind=dyad", f"--in={inputs}", f"--out={outputs}", f"--blocks={blocks}",
               f"--weight_dtype={dtype}", "--tokens=" + ",".join(map(str, TOKENS))]
    if not compare:
        command.append("--nocompare")
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def at_ridge(answer, result):
    """Rates of the whole run: only the ratio of the two times counts, and only roughly."""
    reading = result["bytes_per_second"] / answer["read_bytes_per_second"]
    multiplying = result["flops_per_second"] / answer["sgemm_flops_per_second"]
    return 0.5 <= reading / multiplying <= 2


def row(name, cells):
    print("| " + " | ".join([name, *cells]) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--nocompare", action="store_true")
    arguments = parser.parse_args()
    program = os.path.join(arguments.build, "bin", "dyad-bench")
    answers = {}
    row("layer, blocks, weights: % of the roof at tokens", [str(tokens) for tokens in TOKENS])
    row("---", ["---"] * len(TOKENS))
    for layer, inputs, outputs in LAYERS:
        for blocks in BLOCKS:
            for dtype in DTYPES:
                compare = dtype == "float32" and not arguments.nocompare
                answer = run(program, inputs, outputs, blocks, dtype, compare)
                answers[layer, blocks, dtype] = answer["results"]
                row(f"{layer}, {blocks}, {dtype}",
                    [("~" if at_ridge(answer, result) else "") + f"{100 * result['fraction_of_roof']:.0f}"
                     for result in answer["results"]])
    print()
    row("speed-up at tokens", [str(tokens) for tokens in TOKENS])
    row("---", ["---"] * len(TOKENS))
    for (layer, blocks, dtype), results in answers.items():
        wide = answers[layer, blocks, "float32"]
        if dtype != "float32":
            row(f"{layer}, {blocks}: {dtype} over float32",
                [f"{one['streamed_bytes'] / other['streamed_bytes']:.2f}" if one["tokens"] <= 4 else ""
                 for one, other in zip(wide, results)])
            continue
        for name, key in [("LibTorch dense", "over_torch_dense"), ("reference form", "over_torch_reference")]:
            if key in results[0]:
                row(f"{layer}, {blocks}: over {name}", [f"{result[key]:.2f}" for result in results])


if __name__ == "__main__":
    main()
