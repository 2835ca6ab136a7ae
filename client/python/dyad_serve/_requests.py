"""Arguments to requests. What both clients share of them."""
from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Union

from dyad_serve import _wire

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack

# A text, or its ids.
Text = Union[str, Sequence[int]]
# One context for all texts, or one for each.
Contexts = Union[str, Sequence[Text], None]
# (good, bad), (good, bad, context), or a mapping with sentence_good, sentence_bad and perhaps context.
PairInput = Union[Sequence[str], Mapping[str, Any]]

# Items of one Score request: enough to fill the server's steps, few enough to answer soon.
_ITEMS = 64
_TEXT_BYTES = 1 << 20


class GenerateOptions(TypedDict, total=False):
    """As the fields of GenerateRequest in proto/dyad/v1/generation.proto, with their ranges and defaults."""

    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Mapping[int, float]
    stop: Sequence[str]
    stop_ids: Sequence[int]
    ignore_eos: bool
    seed: int
    n: int
    echo: bool
    logprobs: int
    add_special_tokens: bool
    special_tokens: str


def generate(model: str, prompt: Text, options: GenerateOptions) -> Any:
    """A GenerateRequest. TypeError for an option that there is not."""
    fields: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    unknown = fields.keys() - GenerateOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"generate has no option {', '.join(sorted(unknown))}; "
                        f"there are {', '.join(GenerateOptions.__annotations__)}")
    if "special_tokens" in fields:
        fields["special_tokens"] = _wire.enum_value("SpecialTokens", fields["special_tokens"])
    if isinstance(fields.get("stop"), str):
        fields["stop"] = [fields["stop"]]
    fields["text" if isinstance(prompt, str) else "ids"] = prompt if isinstance(prompt, str) else ids(prompt)
    return _wire.message("GenerateRequest")(model=model, **fields)


def ids(values: Sequence[int]) -> Any:
    return _wire.message("TokenIds")(ids=values)


def _item(text: Text, context: Text | None) -> Any:
    fields: dict[str, Any] = {"text": text} if isinstance(text, str) else {"ids": ids(text)}
    if isinstance(context, str):
        fields["context_text"] = context
    elif context is not None:
        fields["context_ids"] = ids(context)
    return _wire.message("ScoreItem")(**fields)


def scores(model: str, texts: Sequence[Text], context: Contexts, convention: str,
           top_n: int) -> Iterator[tuple[int, Any]]:
    """(number of the first text, ScoreRequest) of as many requests as the texts take."""
    if isinstance(texts, str):
        raise TypeError("texts is one str; give a list of texts")
    contexts: Iterable[Text | None]
    if context is None or isinstance(context, str):
        contexts = itertools.repeat(context)
    elif len(context) == len(texts):
        contexts = context
    else:
        raise ValueError(f"there are {len(context)} contexts for {len(texts)} texts; give one for each, or one str")
    number = _wire.enum_value("Convention", convention)

    def request(items: list[Any]) -> Any:
        return _wire.message("ScoreRequest")(model=model, items=items, convention=number, top_n=top_n)

    first, size, items = 0, 0, list[Any]()
    for text, before in zip(texts, contexts):
        item = _item(text, before)
        bytes_ = item.ByteSize()
        if items and (len(items) == _ITEMS or size + bytes_ > _TEXT_BYTES):
            yield first, request(items)
            first, size, items = first + len(items), 0, []
        items.append(item)
        size += bytes_
    if items:
        yield first, request(items)


def pair(index: int, given: PairInput) -> Any:
    """A MinimalPair. TypeError or ValueError says what is wrong with `given`."""
    if isinstance(given, Mapping):
        if not {"sentence_good", "sentence_bad"} <= given.keys():
            raise ValueError(f"pair {index} has no sentence_good or no sentence_bad: {given!r}")
        good, bad, context = given["sentence_good"], given["sentence_bad"], given.get("context")
    elif not isinstance(given, str) and len(given) in (2, 3):
        good, bad, context = (*given, None)[:3]
    else:
        raise ValueError(f"pair {index} is neither (good, bad), (good, bad, context) nor a mapping: {given!r}")
    return _wire.message("MinimalPair")(index=index, good=good, bad=bad, context=context)
