"""Scores as tables of surprisals."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dyad_serve import results
from dyad_serve.table import Table

_UNITS: dict[str, Callable[[float], float]] = {
    "bits": lambda logprob: -logprob / math.log(2),
    "nats": lambda logprob: -logprob,
    "logprob": lambda logprob: logprob,
}


def check(by: str, unit: str) -> None:
    """ValueError names the argument and what it may be."""
    if by != "token":
        raise ValueError(f"by is {by!r}; it is 'token'")
    if unit not in _UNITS:
        raise ValueError(f"unit is {unit!r}; it is one of {', '.join(_UNITS)}")


def table(scores: Sequence[results.Score], unit: str) -> Table:
    """A row for each token."""
    convert = _UNITS[unit]
    return Table({"item": item, "token_index": index, "token": token.text, "id": token.id,
                  "surprisal": None if token.logprob is None else convert(token.logprob), "unit": unit}
                 for item, score in enumerate(scores) for index, token in enumerate(score.tokens))
