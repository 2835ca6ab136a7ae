"""What a run asks for a line and what it writes as the answer: for each task the same bytes as dyadctl."""
from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from dyad_serve import _json, _pairs, _requests, _wire, errors

_PAIR_OPTIONS = ("sentence_good", "sentence_bad", "context")
_NOT_OF_PAIRS = ("context_ids", "convention", "special_tokens", "model")
_SCORE_OPTIONS = ("text", "ids", "context", "context_ids", "model", "convention", "special_tokens", "top_n", "word_split",
                  "word_correction")
_CHOICE_ANSWERS = ("row", "sums", "means", "scored_tokens", "best", "tie", "score", "p_first")
_ENUMS = {"convention": "Convention", "special_tokens": "SpecialTokens", "word_split": "WordSplit",
          "word_correction": "WordCorrection"}
# Of a letter less a misspelt word may be one of the caller's own.
_LONG_OPTION = 5
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclasses.dataclass(frozen=True)
class Task:
    """A command of dyadctl.

    options   that it takes beside convention and special_tokens
    file_key  as Input's
    check     raises ValueError or TypeError for a line that cannot be asked for
    ask       line, the run's options and model -> ScoreRequest; None: lines are pairs of a stream
    answer    line, the run's options, response or PairScore -> answer
    keeps     of a line's keys, those that come back with its answer
    """

    convention: str
    options: tuple[str, ...]
    file_key: str | None
    check: Callable[[_json.Object], object]
    ask: Callable[[_json.Object, _json.Object], Any] | None
    answer: Callable[[_json.Object, _json.Object, Any], _json.Object]
    keeps: Callable[[_json.Object], _json.Object] = dict


def option(name: str, value: Any) -> Any:
    """An option of a run, as its header has it. ValueError names what it may be."""
    if name in _ENUMS:
        _wire.enum_value(_ENUMS[name], str(value))
        return str(value).upper()
    if name == "details" and isinstance(value, bool):
        return value
    least = {"limit": 1, "top_n": 0}.get(name)
    if least is None or not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"option {name} is {value!r}; it must be "
                         f"{'true or false' if least is None else f'an integer of at least {least}'}")
    return value


def _enum(line: Mapping[str, Any], key: str) -> int:
    word = line[key]
    if not isinstance(word, str) or word != word.upper():
        raise ValueError(f"{key} is {word!r}; it must be a word in capitals")
    return _wire.enum_value(_ENUMS[key], word)


def _has(line: Mapping[str, Any], key: str) -> bool:
    return line.get(key) is not None


def _text(line: Mapping[str, Any], key: str) -> str:
    if not isinstance(line.get(key), str):
        raise ValueError(f"{key} must be a string, found: {_json.format_line(line[key]) if key in line else 'nothing'}")
    return str(line[key])


def _check_spelling(line: _json.Object, options: tuple[str, ...]) -> None:
    for key in line.keys() - set(options):
        for name in options:
            if distance(key, name) <= (2 if len(name.replace("_", "")) >= _LONG_OPTION else 0):
                raise ValueError(f"the key {key!r} is no option; {name!r} is one")


@functools.lru_cache(4096)  # lines have the same keys, mostly
def distance(a: str, b: str) -> int:
    """Letters to insert, drop or change until a is b; case, dashes and underscores aside, and beyond ASCII bytes."""
    first, second = (word.encode().lower().replace(b"-", b"").replace(b"_", b"") for word in (a, b))
    row = list(range(len(second) + 1))
    for byte in first:
        diagonal, row[0] = row[0], row[0] + 1
        for j, other in enumerate(second):
            changed = diagonal + (byte != other)
            diagonal, row[j + 1] = row[j + 1], min(changed, row[j] + 1, row[j + 1] + 1)
    return row[-1]


def _check_pair(line: _json.Object) -> None:
    for key in _NOT_OF_PAIRS:
        if _has(line, key):
            raise ValueError(f"{key}: a pair has none of its own")
    _check_spelling(line, _PAIR_OPTIONS)
    for key in ("sentence_good", "sentence_bad", *(["context"] if _has(line, "context") else [])):
        _text(line, key)


def _pair_answer(_: _json.Object, given: _json.Object, score: Any) -> _json.Object:
    if score.HasField("error"):
        return error_answer(_CODES[score.error.code], score.error.message)
    names = ("good_sum", "bad_sum", "good_mean", "bad_mean", "good_scored_tokens", "bad_scored_tokens", "margin", "tie",
             "correct")
    first = score.first_difference if score.HasField("first_difference") else None
    return {**{name: getattr(score, name) for name in names}, "first_difference": first}


def _ask_score(own: _json.Object, given: _json.Object) -> Any:
    _check_spelling(own, _SCORE_OPTIONS)
    line = {**given, **own}
    if _has(line, "text") == _has(line, "ids"):
        raise ValueError("either text or ids must be given")
    if _has(line, "context") and _has(line, "context_ids"):
        raise ValueError("context and context_ids: give one of them")
    request = _wire.message("ScoreRequest")(**{key: line[key] for key in ("model", "top_n") if _has(line, key)})
    for key in ("convention", "special_tokens"):
        if _has(line, key):
            setattr(request, key, _enum(line, key))
    words = {key: _enum(line, f"word_{key}") for key in ("split", "correction") if _has(line, f"word_{key}")}
    if words:
        request.words.CopyFrom(_wire.message("WordOptions")(**words))
    item = request.items.add()
    if _has(line, "text"):
        item.text = _text(line, "text")
    else:
        item.ids.CopyFrom(_requests.ids(line["ids"]))
    if _has(line, "context"):
        item.context_text = _text(line, "context")
    elif _has(line, "context_ids"):
        item.context_ids.CopyFrom(_requests.ids(line["context_ids"]))
    return request


def _score_answer(line: _json.Object, given: _json.Object, response: Any) -> _json.Object:
    [score] = response.scores

    def where_scored(value: Callable[[int], Any]) -> list[Any]:
        return [value(i) if scored else None for i, scored in enumerate(score.scored)]

    def top(i: int) -> list[_json.Object]:
        return [{"id": token.id, "text": token.text, "bytes": list(token.bytes), "logprob": _json.shortest(token.logprob)}
                for token in score.top[i].tokens]

    is_scored = score.scored_tokens > 0
    answer: _json.Object = {
        "ids": list(score.ids), "logprobs": where_scored(lambda i: _json.shortest(score.logprobs[i])),
        "greedy": where_scored(lambda i: score.greedy[i]), "sum": score.sum if is_scored else None,
        "mean": score.mean if is_scored else None, "scored_tokens": score.scored_tokens,
        "convention": _wire.enum_name("Convention", response.convention)}
    if score.top:
        answer["top"] = where_scored(top)
    text = str(line.get("text") or "").encode()
    if score.words:
        answer["words"] = [{"word": text[word.begin:word.end].decode(errors="replace"), "begin": word.begin, "end": word.end,
                            "tokens": word.tokens, "logprob": word.logprob if word.HasField("logprob") else None}
                           for word in score.words]
    if given.get("details"):
        answer.update(ranks=where_scored(lambda i: score.ranks[i]), texts=list(score.texts),
                      byte_offsets=list(score.byte_offsets))
    return answer


def _check_choice(line: _json.Object) -> None:
    options = line.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= 64 or not all(isinstance(text, str) for text in options):
        raise ValueError("options must be a list of 2 to 64 strings")
    for key in ("context", "group"):
        if _has(line, key):
            _text(line, key)
    label = line.get("label")
    if label is not None and (not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(options)):
        raise ValueError(f"label must be the number of an option, from 0, found: {_json.format_line(label)}")
    for key in _CHOICE_ANSWERS:
        if key in line:
            raise ValueError(f"has the key {key}, which the answer has too: rename it")


def _ask_choice(line: _json.Object, given: _json.Object) -> Any:
    request = _wire.message("ScoreRequest")(model=given["model"], convention=_enum(given, "convention"),
                                            special_tokens=_enum(given, "special_tokens"))
    context = line.get("context")
    for text in line["options"]:
        item = request.items.add(text=text)
        if context is None:
            continue
        if given["convention"] == "BABYLM":  # the whole, of which the option counts; its blank belongs to a token of it
            item.text = context + text
            item.scored.begin = len(context.encode()) + len(text) - len(text.lstrip(" "))
            item.scored.end = len(item.text.encode())
        else:
            item.context_text = context
    return request


def _choice_answer(line: _json.Object, given: _json.Object, response: Any) -> _json.Object:
    scores = response.scores
    values = [score.mean if given["convention"] == "MINICONS_MEAN" else score.sum for score in scores]
    best, label = values.index(max(values)), line.get("label")
    return {"row": line.get("group") or "all", "sums": [score.sum for score in scores],
            "means": [score.mean for score in scores], "scored_tokens": [score.scored_tokens for score in scores],
            "best": best, "tie": values.count(max(values)) > 1,
            "score": None if label is None else float(best == label)}


def error_answer(code: str, message: str) -> _json.Object:
    return {"error": {"code": code, "message": message}}


def is_of_line(error: errors.DyadError, line: _json.Object) -> bool:
    """Whether the same line gives the same error again: then it is its answer, else it ends the run."""
    if isinstance(error, errors.QueueFull):
        return False
    if error.code in ("NOT_FOUND", "FAILED_PRECONDITION"):
        named = ("model",) if error.code == "NOT_FOUND" else ("model", "convention", "context", "context_ids")
        return any(_has(line, key) for key in named)
    return error.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE", "INTERNAL", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")


def _own_keys_of_score(line: _json.Object) -> _json.Object:
    return {key: value for key, value in line.items() if key not in _SCORE_OPTIONS}


# Lines as they are, PairScore messages as they came.
STREAM: _pairs.Kind[Any] = _pairs.Kind(_requests.pair, "pairs", "results", lambda score, index: score)

TASKS = {
    "score": Task("LM_EVAL", ("top_n", "word_split", "word_correction", "details"), None,
                  lambda line: _ask_score(line, {}), _ask_score, _score_answer, _own_keys_of_score),
    "pairs": Task("LM_EVAL", (), None, _check_pair, None, _pair_answer),
    "blimp": Task("LM_EVAL", ("limit",), "UID", _check_pair, None, _pair_answer),
    "blimp_supplement": Task("BABYLM", ("limit",), "UID", _check_pair, None, _pair_answer),
    "choices": Task("BABYLM", ("limit",), "file", _check_choice, _ask_choice, _choice_answer),
}
