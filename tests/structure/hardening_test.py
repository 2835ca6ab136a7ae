#!/usr/bin/env python3
"""Reads the built programs: a memory error in them must end the program, and nothing worse."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DYAD_BUILD_DIR", ROOT / "build" / "release"))


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def faults_of(program):
    """What a program lacks, as messages."""
    headers = readelf("--file-header", "--program-headers", "--dynamic", program)
    symbols = readelf("--dyn-syms", program)
    if not re.search(r"Type:\s+DYN", headers):
        yield "is not position independent (-pie)"
    if not re.search(r"^\s+GNU_RELRO\s", headers, re.MULTILINE):
        yield "has no read-only relocations (-z relro)"
    if not re.search(r"BIND_NOW|FLAGS_1.*\bNOW\b", headers):
        yield "binds symbols late (-z now)"
    if not re.search(r"^\s+GNU_STACK\s.*\sRW\s", headers, re.MULTILINE):
        yield "has an executable stack"
    if "__stack_chk_fail" not in symbols:
        yield "has no stack protector (-fstack-protector-strong)"
    if not re.search(r"\b__(mem|str|v?s?n?printf|f|read|poll)\w*_chk\b", symbols):
        yield "has no checked functions (_FORTIFY_SOURCE)"
    if "glibcxx_assert_fail" not in symbols:
        yield "does not check indices (_GLIBCXX_ASSERTIONS)"


def main():
    # The test must be able to fail: a program that nobody hardened.
    plain = BUILD / "tests" / "plain_program"
    plain.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["c++", "-x", "c++", "-O0", "-no-pie", "-fno-stack-protector", "-Wl,-z,norelro,-z,lazy", "-o", plain,
                    "-"], input="int main() {}", text=True, check=True)
    assert len(list(faults_of(plain))) == 6, list(faults_of(plain))
    programs = ("dyad-server", "dyadctl", "dyad-convert")
    faults = [f"{name} {fault}" for name in programs for fault in faults_of(BUILD / "bin" / name)]
    for fault in faults:
        print(fault)
    print(f"hardening: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
