#!/usr/bin/env python3
"""Reads every #include line and fails on an arrow between folders that the design does not have.

Also: which folders may see which large library, that every source has a test, and that no file
is longer than 400 lines.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder -> folders of ours that it may include. The longest matching key holds.
ALLOWED = {
    "kernels": {"kernels", "kernels/cpu"},
    "kernels/reference": {"kernels", "kernels/reference"},
    "kernels/cpu": {"kernels", "kernels/cpu"},
    "kernels/torch": {"kernels", "kernels/torch"},
    "server/base": {"server/base"},
    "server/text": {"server/base", "server/text"},
    "server/metrics": {"server/base", "server/metrics"},
    "server/engine": {"server/base", "server/metrics", "server/engine"},
    "server/model": {"server/base", "server/engine", "server/model", "kernels"},
    "server/service": {"server/base", "server/engine", "server/metrics", "server/model",
                       "server/service", "server/text", "kernels"},
    "server": {"server", "server/base", "server/engine", "server/metrics", "server/model",
               "server/service", "server/text", "kernels", "kernels/reference"},
    "client": {"client", "server/base", "server/text"},
}
# Of server/model, others see one header.
MODEL_HEADER = "server/model/load_model.h"

# Library (as included) -> folders whose sources may include it.
LIBRARIES = {
    r"grpcpp/|grpc/|dyad/v1/|google/rpc/": {"server/service", "client"},
    r"torch/|ATen/|c10/": {"server/model", "kernels/torch"},
    r"prometheus/": {"server/metrics"},
    r"CLI/": {"client"},
    r"hwy/": {"kernels/cpu"},
    r"spdlog/": {"server/service", "server"},
    r"absl/": {"server", "server/base", "server/engine", "server/metrics", "server/model",
               "server/service", "server/text", "client"},
}


def folder_of(path):
    """The longest key of ALLOWED that holds `path`."""
    parts = path.split("/")[:-1]
    while parts and "/".join(parts) not in ALLOWED:
        parts.pop()
    return "/".join(parts)


def faults_of(path, text):
    """Forbidden includes of one file, as messages."""
    source = folder_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if not match:
            continue
        target = match.group(1)
        for pattern, folders in LIBRARIES.items():
            if re.match(pattern, target) and source not in folders:
                yield f"{path}:{number}: {source} must not include {target}"
        if not re.match(r"(kernels|server|client|tests)/", target):
            continue
        into = folder_of(target)
        if target.startswith("tests/") or into not in ALLOWED[source]:
            yield f"{path}:{number}: {source} must not include {target}"
        elif into == "server/model" and source != into and target != MODEL_HEADER:
            yield f"{path}:{number}: of server/model only {MODEL_HEADER} may be included"


def check_checker():
    """The test must be able to fail."""
    assert list(faults_of("kernels/a.cc", '#include "server/base/mutex.h"'))
    assert list(faults_of("server/engine/a.cc", "#include <grpcpp/grpcpp.h>"))
    assert list(faults_of("server/service/a.cc", '#include "server/model/opt.h"'))
    assert list(faults_of("client/a.cc", '#include "server/engine/engine.h"'))
    assert list(faults_of("kernels/a.cc", "#include <ATen/ATen.h>"))
    assert list(faults_of("kernels/torch/a.cc", '#include "kernels/cpu/pack.h"'))
    assert not list(faults_of("server/model/a.cc", '#include "kernels/linear.h"\n#include <vector>'))


def main():
    check_checker()
    faults = []
    for top in ("kernels", "server", "client", "tests"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in (".h", ".cc", ".cu", ".cuh", ".py", ".sh"):
                continue
            name = path.relative_to(ROOT).as_posix()
            text = path.read_text()
            lines = text.count("\n")
            if lines > 400:
                faults.append(f"{name}: {lines} lines; at most 400")
            if top == "tests" or path.suffix == ".py":
                continue
            faults += faults_of(name, text)
            if path.suffix == ".cc" and not name.endswith("main.cc"):
                test = ROOT / "tests" / name.replace(".cc", "_test.cc")
                if not test.exists() and not test.with_suffix(".py").exists():
                    faults.append(f"{name}: has no tests/{name.replace('.cc', '_test.cc')}")
    for fault in faults:
        print(fault)
    print(f"layering: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
