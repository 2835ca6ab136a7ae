"""Two runs over the same input, item by item: the numbers of `dyadctl compare`."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from dyad_serve import _evaluate, _json, _run_header, _run_tasks, _statistics, errors
from dyad_serve.run import read_run
from dyad_serve.table import Table


@dataclasses.dataclass(frozen=True)
class RunComparison:
    """How two runs differ. A difference is the second less the first.

    headers   of both
    rows      row, items, first, second (means), difference, low, high (95 % paired bootstrap), first_better,
              second_better (items), p (McNemar's exact), p_holm (adjusted over the rows)
    pooled    the same over all items, without p_holm; None if no item has a score in both
    changes   the items whose score differs, those whose margin moved furthest first
    left_out  items without a score in one of the runs
    """

    headers: tuple[dict[str, Any], dict[str, Any]]
    rows: Table
    pooled: dict[str, Any] | None
    changes: Table
    left_out: int

    def frame(self) -> Any:
        """The rows as a pandas.DataFrame; ImportError without pandas."""
        return self.rows.frame()

    def _repr_html_(self) -> str:
        runs = Table({"": place, "model": header.get("model", {}).get("name"), "convention": header.get("convention"),
                      "run": header.get("run")} for place, header in zip(("first", "second"), self.headers))
        rows = Table([*self.rows, *([{"row": "pooled", **self.pooled}] if self.pooled else [])])
        left_out = f"<p>{self.left_out} items have no score in one of the runs</p>" if self.left_out else ""
        return runs._repr_html_() + rows._repr_html_() + left_out + self.changes._repr_html_()


@dataclasses.dataclass(frozen=True)
class _Item:
    row: str
    score: float | None  # none: it failed, or has no label
    margin: float = 0.0  # of the right text over the best other one


def compare(first: _json.Path, second: _json.Path) -> RunComparison:
    """Compares the files of two runs of pairs, blimp or a task of `dyadctl evaluate`. RunMismatch if they are not over
    the same items, DyadError if one of them has answers of another kind or fewer answers. No server is asked."""
    headers, runs = zip(*(_read(path) for path in (first, second)))
    differences = {}
    for part, key in (("input", "sha256"), ("task", "name"), ("options", "limit")):
        there, now = (header.get(part, {}).get(key) for header in headers)
        if there != now or (there is None and key == "sha256"):
            differences[f"{part}.{key}"] = there, now
    if differences:
        raise _run_header.RunMismatch("the runs are not over the same items", differences)
    if len(runs[0]) != len(runs[1]):
        raise errors.make("FAILED_PRECONDITION", f"the first run has {len(runs[0])} answers, the second {len(runs[1])}: "
                                                 "the same command goes on with the shorter one")
    rows: dict[str, list[tuple[float, float]]] = {}
    everything: list[tuple[float, float]] = []
    changes = []
    for number, (a, b) in enumerate(zip(*runs), 1):
        if a.score is None or b.score is None:
            continue
        rows.setdefault(a.row, []).append((a.score, b.score))
        everything.append((a.score, b.score))
        if a.score != b.score:
            changes.append({"answer": number, "row": a.row, "first": a.score, "second": b.score, "first_margin": a.margin,
                            "second_margin": b.margin})
    changes.sort(key=lambda change: -abs(change["second_margin"] - change["first_margin"]))
    names = sorted(rows)
    strata = [[b - a for a, b in rows[name]] for name in names]
    bootstrap = _statistics.Bootstrap()
    tallies = [{"row": name, **_tally(rows[name], *bootstrap.interval([(stratum, 1.0)]))}
               for name, stratum in zip(names, strata)]
    for tally, adjusted in zip(tallies, _statistics.holm_adjusted([tally["p"] for tally in tallies])):
        tally["p_holm"] = adjusted
    ends = bootstrap.interval([(stratum, len(stratum) / len(everything)) for stratum in strata])
    return RunComparison((headers[0], headers[1]), Table(tallies), _tally(everything, *ends) if everything else None,
                         Table(changes), len(runs[0]) - len(everything))


def _tally(scores: Sequence[tuple[float, float]], low: float, high: float) -> dict[str, Any]:
    n, first, second = len(scores), sum(a for a, _ in scores), sum(b for _, b in scores)
    only = sum(a > b for a, b in scores), sum(a < b for a, b in scores)
    return {"items": n, "first": first / n, "second": second / n, "difference": (second - first) / n, "low": low,
            "high": high, "first_better": only[0], "second_better": only[1], "p": _statistics.mcnemar_p(*only)}


def _read(path: _json.Path) -> tuple[dict[str, Any], list[_Item]]:
    run = read_run(path)
    values = "means" if run.header.get("convention") == "MINICONS_MEAN" else "sums"  # what decides
    items = []
    prefix = run.header.get("options", {}).get("prefix", "")
    are_pairs = run.header.get("task", {}).get("name") in ("pairs", "blimp", "blimp_supplement")
    for number, answer in enumerate(run.rows, 1):
        item = _item(_without_prefix(answer, prefix) if prefix else answer, None if are_pairs else values)
        if item is None:
            raise errors.make("FAILED_PRECONDITION", f"{path}: answer {number} is no answer of pairs or of a task with scores")
        items.append(item)
    return run.header, items


def _without_prefix(answer: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    names = *_evaluate.ANSWERS, *_run_tasks.PAIR_ANSWERS
    own = {key: value for key, value in answer.items() if key not in names}
    return {**own, **{key: answer[prefix + key] for key in names if prefix + key in answer}}


def _item(answer: Mapping[str, Any], values_key: str | None) -> _Item | None:
    """`values_key`: of a task; None: the answer is one of pairs. None for an answer of another kind."""
    if "error" in answer:
        return _Item(paradigm(answer), None)
    if values_key is None:
        fits = isinstance(answer.get("correct"), bool) and _is_number(answer.get("margin"))
        return _Item(paradigm(answer), float(answer["correct"]), answer["margin"]) if fits else None
    row, values, score = (answer.get(key) for key in ("row", values_key, "score"))
    if not isinstance(row, str) or not isinstance(values, list) or "score" not in answer:
        return None
    if not _is_number(score):
        return _Item(row, None)
    label, margin = answer.get("label"), 0.0
    label = label if isinstance(label, int) and label >= 0 else 0
    if isinstance(answer.get("best"), int) and label < len(values) > 1 and all(map(_is_number, values)):
        margin = values[label] - max(value for i, value in enumerate(values) if i != label)
    return _Item(row, float(answer["score"]), margin)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def paradigm(answer: Mapping[str, Any]) -> str:
    """A pair's row: UID, else its phenomenon."""
    uid, term, phenomenon = (answer.get(key) if isinstance(answer.get(key), str) else ""
                             for key in ("UID", "linguistics_term", "phenomenon"))
    if term == "s-selection":  # BLiMP's 13 terms make its 12 phenomena
        term = "argument_structure"
    return str(uid or term or phenomenon or "all")
