"""The task reading of `dyadctl evaluate`: how surprising a word is after the words before it, for reading times."""
from __future__ import annotations

from typing import Any

from dyad_serve import _json, _run_tasks, _wire

# The column with the row's number; "item" is the table's own.
NUMBER = "index"
_KEYS = ("item", "word", "prev_item", "prev_word")


def places(given: _json.Object) -> list[str]:
    """The columns of item, word, prev_item and prev_word."""
    found = _run_tasks.columns(given.get("columns", ""), _KEYS)
    return [found.get(key, key) for key in _KEYS]


def _words(line: _json.Object, given: _json.Object) -> list[tuple[str, str]]:
    """What stands before the word, and the word; the one before it, too, unless prev_item is empty or null."""
    item, word, prev_item, prev_word = places(given)
    words = list[tuple[str, str]]()
    for before, own in ((item, word), (prev_item, prev_word)):
        if words and before in line and line[before] in (None, ""):
            continue
        words.append((_run_tasks.text_of(line, before), _run_tasks.text_of(line, own)))
        if not words[-1][1]:
            raise ValueError(f"{own} is empty")
    return words


def _check(line: _json.Object, given: _json.Object) -> None:
    _words(line, given)


def _calls(line: _json.Object, given: _json.Object) -> _run_tasks.Calls:
    special_tokens = _run_tasks.enum(given, "special_tokens")
    request = _wire.message("ScoreRequest")(model=given["model"], special_tokens=special_tokens)
    for texts in _words(line, given):
        item = request.items.add()
        for ids, text, is_item in zip((item.context_ids, item.ids), texts, (True, False)):
            asked = _wire.message("TokenizeRequest")(model=given["model"], text=text, add_special_tokens=is_item,
                                                     special_tokens=special_tokens)
            tokens = yield "TokenizerService/Tokenize", asked
            ids.SetInParent()
            ids.ids.extend(tokens.ids)
    yield "ScoringService/Score", request


def _answer(_: _json.Object, __: _json.Object, response: Any) -> list[_json.Object]:
    values = [-score.sum for score in response.scores]
    return [{"pred": values[0], "prev_pred": values[1] if len(values) > 1 else None}]


# Its only convention is no option.
TASK = _run_tasks.Task("", ("columns", "prefix", "format"), None, _check, _calls, _answer, defaults={"convention": "BABYLM"},
                       columns=lambda given: ("pred", "prev_pred"), number=NUMBER, format="csv", output_as_input=True)
