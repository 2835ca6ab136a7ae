"""The task surprisal: a row for each word, or region, of a table's texts, as `dyadctl surprisal` has them."""
from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from dyad_serve import _json, _run_tasks, _wire

_DEFAULTS = {"unit": "bits", "correction": "NONE", "split": "WHITESPACE"}


def _columns(given: _json.Object) -> tuple[str, ...]:
    kind = "region" if given.get("regions") else "word"
    return (f"{kind}_index", kind, "begin", "end", "tokens", *(("shared_tokens",) if given.get("regions") else ()),
            "surprisal", "unit", "correction")


def places(given: _json.Object) -> tuple[str, str]:
    """The columns of text and context."""
    found = _run_tasks.columns(given.get("columns", ""), ("text", "context"))
    return found.get("text", "text"), found.get("context", "context")


def _check(line: _json.Object, given: _json.Object) -> None:
    text, context = places(given)
    own = _run_tasks.text_of(line, text)
    if _run_tasks.has(line, context):
        _run_tasks.text_of(line, context)
    if given.get("regions"):
        _spans(line, given["regions"], own)


def _ask(line: _json.Object, given: _json.Object) -> Any:
    text, context = places(given)
    request = _run_tasks.empty_request(given)
    request.words.CopyFrom(_wire.message("WordOptions")(split=_run_tasks.enum(given, "split"),
                                                        correction=_run_tasks.enum(given, "correction")))
    item = request.items.add(text=line[text])
    if _run_tasks.has(line, context):
        item.context_text = line[context]
    if given.get("regions"):
        for begin, end in _spans(line, given["regions"], line[text]):
            item.regions.add(begin=begin, end=end)
    return request


def _answer(line: _json.Object, given: _json.Object, response: Any) -> list[_json.Object]:
    [score] = response.scores
    kind, spans = ("region", score.regions) if given.get("regions") else ("word", score.words)
    text = line[places(given)[0]].encode()
    rows = []
    for index, span in enumerate(spans):
        row = {f"{kind}_index": index, kind: text[span.begin:span.end].decode(errors="replace"),
               "begin": len(text[:span.begin].decode()), "end": len(text[:span.end].decode()), "tokens": span.tokens}
        if kind == "region":
            row["shared_tokens"] = span.shared_tokens
        row.update(surprisal=_in_unit(span.logprob, given["unit"]) if span.HasField("logprob") else None, unit=given["unit"],
                   correction=given["correction"].lower())
        rows.append(row)
    return rows


def _in_unit(logprob: float, unit: str) -> float:
    if unit == "logprob":
        return logprob
    return -logprob / math.log(2) if unit == "bits" else -logprob


def _spans(line: _json.Object, column: str, text: str) -> Sequence[tuple[int, int]]:
    """Bytes of the regions that a cell gives."""
    if column not in line:
        raise ValueError(f"'{column}' is not in this row")
    value = line[column]
    if isinstance(value, str):  # "12:18" is no JSON
        try:
            value = _json.parse(value.encode())
        except ValueError:
            pass
    return [_span_of_text(one, text) if isinstance(one, dict) else _span_of_numbers(one, text)
            for one in (value if isinstance(value, list) else [value])]


def _span_of_numbers(cell: Any, text: str) -> tuple[int, int]:
    written = cell if isinstance(cell, str) else _json.format_line(cell)
    match = re.fullmatch(r"\s*([+-]?[0-9]+)\s*:\s*([+-]?[0-9]+)\s*", written)
    if match is None:
        raise ValueError(f"the region '{written}' is neither 12:18 nor JSON")
    begin, end = int(match[1]), int(match[2])
    if not 0 <= begin < end <= len(text):
        raise ValueError(f"the region '{written}' is not inside the text's {len(text)} characters")
    return len(text[:begin].encode()), len(text[:end].encode())


def _span_of_text(cell: _json.Object, text: str) -> tuple[int, int]:
    piece, nth = cell.get("text"), cell.get("nth", 1)
    if not isinstance(piece, str) or not piece or not isinstance(nth, int) or nth is True or nth < 1 or cell.keys() - {"text", "nth"}:
        raise ValueError(f'the region {_json.format_line(cell)} must be {{"text": "...", "nth": 1}}')
    at = text.find(piece)
    for _ in range(nth - 1):
        at = at if at < 0 else text.find(piece, at + 1)
    if at < 0:
        raise ValueError(f"the region {_json.format_line(cell)} does not stand in the text")
    begin = len(text[:at].encode())
    return begin, begin + len(piece.encode())


TASK = _run_tasks.Task("LM_EVAL", ("correction", "split", "regions", "columns", "prefix", "format", "unit"), None, _check,
                       _run_tasks.one_call("ScoringService/Score", _ask), _answer, defaults=_DEFAULTS, columns=_columns)
