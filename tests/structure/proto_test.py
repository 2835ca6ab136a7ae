#!/usr/bin/env python3
"""The API's names and comments follow one set of rules: those of buf's STANDARD that can apply here, and a
comment for every field."""
import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parents[2] / "proto"
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*$")
CAMEL = re.compile(r"([A-Z][a-z0-9]*)+$")
# Numbers of the fields in FileDescriptorProto and below, as paths of source_code_info have them.
MESSAGE_TYPE, ENUM_TYPE, SERVICE = 4, 5, 6
FIELD = VALUE = METHOD = 2


def upper_snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


class File:
    """One file's faults, as messages."""

    def __init__(self, proto):
        self.proto = proto
        self.found = []
        self.commented = {tuple(place.path) for place in proto.source_code_info.location
                          if place.leading_comments.strip() or place.trailing_comments.strip()}

    def check(self, holds, name, rule):
        if not holds:
            self.found.append(f"{self.proto.name}: {name}: {rule}")

    def check_comment(self, path, name):
        self.check(tuple(path) in self.commented, name, "has no comment")

    def check_message(self, message, path, name):
        self.check(CAMEL.match(message.name), name, "is not in CamelCase")
        for i, field in enumerate(message.field):
            self.check(SNAKE.match(field.name), f"{name}.{field.name}", "is not in lower_snake_case")
            self.check_comment(path + [FIELD, i], f"{name}.{field.name}")
        for oneof in message.oneof_decl:
            own = not oneof.name.startswith("_")  # those with an underscore are protoc's
            self.check(not own or SNAKE.match(oneof.name), f"{name}.{oneof.name}", "is not in lower_snake_case")
        for i, enum in enumerate(message.enum_type):
            self.check_enum(enum, path + [4, i])
        for i, nested in enumerate(message.nested_type):
            if not nested.options.map_entry:
                self.check_message(nested, path + [3, i], f"{name}.{nested.name}")

    def check_enum(self, enum, path):
        prefix = upper_snake(enum.name) + "_"
        self.check_comment(path, enum.name)
        for i, value in enumerate(enum.value):
            self.check(re.match(prefix + r"[A-Z0-9]+(_[A-Z0-9]+)*$", value.name), value.name,
                       f"is not {prefix} and a word in UPPER_SNAKE_CASE")
            self.check(value.number != 0 or value.name == prefix + "UNSPECIFIED", value.name,
                       f"is number 0 and not {prefix}UNSPECIFIED")
            # "Unspecified" says it all.
            if value.number != 0:
                self.check_comment(path + [VALUE, i], value.name)

    def check_service(self, service, path):
        self.check(service.name.endswith("Service"), service.name, "does not end in Service")
        self.check_comment(path, service.name)
        for i, method in enumerate(service.method):
            self.check_comment(path + [METHOD, i], method.name)
            for type_name, standard in ((method.input_type, method.name + "Request"),
                                        (method.output_type, method.name + "Response")):
                self.check(type_name == f".{self.proto.package}.{standard}", method.name,
                           f"takes or returns {type_name}, not {standard}")

    def faults(self):
        folder, package = str(pathlib.PurePath(self.proto.name).parent), self.proto.package
        self.check(package.replace(".", "/") == folder, package, f"is the package of a file in {folder}")
        self.check(re.search(r"\.v[0-9]+$", package), package, "does not end in a version")
        self.check(self.proto.syntax == "proto3", self.proto.syntax, "is not proto3")
        options = self.proto.options
        expected = {"csharp_namespace": "Dyad.V1", "go_package": "dyad/v1;dyadv1", "java_multiple_files": True,
                    "java_package": "dyad.v1"}
        for option, value in expected.items():
            self.check(getattr(options, option) == value, option, f"is not {value}")
        for i, message in enumerate(self.proto.message_type):
            self.check_message(message, [MESSAGE_TYPE, i], message.name)
        for i, enum in enumerate(self.proto.enum_type):
            self.check_enum(enum, [ENUM_TYPE, i])
        for i, service in enumerate(self.proto.service):
            self.check_service(service, [SERVICE, i])
        return self.found


def main():
    # The Open Inference Protocol's names are not ours.
    names = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "dyad").rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"--proto_path={ROOT}", "--include_source_info", f"--descriptor_set_out={out.name}",
                        *names], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    faults = [fault for proto in files.file for fault in File(proto).faults()]
    print("\n".join(faults + [f"proto: {len(files.file)} files, {len(faults)} faults"]))
    return 1 if faults or len(files.file) < 6 else 0


if __name__ == "__main__":
    sys.exit(main())
