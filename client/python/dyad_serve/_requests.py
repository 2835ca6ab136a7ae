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

# Characters [begin, end) of a text.
Span = tuple[int, int]
# Options, or (context, options), or a mapping with options and perhaps context.
ChoiceInput = Union[Sequence[Any], Mapping[str, Any]]

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


class SpanOptions(TypedDict, total=False):
    """What `score` says of parts of each text; spans count characters.

    words       "WHITESPACE" or "PUNCTUATION": fill Score.words, as WordSplit in proto/dyad/v1/scoring.proto
    correction  "NONE", "OH_SCHULER" or "PIMENTEL_MEISTER": as WordCorrection there
    regions     a list of spans for each text: fill Score.regions
    scored      a span, or None, for each text: only tokens that overlap it are scored
    window      True, or (tokens, stride): texts may be longer than the context
    """

    words: str | None
    correction: str
    regions: Sequence[Sequence[Span]] | None
    scored: Sequence[Span | None] | None
    window: bool | tuple[int, int] | None


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


def _bytes(text: Text, span: Span) -> Any:
    """The ByteSpan of characters. What is out of the text stays out of it: the server names it."""
    begin, end = (at if at < 0 else len(text[:at].encode()) + max(0, at - len(text)) for at in span) \
        if isinstance(text, str) else span
    return _wire.message("ByteSpan")(begin=begin, end=end)


def _for_each(name: str, values: Sequence[Any] | None, texts: Sequence[Text]) -> Iterable[Any]:
    if values is None:
        return itertools.repeat(None)
    if len(values) != len(texts):
        raise ValueError(f"there are {len(values)} {name} for {len(texts)} texts; give one for each")
    return values


def _word_fields(options: SpanOptions) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    unknown = options.keys() - SpanOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"score has no option {', '.join(sorted(unknown))}")
    correction = options.get("correction", "NONE")
    if options.get("words") is not None:
        fields["words"] = _wire.message("WordOptions")(
            split=_wire.enum_value("WordSplit", str(options["words"])),
            correction=_wire.enum_value("WordCorrection", correction))
    elif correction.upper() != "NONE":
        raise ValueError(f"correction is {correction!r}, and no words are asked for")
    window = options.get("window")
    if window:
        tokens, stride = window if isinstance(window, tuple) else (0, 0)
        fields["window"] = _wire.message("ScoreWindow")(tokens=tokens, stride=stride)
    return fields


def scores(model: str, texts: Sequence[Text], context: Contexts, convention: str,
           top_n: int, options: SpanOptions) -> Iterator[tuple[int, Any]]:
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
    fields = _word_fields(options)
    spans = zip(_for_each("regions", options.get("regions"), texts), _for_each("scored", options.get("scored"), texts))

    def request(items: list[Any]) -> Any:
        return _wire.message("ScoreRequest")(model=model, items=items, convention=number, top_n=top_n, **fields)

    first, size, items = 0, 0, list[Any]()
    for text, before, (regions, scored) in zip(texts, contexts, spans):
        item = _item(text, before)
        item.regions.extend(_bytes(text, span) for span in regions or ())
        if scored is not None:
            item.scored.CopyFrom(_bytes(text, scored))
        bytes_ = item.ByteSize()
        if items and (len(items) == _ITEMS or size + bytes_ > _TEXT_BYTES):
            yield first, request(items)
            first, size, items = first + len(items), 0, []
        items.append(item)
        size += bytes_
    if items:
        yield first, request(items)


def choice(index: int, given: ChoiceInput) -> Any:
    """A ChoiceSet. ValueError says what is wrong with `given`."""
    context: Text | None = None
    options: Any = given
    if isinstance(given, Mapping):
        options, context = given.get("options"), given.get("context")
    elif isinstance(given, tuple) and len(given) == 2 and not isinstance(given[1], str):
        context, options = given
    if options is None or isinstance(options, str):
        raise ValueError(f"choice {index} has no list of options: {given!r}")
    return _wire.message("ChoiceSet")(index=index, options=[_item(option, context) for option in options])


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
