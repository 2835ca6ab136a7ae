"""Scores as tables of surprisals."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dyad_serve import results
from dyad_serve._requests import Span, SpanOptions
from dyad_serve.table import Table

_UNITS: dict[str, Callable[[float], float]] = {
    "bits": lambda logprob: -logprob / math.log(2),
    "nats": lambda logprob: -logprob,
    "logprob": lambda logprob: logprob,
}
_BY = ("word", "region", "token")


def options(by: str, unit: str, split: str, correction: str, regions: Sequence[Sequence[Span]] | None) -> SpanOptions:
    """What `score` is asked for. ValueError names the argument and what it may be."""
    if by not in _BY:
        raise ValueError(f"by is {by!r}; it is one of {', '.join(_BY)}")
    if unit not in _UNITS:
        raise ValueError(f"unit is {unit!r}; it is one of {', '.join(_UNITS)}")
    if (regions is None) == (by == "region"):
        raise ValueError("by='region' and regions are given together")
    if by == "token" and correction.upper() != "NONE":
        raise ValueError(f"correction is {correction!r}; tokens have none")
    return {} if by == "token" else {"words": split, "correction": correction, "regions": regions}


def table(scores: Sequence[results.Score], by: str, unit: str, correction: str) -> Table:
    """A row for each word, region or token."""
    convert = _UNITS[unit]

    def surprisal(logprob: float | None) -> float | None:
        return None if logprob is None else convert(logprob)

    def rows() -> Iterator[dict[str, Any]]:
        for item, score in enumerate(scores):
            if by == "token":
                for index, token in enumerate(score.tokens):
                    yield {"item": item, "token_index": index, "token": token.text, "id": token.id,
                           "surprisal": surprisal(token.logprob), "unit": unit}
                continue
            for index, span in enumerate(score.words if by == "word" else score.regions):
                yield {"item": item, f"{by}_index": index, by: span.text, "begin": span.begin, "end": span.end,
                       "tokens": span.tokens, "surprisal": surprisal(span.logprob), "unit": unit,
                       "correction": correction.lower()}

    return Table(rows())
