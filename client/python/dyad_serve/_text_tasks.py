"""The tasks generate, tokenize and detokenize: a call for each line, as the commands of dyadctl."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dyad_serve import _fields, _json, _requests, _run_tasks, _wire
from dyad_serve._run_tasks import Task, has

_GENERATE = tuple(_wire.message("GenerateRequest").DESCRIPTOR.fields_by_name)
_TOKENIZE = ("text", "add_special_tokens", "special_tokens", "model")
_DETOKENIZE = ("ids", "skip_special_tokens", "model")
_Ask = Callable[[_json.Object, _json.Object], Any]


def _request(name: str, keys: tuple[str, ...], line: _json.Object, given: _json.Object) -> Any:
    _run_tasks.check_spelling(line, keys)
    whole = {**given, **line}
    return _fields.message(name, {key: whole[key] for key in keys if key in whole})


def _ask_generate(line: _json.Object, given: _json.Object) -> Any:
    if has(line, "text") == has(line, "ids"):
        raise ValueError("either text or ids must be given")
    if isinstance(line.get("stop"), str):
        line = {**line, "stop": [line["stop"]]}
    return _request("GenerateRequest", _GENERATE, line, given)


def _ask_tokenize(line: _json.Object, given: _json.Object) -> Any:
    _run_tasks.text_of(line, "text")
    return _request("TokenizeRequest", _TOKENIZE, line, given)


def _ask_detokenize(line: _json.Object, given: _json.Object) -> Any:
    if not has(line, "ids"):
        raise ValueError("ids must be a list, found: nothing")
    return _request("DetokenizeRequest", _DETOKENIZE, line, given)


def _choice(choice: Any) -> _json.Object:
    found: _json.Object = {"ids": list(choice.ids), "text": choice.text,
                           "finish_reason": _wire.enum_name("FinishReason", choice.finish_reason)}
    for key in ("stop_string", "stop_id"):
        if choice.HasField(key):
            found["stop_reason"] = getattr(choice, key)
    if choice.logprobs:
        found["logprobs"] = [{**_run_tasks.token(one), "top": list(map(_run_tasks.token, one.top))} for one in choice.logprobs]
    return found


def _generated(_: _json.Object, __: _json.Object, response: Any) -> _json.Object:
    choices = [_choice(choice) for choice in response.choices]
    answer = choices[0] if len(choices) == 1 else {
        "choices": [{"index": choice.index, **found} for choice, found in zip(response.choices, choices)]}
    return {**answer, "seed": response.seed}


def _tokenized(_: _json.Object, given: _json.Object, response: Any) -> _json.Object:
    details = {"texts": list(response.texts), "byte_offsets": list(response.byte_offsets)} if given.get("details") else {}
    return {"ids": list(response.ids), **details}


def _task(method: str, options: tuple[str, ...], ask: _Ask, answer: Callable[[_json.Object, _json.Object, Any], _json.Object],
          keys: tuple[str, ...], has_special_tokens: bool = True) -> Task:
    return Task("", options, None, lambda line, _: ask(line, {}), _run_tasks.one_call(method, ask), answer, line_options=keys,
                special_tokens="PARSE" if has_special_tokens else "")


TASKS = {
    "generate": _task("GenerationService/Generate",
                      tuple(name for name in _requests.GenerateOptions.__annotations__ if name != "special_tokens"),
                      _ask_generate, _generated, _GENERATE),
    "tokenize": _task("TokenizerService/Tokenize", ("add_special_tokens", "details"), _ask_tokenize, _tokenized, _TOKENIZE),
    "detokenize": _task("TokenizerService/Detokenize", ("skip_special_tokens",), _ask_detokenize,
                        lambda line, given, response: {"text": response.text}, _DETOKENIZE, has_special_tokens=False),
}
