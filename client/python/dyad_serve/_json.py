"""Lines of JSON as dyadctl reads and writes them, byte for byte."""
from __future__ import annotations

import json
import math
import os
import struct
from typing import Any, Union

Path = Union[str, "os.PathLike[str]"]
Object = dict[str, Any]
HEADER_START = b'{"dyad_run":'


def format_line(value: Any) -> str:
    """One line, without its line feed."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def parse_line(line: bytes) -> Object:
    """The object of a line. ValueError says what the line is instead."""
    value = parse(line)
    if not isinstance(value, dict):
        raise ValueError(f"a line must be a JSON object, found: {kind(value)}")
    return value


def parse(text: bytes) -> Any:
    """One value. ValueError says what the text is instead."""
    try:
        value = _DECODER.decode(text.decode().removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    if b"\\u" in text:
        format_line(value).encode()  # half a surrogate pair is no text
    return value


def kind(value: Any) -> str:
    """What JSON calls it."""
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "number", float: "number", list: "array", dict: "object"}.get(type(value), "null")


def shortest(value: float) -> float:
    """The number that prints as the shortest decimal of a float of 32 bits: 0.1, not 0.10000000149011612."""
    bits = struct.pack("<f", value)
    return next(float(text) for digits in range(1, 10)
                if struct.pack("<f", float(text := f"{value:.{digits}g}")) == bits)


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is Python's: JSON has null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _whole(text: str) -> int | float:
    value = int(text)
    return value if -(1 << 63) <= value < 1 << 64 else _finite(text)


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite, parse_int=_whole)


def is_item(line: bytes) -> bool:
    """Blank lines and headers of runs are no lines of an input."""
    return bool(line.strip()) and not line.startswith(HEADER_START)
