"""The messages and methods of dyad.v1, made from the descriptor set that lies beside this file.

There is no generated code: stubs are tied to a major version of protobuf, of which several are in use. The
descriptors are in a pool of their own, so that they cannot clash with those of another package.
"""
from __future__ import annotations

import pathlib
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_pool = descriptor_pool.DescriptorPool()
_files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(__file__).with_name("dyad_v1.binpb").read_bytes())
for _file in _files.file:
    _pool.AddSerializedFile(_file.SerializeToString())


def _make(descriptor: Any) -> Any:
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(_pool).GetPrototype(descriptor)  # protobuf 4.21


_classes: dict[str, Any] = {}


def message(name: str) -> Any:
    """The class of a message; of dyad.v1 if the name has no package."""
    full = name if "." in name else f"dyad.v1.{name}"
    if full not in _classes:
        _classes[full] = _make(_pool.FindMessageTypeByName(full))
    return _classes[full]


def enum_value(enum: str, word: str) -> int:
    """Number of a value, by its name without the enum's prefix, in any case. ValueError lists the names."""
    prefix = "".join("_" + c if c.isupper() else c for c in enum).lstrip("_").upper() + "_"
    names = {value.name[len(prefix):]: value.number for value in _pool.FindEnumTypeByName(f"dyad.v1.{enum}").values}
    names.pop("UNSPECIFIED")
    if word.upper() not in names:
        raise ValueError(f"{enum} {word!r} is none of {', '.join(names)}")
    return int(names[word.upper()])


def enum_name(enum: str, number: int) -> str:
    """Name of a value without the enum's prefix; empty for UNSPECIFIED."""
    prefix = "".join("_" + c if c.isupper() else c for c in enum).lstrip("_").upper() + "_"
    value = _pool.FindEnumTypeByName(f"dyad.v1.{enum}").values_by_number.get(number)
    name = str(number) if value is None else str(value.name)[len(prefix):]
    return "" if name == "UNSPECIFIED" else name


def method(channel: Any, name: str) -> Any:
    """A callable for `name`, such as "ScoringService/Score", of a channel of grpc or grpc.aio."""
    service, _, short = name.rpartition("/")
    full = service if "." in service else f"dyad.v1.{service}"
    found = _pool.FindServiceByName(full).FindMethodByName(short)
    # protobuf's Python classes of 2023 do not say whether a method streams; ours do by their names.
    sides = _STREAMS.get(short, "unary_unary")
    return getattr(channel, sides)(
        f"/{full}/{short}", request_serializer=message(found.input_type.full_name).SerializeToString,
        response_deserializer=message(found.output_type.full_name).FromString)


_STREAMS = {"GenerateStream": "unary_stream", "ScoreMinimalPairs": "stream_stream"}
