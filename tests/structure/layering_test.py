#!/usr/bin/env python3
"""Reads every #include line and fails on an arrow between folders that the design does not have.

Also: that includes inside a folder form no cycle, which folders may see which large library, that
every source has a test, that no file is longer than 400 lines, and that no call of std::filesystem
can throw.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder -> folders of ours that it may include. The longest matching key holds.
ALLOWED = {
    "kernels": {"kernels", "kernels/cpu"},
    "kernels/reference": {"kernels", "kernels/reference", "kernels/structures"},
    "kernels/cpu": {"kernels", "kernels/cpu"},
    "kernels/cuda": {"kernels", "kernels/cpu", "kernels/cuda"},
    "kernels/structures": {"kernels", "kernels/structures"},
    "kernels/torch": {"kernels", "kernels/cpu", "kernels/structures", "kernels/torch"},
    "server/base": {"server/base"},
    "server/text": {"server/base", "server/text"},
    "server/metrics": {"server/base", "server/metrics"},
    "server/engine": {"server/base", "server/metrics", "server/engine"},
    "server/checkpoint": {"server/base", "server/checkpoint"},
    "server/model": {"server/base", "server/checkpoint", "server/engine", "server/model", "kernels",
                     "kernels/structures"},
    "server/tools": {"server/base", "server/checkpoint", "server/model", "server/text", "server/tools", "kernels"},
    "server/api": {"server/base", "server/engine", "server/model", "server/text", "server/api"},
    "server/grpc": {"server/base", "server/api", "server/grpc", "server/kserve"},
    "server/http": {"server/base", "server/http"},
    "server/routes": {"server/base", "server/api", "server/http", "server/routes"},
    "server/openai": {"server/base", "server/api", "server/http", "server/routes", "server/text", "server/openai"},
    "server/kserve": {"server/base", "server/api", "server/http", "server/openai", "server/routes", "server/text",
                      "server/kserve"},
    "server/connect": {"server/base", "server/api", "server/http", "server/routes", "server/connect"},
    "server": {"server", "server/api", "server/base", "server/checkpoint", "server/connect", "server/engine",
               "server/grpc", "server/http", "server/kserve", "server/metrics", "server/model", "server/openai", "server/routes",
               "server/text", "kernels", "kernels/cuda",
               "kernels/reference"},
    "client": {"client", "server/base", "server/text"},
}
# Of kernels/, families of layers see plans and nothing that runs them.
PLAN_HEADERS = {"kernels/plan.h", "kernels/element.h", "kernels/fault.h", "kernels/float16.h"}
# Folder -> its front header: what the folder is for. It stands above all its parts, so none of them
# includes it; types that they share with it have headers of their own.
FRONT_HEADERS = {
    "server/checkpoint": "server/checkpoint/tensor_source.h",
    "server/engine": "server/engine/engine.h",
    "server/grpc": "server/grpc/services.h",
    "server/http": "server/http/http_server.h",
    "server/model": "server/model/load_model.h",
    "server/connect": "server/connect/routes.h",
    "server/kserve": "server/kserve/routes.h",
    "server/openai": "server/openai/routes.h",
    "server/routes": "server/routes/http_door.h",
    "server/text": "server/text/load_tokenizer.h",
}
# The other front of server/model: a checkpoint as matrices, for tools that write checkpoints.
MATRICES = "server/model/dense_checkpoint.h"
# Folder, with those inside it -> what its sources do not even name, in any case.
UNNAMED = {
    "server/api": r"grpc",
    "server/http": r"json|grpc",
    "server/connect": r"grpc",
    "server/kserve": r"grpc::|grpcpp",
    "server/openai": r"grpc",
    "server/routes": r"grpc",
    # Where and how a model is computed.
    "server": r"\bthreadpool\b|\bat::|libtorch|\bworkspace\b",
}

# Of kernels/cuda: what only one file does.
ONLY_IN = {
    r"\basm\b": "kernels/cuda/ptx.cuh",
    r"cuda_runtime\.h|\bcuda[A-Z]\w+\(": "kernels/cuda/runtime.cu",
}

# The wall clock may be set at any time: only these sources read it, to tell the time of day. Durations
# and deadlines are SteadyNow()'s (server/base/steady_clock.h).
WALL_CLOCK = r"absl::Now\(|system_clock::now|gettimeofday|CLOCK_REALTIME|\btime\(nullptr\)"
WALL_CLOCK_READERS = {
    "client/command.cc",  # when a run began
    "server/base/certificates.cc",  # whether a certificate is valid now
    "server/openai/completion_call.cc",  # when an answer was made
    "server/openai/routes.cc",     # since when models are there
    "server/metrics/metrics.cc",   # *_timestamp_seconds
    "server/server_log.cc",        # when a line was written
}

# What is broken where memory runs out: Abseil's tables (server/base/string_map.h has ours), which the prefix
# tree alone may use, as it never grows; and libstdc++'s variants of strings (wrap the string).
NOT_WITHOUT_MEMORY = r"absl::(?:(?:flat|node)_hash|btree)_\w+<|std::variant<[^;>]*std::string\b"

# Library (as included) -> folders whose sources may include it.
LIBRARIES = {
    r"grpcpp/|grpc/|\.grpc\.pb\.h": {"server/grpc", "client"},
    r"dyad/v1/|google/rpc/": {"server/api", "server/connect", "server/grpc", "server/kserve", "server/openai",
                              "server/routes", "client"},
    r"inference/": {"server/grpc", "server/kserve"},
    r"torch/|ATen/|c10/": {"kernels/torch"},
    r"prometheus/": {"server/metrics"},
    r"CLI/": {"client", "server/tools"},
    r"boost/": {"server/http"},
    r"hwy/": {"kernels/cpu"},
    r"cuda": {"kernels/cuda"},
    r"absl/": {"server", "server/api", "server/base", "server/checkpoint", "server/connect", "server/engine",
               "server/grpc", "server/http", "server/kserve", "server/metrics", "server/model", "server/openai",
               "server/routes", "server/text", "server/tools", "client"},
}


# Functions and constructors of std::filesystem that throw where they are not given an error_code.
THROWING = re.compile(
    r"exists|is_(directory|regular_file|symlink|fifo|socket|other|empty)|status|symlink_status|\w*file_size|absolute|\w*canonical|relative|proximate|"
    r"current_path|temp_directory_path|create_\w+|copy\w*|remove\w*|rename|resize_file|read_symlink|"
    r"last_write_time|permissions|space|equivalent|hard_link_count|\w*directory_iterator")


def folder_of(path):
    """The longest key of ALLOWED that holds `path`."""
    parts = path.split("/")[:-1]
    while parts and "/".join(parts) not in ALLOWED:
        parts.pop()
    return "/".join(parts)


def includes_of(text):
    """(line number, what it includes) of each #include line."""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def faults_of(path, text):
    """Forbidden includes and names of one file, as messages."""
    source = folder_of(path)
    for folder, names in UNNAMED.items():
        if path.startswith(folder + "/"):
            for name in re.findall(names, text.lower()):
                yield f"{path}: {folder} must not name {name}"
    for name, only in ONLY_IN.items():
        if path.startswith("kernels/cuda/") and path != only and re.search(name, re.sub(r"//.*", "", text)):
            yield f"{path}: {name} is for {only} alone"
    if path not in WALL_CLOCK_READERS:
        for name in re.findall(WALL_CLOCK, text):
            yield f"{path}: {name} is the wall clock; SteadyNow() is for durations and deadlines"
    for name in re.findall(NOT_WITHOUT_MEMORY, text) if path != "server/engine/prefix_tree.h" else ():
        yield f"{path}: {name} breaks where memory runs out"
    for number, target in includes_of(text):
        for pattern, folders in LIBRARIES.items():
            if re.match(pattern, target) and source not in folders:
                yield f"{path}:{number}: {source} must not include {target}"
        if not re.match(r"(kernels|server|client|tests)/", target):
            continue
        into = folder_of(target)
        if target.startswith("tests/") or into not in ALLOWED[source]:
            yield f"{path}:{number}: {source} must not include {target}"
        if source == "kernels/structures" and into == "kernels" and target not in PLAN_HEADERS:
            yield f"{path}:{number}: of kernels/ {source} must include plans only, not {target}"
        front = FRONT_HEADERS.get(into)
        if into == "server/model" and source != into and target not in (front, MATRICES):
            yield f"{path}:{number}: of {into} only {front} may be included"
        if target == MATRICES and source not in ("server/model", "server/tools"):
            yield f"{path}:{number}: {target} is for server/tools"
        own = front is not None and pathlib.Path(path).stem == pathlib.Path(front).stem
        if source == into and target == front and not own:
            yield f"{path}:{number}: {target} stands above the parts of {source}"


def throwing_calls_of(path, text):
    """Calls of std::filesystem without an error_code, as messages. An error_code is known by its declaration."""
    codes = re.findall(r"std::error_code (\w+)", text)
    for match in re.finditer(r"\b(?:fs|std::filesystem)::(\w+)(?:\s+\w+)?\(|->(file_size|exists|is_\w+)\(", text):
        name = match.group(1) or match.group(2)
        if not THROWING.fullmatch(name):
            continue
        depth, end = 1, match.end()
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        arguments = text[match.end():end - 1]
        if name.endswith("directory_iterator") and not arguments:
            continue  # the end
        if not any(re.search(rf"\b{code}\b", arguments) for code in codes):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {name} without std::error_code throws"
    for match in re.finditer(r"for \([^;)]*:\s*(?:fs|std::filesystem)::\w*directory_iterator", text):
        yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: a loop over a directory_iterator throws"


def cycles_of(texts):
    """Cycles of includes inside a folder, as messages; x.h and x.cc count as one. `texts` by path."""
    below = {}
    for path, text in texts.items():
        node = pathlib.Path(path).with_suffix("")
        for _, target in includes_of(text):
            other = pathlib.Path(target).with_suffix("")
            if other.parent == node.parent and other != node:
                below.setdefault(node, set()).add(other)

    done = set()

    def walk(node, trail):
        if node in trail:
            names = [part.name for part in trail[trail.index(node):] + [node]]
            yield f"{node.parent}: {' -> '.join(names)} is a cycle of includes"
        elif node not in done:
            for other in sorted(below.get(node, ())):
                yield from walk(other, trail + [node])
            done.add(node)

    for node in sorted(below):
        yield from walk(node, [])


def check_checker():
    """The test must be able to fail."""
    for name in ("absl::flat_hash_map<std::string, int> a;", "absl::btree_map<int, int> a;",
                 "std::variant<int, std::string> a;"):
        assert list(faults_of("server/api/a.cc", name)), name
    assert not list(faults_of("server/api/a.cc", "std::variant<int, Text> a; std::string b;"))
    assert list(faults_of("kernels/a.cc", '#include "server/base/mutex.h"'))
    assert list(faults_of("server/model/a.cc", "kernels::ThreadPool pool(1);"))
    assert not list(faults_of("kernels/a.cc", "ThreadPool pool(1);"))
    assert list(faults_of("server/engine/a.cc", "#include <grpcpp/grpcpp.h>"))
    assert list(faults_of("server/api/a.cc", '#include "server/model/opt.h"'))
    assert list(faults_of("server/api/a.cc", '#include "dyad/v1/model.grpc.pb.h"'))
    assert list(faults_of("server/api/a.cc", "// as gRPC does"))
    assert list(faults_of("server/engine/a.cc", "const absl::Time begin = absl::Now();"))
    assert list(faults_of("client/a.cc", "std::chrono::system_clock::now()"))
    assert list(faults_of("kernels/cuda/a.cu", 'asm volatile("")')) and list(faults_of("kernels/cuda/a.cc", "cudaFree(p);"))
    assert not list(faults_of("kernels/cuda/runtime.cu", "cudaFree(p);  // asm"))
    assert not list(faults_of("server/server_log.cc", "absl::Now()"))
    assert not list(faults_of("server/api/a.cc", '#include "dyad/v1/model.pb.h"'))
    assert list(faults_of("server/api/a.cc", f'#include "{MATRICES}"'))
    assert not list(faults_of("server/tools/a.cc", f'#include "{MATRICES}"'))
    assert list(faults_of("server/grpc/a.cc", '#include "server/engine/engine.h"'))
    assert list(faults_of("server/checkpoint/a.cc", '#include "kernels/device.h"'))
    assert list(faults_of("client/a.cc", '#include "server/engine/engine.h"'))
    assert list(faults_of("kernels/a.cc", "#include <ATen/ATen.h>"))
    assert list(faults_of("server/model/a.cc", '#include "kernels/cpu/pack.h"'))
    assert list(faults_of("kernels/structures/a.cc", '#include "kernels/device.h"'))
    assert list(faults_of("kernels/a.cc", '#include "kernels/structures/structures.h"'))
    assert not list(faults_of("kernels/structures/a.cc", '#include "kernels/plan.h"'))
    assert not list(faults_of("server/model/a.cc", '#include "kernels/device.h"\n#include <vector>'))
    assert list(faults_of("server/model/opt.h", '#include "server/model/load_model.h"'))
    assert not list(faults_of("server/model/load_model.cc", '#include "server/model/load_model.h"'))
    for call in ("fs::exists(path)", "std::filesystem::file_size(a / b(c))", "fs::current_path()",
                 "entry->file_size()", "fs::directory_iterator entry(path)",
                 "for (auto& e : fs::directory_iterator(p, error)) {"):
        assert list(throwing_calls_of("a.cc", call)), call
    code = "std::error_code error;\n"
    for call in ("fs::exists(path, error)", "fs::is_symlink(fs::symlink_status(p, error))", "fs::path(p)",
                 "fs::directory_iterator()", "fs::directory_iterator entry(path, error)"):
        assert not list(throwing_calls_of("a.cc", code + call)), call
    a, b = '#include "kernels/a.h"', '#include "kernels/b.h"'
    assert not list(cycles_of({"kernels/a.cc": a + "\n" + b, "kernels/a.h": "", "kernels/b.h": ""}))
    assert list(cycles_of({"kernels/a.cc": b, "kernels/b.h": a}))
    assert list(cycles_of({"kernels/a.h": b, "kernels/b.cc": '#include "kernels/c.h"',
                           "kernels/c.h": a}))
    assert not list(cycles_of({"kernels/a.h": '#include "kernels/cpu/a.h"', "kernels/cpu/a.h": a}))


def main():
    check_checker()
    faults = []
    sources = {}
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
            faults += throwing_calls_of(name, text)
            sources[name] = text
            if path.suffix == ".cc" and not name.endswith("main.cc"):
                test = ROOT / "tests" / name.replace(".cc", "_test.cc")
                if not test.exists() and not test.with_suffix(".py").exists():
                    faults.append(f"{name}: has no tests/{name.replace('.cc', '_test.cc')}")
    faults += cycles_of(sources)
    for fault in faults:
        print(fault)
    print(f"layering: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
