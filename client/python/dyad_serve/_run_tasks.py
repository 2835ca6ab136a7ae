"""What a run asks for a line and what it writes as the answer: for each task the same bytes as dyadctl."""
from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import grpc

from dyad_serve import _fields, _json, _pairs, _requests, _wire, errors

_PAIR_OPTIONS = ("sentence_good", "sentence_bad", "context")
_NOT_OF_PAIRS = ("context_ids", "convention", "special_tokens", "model")
SCORE_OPTIONS = ("text", "ids", "context", "context_ids", "model", "convention", "special_tokens", "top_n", "word_split",
                  "word_correction")
_ENUMS = {"convention": "Convention", "special_tokens": "SpecialTokens", "word_split": "WordSplit",
          "word_correction": "WordCorrection", "split": "WordSplit", "correction": "WordCorrection"}
# Keys of an answer of pairs.
PAIR_ANSWERS = ("good_sum", "bad_sum", "good_mean", "bad_mean", "good_scored_tokens", "bad_scored_tokens", "margin", "tie",
                "correct", "first_difference")
_TEXTS = "variant", "columns", "prefix", "regions"
# Of the tasks whose input may be a folder or archive.
FILES = "limit", "format", "columns"
# Of a letter less a misspelt word may be one of the caller's own.
_LONG_OPTION = 5
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


# What a line asks for, call by call: yields a method's name and its request, takes the response.
Calls = Generator[tuple[str, Any], Any, None]


@dataclasses.dataclass(frozen=True)
class Task:
    """A command of dyadctl.

    convention      the default; empty: it has none
    options         that it takes beside convention and special_tokens, in the header's order
    file_key        as Input's
    check           line, the run's options: raises ValueError or TypeError for a line that cannot be asked for
    calls           line, the run's options and model -> its calls; None: lines are pairs of a stream
    answer          line, the run's options, last response or PairScore -> answer; of `columns` a list of rows
    line_options    keys of a line that are no answer's business: the others come back with it
    variants        the first is the default
    defaults        of options that the header always has
    columns         the run's options -> the rows' own columns, between number and run; None: an answer is a line
    number          of `columns`: the column with the number of the input's row
    format          of `columns`: what files are whose names do not say it
    output_as_input  whether an output whose name does not say its format has the input's
    special_tokens  the default; empty: it has none
    """

    convention: str
    options: tuple[str, ...]
    file_key: str | None
    check: Callable[[_json.Object, _json.Object], object]
    calls: Callable[[_json.Object, _json.Object], Calls] | None
    answer: Callable[[_json.Object, _json.Object, Any], Any]
    line_options: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    defaults: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: Callable[[_json.Object], tuple[str, ...]] | None = None
    number: str = "item"
    format: str = "jsonl"
    output_as_input: bool = False
    special_tokens: str = "PARSE"

    @property
    def names(self) -> tuple[str, ...]:
        """Of all options."""
        common = {"convention": self.convention, "special_tokens": self.special_tokens, "variant": self.variants}
        return *(name for name in common if common[name]), *self.options

    def keeps(self, line: _json.Object) -> _json.Object:
        """Of a line's keys, those that come back with its answer."""
        return {key: value for key, value in line.items() if key not in self.line_options}


def one_call(method: str, ask: Callable[[_json.Object, _json.Object], Any]) -> Callable[[_json.Object, _json.Object], Calls]:
    """The calls of a line that is one request."""
    def calls(line: _json.Object, given: _json.Object) -> Calls:
        yield method, ask(line, given)

    return calls


def option(name: str, value: Any) -> Any:
    """An option of a run, as its header has it. ValueError names what it may be."""
    if name in _ENUMS:
        _wire.enum_value(_ENUMS[name], str(value))
        return str(value).upper()
    words = {"unit": ("bits", "nats", "logprob"), "format": ("jsonl", "csv", "tsv")}.get(name)
    if words is not None:
        if value not in words:
            raise ValueError(f"option {name} is {value!r}; it is one of {', '.join(words)}")
        return value
    if name == "columns" and isinstance(value, Mapping):
        return ",".join(f"{key}={column}" for key, column in value.items())
    if name in _TEXTS:
        if not isinstance(value, str):
            raise ValueError(f"option {name} is {value!r}; it must be a string")
        return value
    if name == "details" and isinstance(value, bool):
        return value
    kind = "DetokenizeRequest" if name == "skip_special_tokens" else "GenerateRequest"
    if name in _wire.message(kind).DESCRIPTOR.fields_by_name:
        return _field(kind, name, value)
    least = {"limit": 1, "top_n": 0}.get(name)
    if least is None or not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"option {name} is {value!r}; it must be "
                         f"{'true or false' if least is None else f'an integer of at least {least}'}")
    return value


def _field(kind: str, name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        value = {str(key): member for key, member in value.items()}
    elif name == "stop" and isinstance(value, str):
        value = [value]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        value = list(value)
    try:
        _fields.message(kind, {name: value})
    except ValueError as error:
        raise ValueError(f"option {error}") from None
    return value


def enum(line: Mapping[str, Any], key: str) -> int:
    word = line[key]
    if not isinstance(word, str) or word != word.upper():
        raise ValueError(f"{key} is {word!r}; it must be a word in capitals")
    return _wire.enum_value(_ENUMS[key], word)


def has(line: Mapping[str, Any], key: str) -> bool:
    return line.get(key) is not None


def text_of(line: Mapping[str, Any], key: str) -> str:
    if not isinstance(line.get(key), str):
        raise ValueError(f"{key} must be a string, found: {_json.format_line(line[key]) if key in line else 'nothing'}")
    return str(line[key])


def check_spelling(line: _json.Object, options: tuple[str, ...]) -> None:
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


def columns(text: str, keys: tuple[str, ...] = ()) -> dict[str, str]:
    """What "sentence_good=acceptable" says: {ours: theirs}. ValueError names what it is not."""
    found: dict[str, str] = {}
    for piece in filter(None, text.split(",")):
        key, _, column = piece.partition("=")
        if not key or not column or keys and key not in keys:
            raise ValueError(f"option columns: {piece!r} is no KEY=COLUMN{' with KEY one of ' if keys else ''}{', '.join(keys)}")
        if key in found or column in found.values():
            raise ValueError(f"option columns: {piece!r} repeats a name")
        found[key] = column
    return found


def check_pair(line: _json.Object, _: _json.Object) -> None:
    for key in _NOT_OF_PAIRS:
        if has(line, key):
            raise ValueError(f"{key}: a pair has none of its own")
    check_spelling(line, _PAIR_OPTIONS)
    for key in ("sentence_good", "sentence_bad", *(["context"] if has(line, "context") else [])):
        text_of(line, key)


def check_own_keys(line: _json.Object, given: _json.Object, names: Sequence[str]) -> None:
    for name in names:
        key = given.get("prefix", "") + name
        if key in line:
            raise ValueError(f"has the key {key}, which the answer has too; prefix='dyad_' renames the answer's")


def check_pair_of_task(line: _json.Object, given: _json.Object) -> None:
    check_pair(line, given)
    check_own_keys(line, given, PAIR_ANSWERS)


def pair_answer(_: _json.Object, given: _json.Object, score: Any) -> _json.Object:
    if score.HasField("error"):
        return error_answer(_CODES[score.error.code], score.error.message)
    answer = {name: getattr(score, name) for name in PAIR_ANSWERS}
    if not score.HasField("first_difference"):
        answer["first_difference"] = None
    return {given.get("prefix", "") + name: value for name, value in answer.items()}


def empty_request(given: _json.Object) -> Any:
    """A ScoreRequest by the run's options, as yet without items."""
    return _wire.message("ScoreRequest")(model=given["model"], convention=enum(given, "convention"),
                                         special_tokens=enum(given, "special_tokens"))


def ask_score(own: _json.Object, given: _json.Object) -> Any:
    check_spelling(own, SCORE_OPTIONS)
    line = {**given, **own}
    if has(line, "text") == has(line, "ids"):
        raise ValueError("either text or ids must be given")
    if has(line, "context") and has(line, "context_ids"):
        raise ValueError("context and context_ids: give one of them")
    request = _wire.message("ScoreRequest")(**{key: line[key] for key in ("model", "top_n") if has(line, key)})
    for key in ("convention", "special_tokens"):
        if has(line, key):
            setattr(request, key, enum(line, key))
    words = {key: enum(line, f"word_{key}") for key in ("split", "correction") if has(line, f"word_{key}")}
    if words:
        request.words.CopyFrom(_wire.message("WordOptions")(**words))
    item = request.items.add()
    if has(line, "text"):
        item.text = text_of(line, "text")
    else:
        item.ids.CopyFrom(_requests.ids(line["ids"]))
    if has(line, "context"):
        item.context_text = text_of(line, "context")
    elif has(line, "context_ids"):
        item.context_ids.CopyFrom(_requests.ids(line["context_ids"]))
    return request


def score_answer(line: _json.Object, given: _json.Object, response: Any) -> _json.Object:
    [score] = response.scores

    def where_scored(value: Callable[[int], Any]) -> list[Any]:
        return [value(i) if scored else None for i, scored in enumerate(score.scored)]

    def top(i: int) -> list[_json.Object]:
        return [token(one) for one in score.top[i].tokens]

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


def token(one: Any) -> _json.Object:
    """A token of the best, or one that was generated."""
    return {"id": one.id, "text": one.text, "bytes": list(one.bytes), "logprob": _json.shortest(one.logprob)}


def error_answer(code: str, message: str) -> _json.Object:
    return {"error": {"code": code, "message": message}}


def is_of_line(error: errors.DyadError, line: _json.Object) -> bool:
    """Whether the same line gives the same error again: then it is its answer, else it ends the run."""
    if isinstance(error, errors.QueueFull):
        return False
    if error.code in ("NOT_FOUND", "FAILED_PRECONDITION"):
        named = ("model",) if error.code == "NOT_FOUND" else ("model", "convention", "context", "context_ids")
        return any(has(line, key) for key in named)
    return error.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE", "INTERNAL", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")


# Lines as they are, PairScore messages as they came.
STREAM: _pairs.Kind[Any] = _pairs.Kind(_requests.pair, "pairs", "results", lambda score, index: score)

