#!/usr/bin/env python3
"""The Python package has the API's descriptors and the project's version. --write makes the descriptors anew."""
import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "client" / "python"
DESCRIPTORS = PACKAGE / "dyad_serve" / "dyad_v1.binpb"
# Where Debian puts the protos that are not ours, as in proto/CMakeLists.txt.
IMPORTS = ["/usr/share/grpc-proto", "/usr/share/gocode/src/github.com/gogo/googleapis"]
OTHERS = ["google/rpc/status.proto", "google/rpc/error_details.proto", "grpc/health/v1/health.proto"]


def describe():
    """What protoc says of proto/dyad now."""
    ours = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto/dyad").rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", *(f"--proto_path={path}" for path in [ROOT / "proto", *IMPORTS]), "--include_imports",
                        f"--descriptor_set_out={out.name}", *ours, *OTHERS], check=True)
        return out.read()


def faults():
    """What is wrong, as messages."""
    # Compared as messages: another protoc may write the same in another order.
    read = descriptor_pb2.FileDescriptorSet.FromString
    if read(DESCRIPTORS.read_bytes()) != read(describe()):
        yield f"{DESCRIPTORS.relative_to(ROOT)} is not what proto/ says: tests/structure/{pathlib.Path(__file__).name} --write"
    version = re.search(r"project\(dyad_serve VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
    for name, pattern in (("pyproject.toml", r'\nversion = "(.+)"'), ("dyad_serve/__init__.py", r'__version__ = "(.+)"')):
        found = re.search(pattern, (PACKAGE / name).read_text()).group(1)
        if found != version:
            yield f"{name} has version {found}; CMakeLists.txt has {version}"


def main():
    if sys.argv[1:] == ["--write"]:
        DESCRIPTORS.write_bytes(describe())
        return 0
    found = list(faults())
    print("\n".join(found + [f"python package: {len(found)} faults"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
