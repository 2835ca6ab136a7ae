#!/usr/bin/env python3
"""Plants one fault after the other in a copy of kernels/cuda: the tests must fail each time.

Takes how to compile and link from the build that DYAD_BUILD_DIR names; only what a fault touches is compiled anew.
One of three; all with --all. Options: --only=TEXT: faults whose name holds it. --jobs: at once (2).
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DYAD_BUILD_DIR", SOURCE / "build" / "release")).resolve()
KERNELS = SOURCE / "kernels" / "cuda"

LAYERS, DEVICE, FINISH = "CudaLayerTest.*", "CudaDeviceTest.*", "CudaFinishTest.*"
TENSOR = "*CudaTensorTest.AwkwardSizes*/accurate:*CudaTensorTest.Extreme*/accurate"
# Name, file, what stands there, what is put instead, tests, sources to compile (of a header).
FAULTS = (
    ("no barrier before a slice", "exact.cu",
     "    __syncthreads();  // the slice is there for all; all have left the one that is replaced now\n", "", LAYERS),
    ("a copy waited for too late", "exact.cu", "WaitCopies<Tiling::kAhead - 1>", "WaitCopies<Tiling::kAhead>", LAYERS),
    ("weights not waited for", "exact.cu", "copier.WaitForWeights(slot, parity);", "", LAYERS),
    ("a barrier's parity not turned", "exact.cu", "slot = 0, parity ^= 1;", "slot = 0;", LAYERS),
    ("x of the term before", "exact_copy.cuh", "if (slice.term != term_) Turn", "if (term_ < 0) Turn", LAYERS, "exact.cu"),
    ("no zeros at ragged edges", "exact_copy.cuh", "(inside ? index : 0)), inside);", "(inside ? index : 0)), true);", LAYERS,
     "exact.cu"),
    ("tail one short", "exact_multiply.cuh", "count % Tiling::kCount, own", "count % Tiling::kCount - 1, own", LAYERS,
     "exact.cu"),
    ("k padded with zeros", "exact_multiply.cuh", "for (int k = 0; k < count; ++k)", "for (int k = 0; k < Tiling::kCount; ++k)",
     LAYERS, "exact.cu"),
    ("a rounding more", "exact_multiply.cuh", "sums[o][r] = std::fma(x[r][k], w, sums[o][r]);",
     "sums[o][r] = x[r][k] * w + sums[o][r];", LAYERS, "exact.cu"),
    ("outputs of a thread swapped", "exact_multiply.cuh", "further = o * Tiling::kOutputLanes",
     "further = (o ^ 1) * Tiling::kOutputLanes", LAYERS, "exact.cu"),
    ("a row too many stored", "contract.cuh",
     "if (output >= p.outputs || row_group >= p.row_groups()) return end;", "if (output >= p.outputs) return end;", LAYERS,
     "exact.cu"),
    ("lanes folded in another order", "lanes.cuh",
     "for (int distance = kLanes / 2; distance > 0; distance /= 2) {\n    value = value +",
     "for (int distance = 1; distance < kLanes; distance *= 2) {\n    value = value +", DEVICE, "rows.cu", "attention.cu"),
    ("half a warp sums a row", "rows.cu", "if (thread < 32) {", "if (thread < 24) {", DEVICE),
    ("a row summed before it came", "rows.cu", "row, features);\n  __syncthreads();", "row, features);", DEVICE),
    ("no barrier before maxima", "attention.cu",
     "    Score<Kv>(p, s, rows, head, first);\n    __syncthreads();", "    Score<Kv>(p, s, rows, head, first);", DEVICE),
    ("half a warp shuffles", "attention.cu", "if (thread < kFolding) {\n    float most",
     "if (thread < kFolding - 8) {\n    float most", DEVICE),
    ("a key too many", "attention.cu", "key < rows.KeysOf(r) ? sum", "key <= rows.KeysOf(r) ? sum", DEVICE),
    ("no rescaling", "attention.cu", "head_size + d] * by;", "head_size + d];", DEVICE),
    ("rescaled as another row", "attention.cu", "if (kRows > kOwn && row > 0) by", "if (false) by", DEVICE),
    ("a lone row not stored", "attention.cu", "if (stores == Stores::kHere) Store", "if (false) Store", DEVICE),
    ("the rest of a tile last", "vocabulary.cu", "float total = whole + lane < count ? exponentials[whole + lane] : 0.0f;",
     "float total = 0;", FINISH),
    ("ties to the higher id", "vocabulary.cu", "a.logit > b.logit : a.id < b.id", "a.logit > b.logit : a.id > b.id", FINISH),
    ("a step that does not wait", "device.cc", "StepOutput CudaDevice::End() {\n  runtime_->Wait();",
     "StepOutput CudaDevice::End() {", FINISH),
    ("the high piece first", "tensor.cuh", "of_x = x[piece];", "of_x = x[kPieces - 1 - piece];", TENSOR, "tensor_stream.cu", "tensor_tile.cu"),
    ("halves of k swapped", "tensor.cuh", "return vectors[half];", "return vectors[1 - half];", TENSOR, "tensor_stream.cu",
     "tensor_tile.cu"),
    ("int8 widened past its bias", "tensor.cuh", "0x64806480u", "0x64816480u", TENSOR, "tensor_stream.cu", "tensor_tile.cu"),
    ("lanes of an operand in another order", "pack.cc", "o % 8 * 4 + k % 8 / 2", "o % 8 + k % 8 / 2 * 8", TENSOR),
    ("the largest of half a row", "split_rows.cu", "distance < 4; distance", "distance < 2; distance", TENSOR),
    ("no barrier before the scale", "split_rows.cu", "  __syncthreads();\n", "", TENSOR),
    ("infinity scaled like a number", "split_rows.cu", "largest < kInfiniteInBfloat16 ?", "true ?", TENSOR),
    ("weights used before they have come", "tensor_stream.cu", "WaitCopies<kStages - 2>();", "WaitCopies<kStages - 1>();", TENSOR),
    ("no barrier before segments join", "tensor_stream.cu", "      __syncthreads();\n", "", TENSOR),
    ("segments joined with one scale", "tensor_stream.cu", "(first + s) * kTileRows + i % 2", "first * kTileRows + i % 2", TENSOR),
    ("no barrier in the ring", "tensor_tile.cu", "    __syncthreads();\n", "", TENSOR),
    ("a stage too early", "tensor_tile.cu", "WaitCopies<kStages - 2>();", "WaitCopies<kStages - 1>();", TENSOR),
    ("a segment that does not end with its term", "tensor_tile.cu", "left_of_term != 0 && (p", "(p",
     "*CudaTensorTest.Views*/accurate"),
)


def commands():
    """(compile command of each source of the harness's library, link command of the tests, the folder they run in)"""
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    compiles = {pathlib.Path(entry["file"]).name: entry["command"] for entry in entries
                if "dyad_kernels_cuda_on_cpu.dir" in entry["command"] and str(KERNELS) in entry["file"]}
    ninja = subprocess.run(["ninja", "-t", "commands", "kernels_cuda_tests"], cwd=BUILD, capture_output=True,
                           text=True, check=True)
    return compiles, ninja.stdout.strip().splitlines()[-1]


def without_launcher(command):
    """The words from the compiler on, without what it would write."""
    words = shlex.split(command.split("&&")[1] if "&&" in command else command)
    words = words[next(i for i, word in enumerate(words) if pathlib.Path(word).name in ("c++", "g++", "clang++")):]
    at = words.index("-o")
    return words[:at] + words[at + 2:]


def build(folder, sources, compiles, link):
    """Compiles sources of the copy and links them before the library."""
    objects = []
    for source in sources:
        words = without_launcher(compiles[source])
        words[words.index("-c") + 1] = str(folder / "kernels" / "cuda" / source)
        objects.append(str(folder / (source + ".o")))
        # A fault may leave something unused.
        subprocess.run([words[0], f"-I{folder}", *words[1:], "-w", "-o", objects[-1]], cwd=BUILD, check=True)
    words = without_launcher(link)
    at = next(i for i, word in enumerate(words) if word.endswith(".o"))
    subprocess.run(words[:at] + objects + words[at:] + ["-o", str(folder / "tests")], cwd=BUILD, check=True)
    return folder / "tests"


def caught(fault, compiles, link):
    name, file, old, new, tests, *sources = fault
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        (folder / "kernels" / "cuda").mkdir(parents=True)
        for path in KERNELS.iterdir():
            if path.suffix in (".h", ".cuh", ".cu", ".cc"):
                (folder / "kernels" / "cuda" / path.name).write_text(path.read_text())
        text = (KERNELS / file).read_text()
        assert text.count(old) == 1, f"{name}: {file} has it {text.count(old)} times: {old}"
        (folder / "kernels" / "cuda" / file).write_text(text.replace(old, new))
        program = build(folder, sources or [file], compiles, link)
        try:
            run = subprocess.run([program, f"--gtest_filter={tests}", "--gtest_break_on_failure=0"], cwd=SOURCE,
                                 capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return name, True, "does not end"
        lines = (run.stdout + run.stderr).splitlines()
        why = next((line for line in lines if "cuda_on_cpu:" in line or "ERROR: " in line or "WARNING: " in line
                    or "FAILED  ]" in line), "")
        return name, run.returncode != 0, why.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    compiles, link = commands()
    start = time.time()
    missed = []
    # As it stands it passes, or the rest would mean nothing.
    unchanged = subprocess.run([BUILD / "tests" / "kernels_cuda_tests", "--gtest_brief=1"], cwd=SOURCE)
    assert unchanged.returncode == 0
    faults = [fault for fault in FAULTS if options.only in fault[0]][::1 if options.all or options.only else 3]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, found, why in pool.map(lambda fault: caught(fault, compiles, link), faults):
            print(f"{'caught' if found else 'MISSED'}  {name}: {why}", flush=True)
            if not found:
                missed.append(name)
    print(f"{len(faults) - len(missed)} of {len(faults)} faults caught, {time.time() - start:.0f} s")
    return 1 if missed or not faults else 0


if __name__ == "__main__":
    sys.exit(main())
