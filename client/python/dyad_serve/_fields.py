"""JSON values into messages, by reflection: what dyadctl takes in a line (client/json_message.h)."""
from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from dyad_serve import _json, _wire

_MAX_FLOAT = 3.4028234663852886e38
_BITS = {FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1), FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
         FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1)}


def message(name: str, values: _json.Object) -> Any:
    """A message with these fields; null stands for none. A list of ids stands for TokenIds, an object for a map; a value
    of an enum goes by its word. ValueError names field, value and what it must be."""
    made = _wire.message(name)()
    for key, value in values.items():
        if value is not None:
            _set(made, key, made.DESCRIPTOR.fields_by_name[key], value)
    return made


def _set(target: Any, name: str, field: Any, value: Any) -> None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if not isinstance(value, dict):
            raise _fault(name, value, 'an object: {"ID": NUMBER}')
        for key, member in value.items():
            if not re.fullmatch("[+-]?[0-9]+", key):
                raise _fault(f"a key of {name}", key, "a token id")
            id_ = _value(name, kind.fields_by_name["key"], int(key))
            getattr(target, field.name)[id_] = _value(f"{name}[{key}]", kind.fields_by_name["value"], member)
    elif kind is not None:
        getattr(target, field.name).SetInParent()
        _set(getattr(target, field.name), name, kind.fields[0], value)
    elif _is_repeated(field):
        if not isinstance(value, list):
            raise _fault(name, value, "a list")
        getattr(target, field.name).extend(_value(f"{name}[{i}]", field, one) for i, one in enumerate(value))
    else:
        setattr(target, field.name, _value(name, field, value))


def _value(name: str, field: Any, value: Any) -> Any:
    kind = field.cpp_type
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in _BITS:
        least, most = _BITS[kind]
        whole = is_number and (isinstance(value, int) or value.is_integer() and abs(value) <= 1 << 53)
        if not whole or not least <= int(value) <= most:
            raise _fault(name, value, f"an integer from {least} to {most}")
        return int(value)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        words = {word: number for number in field.enum_type.values_by_number
                 if (word := _wire.enum_name(field.enum_type.name, number))}
        if not isinstance(value, str) or value not in words:
            raise _fault(name, value, " or ".join(words))
        return words[value]
    fits, expected = {
        FieldDescriptor.CPPTYPE_FLOAT: (is_number and abs(value) <= _MAX_FLOAT, "a number of at most 3.4e38"),
        FieldDescriptor.CPPTYPE_BOOL: (isinstance(value, bool), "true or false"),
        FieldDescriptor.CPPTYPE_STRING: (isinstance(value, str), "a string")}[kind]
    if not fits:
        raise _fault(name, value, expected)
    return value


def _is_repeated(field: Any) -> bool:
    # protobuf of 2025 has the first, that of 2022 the second.
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _fault(name: str, value: Any, expected: str) -> ValueError:
    text = _json.format_line(value)
    return ValueError(f"{name} is {text[:60]}{'...' if len(text) > 60 else ''}; it must be {expected}")
