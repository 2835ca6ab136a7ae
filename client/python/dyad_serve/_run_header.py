"""The header of a run: client/schema/run.schema.json says its fields. The id is a digest of those that decide over
the answers, as dyadctl's."""
from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dyad_serve import _json, errors

_KEY = "dyad_run"
_ORDER = ("model", "task", "convention", "special_tokens", "options", "unit", "input", "server", "client", "command",
          "created")
_OBJECTS = ("model", "task", "options", "input", "server", "client")
_COUNTS = ("bytes", "items")
_BOUND = ("format", "task", "convention", "special_tokens", "options", "unit")
_BOUND_OF = {"model": ("digest", "tokenizer_digest", "weight_dtype", "kv_dtype", "arithmetic"), "input": ("sha256",)}


class RunMismatch(errors.DyadError):
    """A file is of another run, or two runs are not over the same items.

    field, there, now  the first field that differs, such as "model.digest", and its two values; None: it is not there
    differences        all of them: {field: (there, now)}
    """

    def __init__(self, what: str, differences: dict[str, tuple[Any, Any]]) -> None:
        told = {field: f"{field} is {_told(there)} there and {_told(now)} now" for field, (there, now) in differences.items()}
        super().__init__("FAILED_PRECONDITION", f"{what}: {', '.join(told.values())}", fields=told)
        self.differences = differences
        self.field, (self.there, self.now) = next(iter(differences.items()))


def finish(fields: _json.Object) -> _json.Object:
    """The whole header, in the schema's order."""
    header: _json.Object = {"format": "dyad.run/1", "run": ""}
    header.update((key, fields[key]) for key in _ORDER if key in fields)
    header["run"] = run_id(header)
    return header


def run_id(header: _json.Object) -> str:
    text = json.dumps(_bound(header), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_run_id(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{12}", value) is not None


def line(header: _json.Object) -> str:
    return _json.format_line({_KEY: header}) + "\n"


def read(text: bytes, path: str) -> _json.Object:
    """The header in a line of a file. DyadError if it is none."""
    try:
        header = _json.parse_line(text).get(_KEY)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise errors.make("FAILED_PRECONDITION", f"{path}: it has no header of a run")
    for key, value in header.items():
        fits = isinstance(value, dict if key in _OBJECTS else str)
        if fits and key in _OBJECTS and key != "options":
            fits = all(isinstance(member, int if name in _COUNTS else str) for name, member in value.items())
        if not fits:
            raise errors.make("FAILED_PRECONDITION",
                              f"{path}: its header has {key} {_json.format_line(value)}, which no run has")
    return header


def check_same(there: _json.Object, now: _json.Object, path: str) -> None:
    """Raises RunMismatch if the two are of different runs."""
    old, new = _flat(_bound(there)), _flat(_bound(now))
    if old == new:  # then somebody changed the header, unless the ids are equal, too
        old, new = {"run": there.get("run")}, {"run": now["run"]}
    differences = {field: (old.get(field), new.get(field)) for field in sorted(old.keys() | new.keys())
                   if old.get(field) != new.get(field)}
    if differences:
        raise RunMismatch(f"{path} cannot be gone on with: its answers are of another run", differences)


def _bound(header: _json.Object) -> _json.Object:
    bound = {key: header[key] for key in _BOUND if key in header}
    for part, keys in _BOUND_OF.items():
        if part in header:
            bound[part] = {key: header[part][key] for key in keys if key in header[part]}
    return bound


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every value that is no object, by its path."""
    if not isinstance(value, dict):
        return {path: value}
    flat: dict[str, Any] = {}
    for key, member in value.items():
        flat.update(_flat(member, f"{path}.{key}" if path else key))
    return flat


def _told(value: Any) -> str:
    return "not given" if value is None else _json.format_line(value)
