"""Tasks of `dyadctl evaluate`: what of a line is compared, and what the answer counts. Layouts: docs/linguists.md."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dyad_serve import _json, _run_tasks
from dyad_serve._run_tasks import Task, has

ANSWERS = ("row", "sums", "means", "scored_tokens", "best", "tie", "score", "p_first")
_EWOK = ("Domain", "Context1", "Context2", "Target1", "Target2")
_COMPS = ("prefix_acceptable", "prefix_unacceptable", "property_phrase")


class _Phrase(NamedTuple):
    """What is compared, and what stands before it."""

    context: str | None
    text: str


_Phrases = Callable[[_json.Object, _json.Object], Sequence[_Phrase]]


def _after(line: _json.Object, *places: tuple[str, str]) -> list[_Phrase]:
    return [_Phrase(line[context], " " + line[target]) for context, target in places]


def _ewok(line: _json.Object, given: _json.Object) -> Sequence[_Phrase]:
    if given["variant"] == "babylm":
        return _after(line, ("Context1", "Target1"), ("Context1", "Target2"))
    return _after(line, ("Context1", "Target1"), ("Context2", "Target1"), ("Context2", "Target2"), ("Context1", "Target2"))


def _comps(line: _json.Object, _: _json.Object) -> Sequence[_Phrase]:
    return _after(line, ("prefix_acceptable", "property_phrase"), ("prefix_unacceptable", "property_phrase"))


def _wug(line: _json.Object, _: _json.Object) -> Sequence[_Phrase]:
    return [_Phrase(None, form) for form in line["sentences"].split("\t")]


def _options(key: str) -> _Phrases:
    return lambda line, given: [_Phrase(line.get(key), option) for option in line["options"]]


def _key_fault(key: str, line: _json.Object, expected: str) -> ValueError:
    if key not in line:
        return ValueError(f"lacks the key {key}")
    return ValueError(f"{key} must be {expected}, found: {_json.format_line(line[key])[:80]}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_options(line: _json.Object) -> None:
    options = line.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= 64 or not all(isinstance(text, str) for text in options):
        raise _key_fault("options", line, "a list of 2 to 64 strings")


def _check_choice(line: _json.Object) -> None:
    _check_options(line)
    for key in ("context", "group"):
        if has(line, key) and not isinstance(line[key], str):
            raise _key_fault(key, line, "a string")
    if has(line, "label") and not (_is_whole(line["label"]) and 0 <= line["label"] < len(line["options"])):
        raise _key_fault("label", line, "the number of an option, from 0")


def _check_entities(line: _json.Object) -> None:
    _check_options(line)
    if not _is_whole(line.get("numops")):
        raise _key_fault("numops", line, "an integer")


def _check_wug(line: _json.Object) -> None:
    if line["sentences"].count("\t") != 1:
        raise _key_fault("sentences", line, "two texts with a tab between")
    if not isinstance(line.get("ratio"), (int, float)) or isinstance(line["ratio"], bool):
        raise _key_fault("ratio", line, "a number")


def _check(name: str, texts: Sequence[str], more: Callable[[_json.Object], None]) -> Callable[[_json.Object, _json.Object], None]:
    def check(line: _json.Object, given: _json.Object) -> None:
        for key in texts:
            if not isinstance(line.get(key), str):
                raise _key_fault(key, line, "a string")
        more(line)
        if name != "choices" and "context" in line:
            raise ValueError(f"has a context, which the task {name} does not have")
        _run_tasks.check_own_keys(line, given, ANSWERS)

    return check


def _ask(phrases: _Phrases) -> Callable[[_json.Object, _json.Object], Any]:
    def ask(line: _json.Object, given: _json.Object) -> Any:
        request = _run_tasks.empty_request(given)
        for context, text in phrases(line, given):
            item = request.items.add(text=text)
            if context is None:
                continue
            if given["convention"] == "BABYLM":  # the whole, of which the phrase counts; its blank belongs to a token of it
                item.text = context + text
                item.scored.begin = len(context.encode()) + len(text) - len(text.lstrip(" "))
                item.scored.end = len(item.text.encode())
            else:
                item.context_text = context
        return request

    return ask


def _answer(row: Callable[[_json.Object], str], kind: str) -> Callable[[_json.Object, _json.Object, Any], _json.Object]:
    def plain(line: _json.Object, given: _json.Object, response: Any) -> _json.Object:
        scores = response.scores
        found: _json.Object = {"row": row(line), "sums": [score.sum for score in scores],
                               "means": [score.mean for score in scores],
                               "scored_tokens": [score.scored_tokens for score in scores]}
        values = found["means" if given["convention"] == "MINICONS_MEAN" else "sums"]
        if given.get("variant") == "paper":
            found["tie"] = values[0] == values[1] or values[2] == values[3]
            found["score"] = 0.5 * (values[0] >= values[1]) + 0.5 * (values[2] >= values[3])
            return found
        best = values.index(max(values))
        found.update(best=best, tie=values.count(max(values)) > 1)
        if kind == "wug":
            found["p_first"] = _logistic(values[0] - values[1])
        else:
            label = line.get("label") if kind == "choices" else 0
            found["score"] = None if label is None else float(best == label)
        return found

    def answer(line: _json.Object, given: _json.Object, response: Any) -> _json.Object:
        return {given.get("prefix", "") + key: value for key, value in plain(line, given, response).items()}

    return answer


def _logistic(x: float) -> float:
    try:
        return 1 / (1 + math.exp(-x))
    except OverflowError:
        return 0.0


def _file(line: _json.Object) -> str:
    return str(line["file"]) if isinstance(line.get("file"), str) else ""


def _task(name: str, texts: Sequence[str], more: Callable[[_json.Object], None], phrases: _Phrases,
          row: Callable[[_json.Object], str], variants: tuple[str, ...] = ()) -> Task:
    kind = "wug" if name.startswith("wug_") else name
    return Task("BABYLM", (*_run_tasks.FILES, "prefix"), "file", _check(name, texts, more),
                _run_tasks.one_call("ScoringService/Score", _ask(phrases)), _answer(row, kind), variants=variants)


TASKS = {
    "choices": _task("choices", (), _check_choice, _options("context"),
                     lambda line: line["group"] if isinstance(line.get("group"), str) else "all"),
    "comps": _task("comps", _COMPS, lambda line: None, _comps,
                   lambda line: _file(line).removeprefix("comps_").replace("-", "_")),
    "entity_tracking": _task("entity_tracking", ("input_prefix",), _check_entities, _options("input_prefix"),
                             lambda line: f"{_file(line)}_{line['numops']}_ops"),
    "ewok": _task("ewok", _EWOK, lambda line: None, _ewok, lambda line: str(line["Domain"]), ("babylm", "paper")),
    **{name: _task(name, ("sentences",), _check_wug, _wug, lambda line, name=name: name)  # type: ignore[misc]
       for name in ("wug_adj", "wug_past")},
}
