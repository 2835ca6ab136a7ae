#!/usr/bin/env python3
"""Compiles every kernel for every generation of GPUs: no warning, nothing spills to memory.

Prints registers of each kernel. Skips (77) where there is no nvcc. Takes the oldest, the default and the newest
generation, and with --all those between.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHITECTURES = ("80", "90a", "120")
ALL = ("80", "86", "89", "90a", "100", "120")
FLAGS = ("-std=c++20", "-O3", "--fmad=false", "--expt-relaxed-constexpr", "-Werror=all-warnings", "-Xptxas=-v", f"-I{ROOT}")


def resources_of(text):
    """{kernel: (registers, bytes spilled)} of what ptxas printed."""
    found = {}
    for part in text.split("Compiling entry function '")[1:]:
        name = part.split("'", 1)[0]
        spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", part))
        found[name] = int(re.search(r"Used (\d+) registers", part).group(1)), spilled
    return found


def check_checker():
    text = ("ptxas info : Compiling entry function '_Z1av' for 'sm_80'\n 8 bytes stack frame, 4 bytes spill stores, "
            "4 bytes spill loads\nptxas info : Used 40 registers\n")
    assert resources_of(text) == {"_Z1av": (40, 8)}


def compile_one(nvcc, source, architecture, folder):
    command = [nvcc, *FLAGS, f"-gencode=arch=compute_{architecture},code=sm_{architecture}", "-c", source, "-o",
               f"{folder}/{source.stem}.{architecture}.o"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        return None, run.stdout + run.stderr
    return resources_of(run.stderr + run.stdout), ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    check_checker()
    nvcc = shutil.which("nvcc", path=os.environ.get("PATH", "") + ":/usr/local/cuda/bin")
    if nvcc is None:
        print("skipped: no nvcc")
        return 77
    start, failed, kernels = time.time(), 0, 0
    sources = sorted((ROOT / "kernels" / "cuda").glob("*.cu"))
    jobs = [(source, architecture) for source in sources for architecture in (ALL if options.all else ARCHITECTURES)]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (source, architecture), (found, fault) in zip(jobs, pool.map(lambda job: compile_one(nvcc, *job, folder), jobs)):
            if found is None:
                print(f"{source.name}, sm_{architecture}:\n{fault}")
                failed += 1
                continue
            kernels += len(found)
            spills = {name: of_kernel for name, of_kernel in found.items() if of_kernel[1]}
            for name, (registers, spilled) in spills.items():
                print(f"{source.name}, sm_{architecture}: {name} spills {spilled} bytes at {registers} registers")
            failed += len(spills)
            if found:
                registers = sorted(registers for registers, _ in found.values())
                print(f"{source.name:18} sm_{architecture:4} {len(found):3} kernels, {registers[0]} to {registers[-1]} registers",
                      flush=True)
    print(f"{kernels} kernels, {failed} faults, {time.time() - start:.0f} s")
    return 1 if failed or not kernels else 0


if __name__ == "__main__":
    sys.exit(main())
