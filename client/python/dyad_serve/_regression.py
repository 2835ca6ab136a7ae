"""How much of reading times a model's surprisal explains: BabyLM's regressions over a table of the task reading."""
from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dyad_serve import _json
from dyad_serve.run import read_run
from dyad_serve.table import Table

# Of BabyLM's table: what is predicted, and by what besides `pred`.
OUTCOMES = ("RTfirstfix", "RTfirstpass", "RTgopast", "RTrightbound", "self_paced_reading_time", "ELAN", "LAN", "N400", "P600",
            "EPNP", "PNP")
BASELINE = "Subtlex_log10", "length", "context_length"
SPILLOVER = *BASELINE, "prev_length", "prev_pred"


@dataclasses.dataclass(frozen=True)
class Regression:
    """A linear regression on a baseline and the products of every two of its columns, and on `pred` besides.

    items        rows that have all values; the others are left out
    r2_baseline  R² without pred
    r2           R² with it
    share        (r2 − r2_baseline) / (1 − r2_baseline): what pred explains of what the baseline leaves
    coefficient  of pred, in units of the outcome a nat
    t            coefficient over its standard error, items − columns degrees of freedom
    """

    outcome: str
    items: int
    r2_baseline: float
    r2: float
    share: float
    coefficient: float
    t: float


@dataclasses.dataclass(frozen=True)
class ReadingScores:
    """BabyLM's two numbers, shares in per cent; None where the table lacks the columns.

    eye_tracking         the mean over the outcomes RT…, on BASELINE
    self_paced_reading   of self_paced_reading_time, on SPILLOVER
    rows                 a row for each regression: the fields of Regression, and whether it is on SPILLOVER
    """

    eye_tracking: float | None
    self_paced_reading: float | None
    rows: Table

    def frame(self) -> Any:
        """The rows as a pandas.DataFrame; ImportError without pandas."""
        return self.rows.frame()

    def _repr_html_(self) -> str:
        return self.rows._repr_html_()


def reading_scores(path: _json.Path) -> ReadingScores:
    """The regressions of BabyLM's pipeline over the output of `Run` or `dyadctl evaluate reading`, for the outcomes that
    it has. ValueError for a regression that is not determined."""
    run = read_run(path)
    prefix = run.header.get("options", {}).get("prefix", "")
    ours = {prefix + name: name for name in ("pred", "prev_pred")}
    rows = Table({ours.get(name, name): value for name, value in row.items()} for row in run.rows)
    there, found = set(rows.columns), []
    for columns in (BASELINE, SPILLOVER):
        for outcome in OUTCOMES:
            if {outcome, *columns} <= there:
                found.append((columns is SPILLOVER, regression(rows, outcome, columns)))
    eye = [one.share for spills, one in found if not spills and "RT" in one.outcome]
    self_paced = [one.share for spills, one in found if spills and one.outcome == "self_paced_reading_time"]
    return ReadingScores(100 * sum(eye) / len(eye) if eye else None, 100 * self_paced[0] if self_paced else None,
                         Table([{"spillover": spills, **dataclasses.asdict(one)} for spills, one in found]))


def regression(rows: Sequence[Mapping[str, Any]], outcome: str, baseline: Sequence[str] = BASELINE,
               pred: str = "pred") -> Regression:
    """Of any table: `baseline` are its columns. ValueError if there are too few rows, or a column says nothing new."""
    values = [found for row in rows if (found := _numbers(row, (outcome, pred, *baseline)))]
    y, x, *plain = map(list, zip(*values)) if values else ([], [], *([] for _ in baseline))
    columns = [[1.0] * len(y), *plain, *([a * b for a, b in zip(*two)] for two in itertools.combinations(plain, 2))]
    degrees = len(y) - len(columns) - 1
    if degrees < 1:
        raise ValueError(f"{outcome}: {len(y)} rows have all values; {len(columns) + 2} are needed")
    basis = list[list[float]]()
    for number, column in enumerate(columns):
        basis.append(_unit(column, basis, f"{outcome}: column {number} of the baseline"))
    mean = math.fsum(y) / len(y)
    deviations = [value - mean for value in y]
    total = _dot(deviations, deviations)
    if total == 0:
        raise ValueError(f"{outcome} is the same in all rows")
    left = _without(y, basis)
    own = _without(x, basis)
    size = _dot(own, own)
    if size <= 1e-18 * _dot(x, x):
        raise ValueError(f"{outcome}: {pred} says nothing that the baseline does not")
    coefficient = _dot(own, left) / size
    before = _dot(left, left)
    after = before - coefficient * coefficient * size
    return Regression(outcome, len(y), 1 - before / total, 1 - after / total, (before - after) / before if before else 0.0,
                      coefficient, coefficient / math.sqrt(after / degrees / size) if after > 0 else math.inf)


def _numbers(row: Mapping[str, Any], names: Sequence[str]) -> list[float] | None:
    """None if one is not there."""
    try:
        found = [float(row[name]) for name in names]
    except (TypeError, ValueError):  # null, an empty cell, "NA"
        return None
    return found if all(map(math.isfinite, found)) else None


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(map(float.__mul__, a, b))


def _without(column: Sequence[float], basis: Sequence[Sequence[float]]) -> list[float]:
    """What is left of a column beside an orthonormal basis; twice, as rounding leaves something of it the first time."""
    left = list(column)
    for direction in (*basis, *basis):
        share = _dot(left, direction)
        left = [a - share * b for a, b in zip(left, direction)]
    return left


def _unit(column: Sequence[float], basis: Sequence[Sequence[float]], name: str) -> list[float]:
    left = _without(column, basis)
    size = math.sqrt(_dot(left, left))
    if size <= 1e-9 * math.sqrt(_dot(column, column)):
        raise ValueError(f"{name} says nothing that those before it do not")
    return [value / size for value in left]
