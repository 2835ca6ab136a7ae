"""What calls give: frozen dataclasses. Numbers have the bits that the server sent."""
from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from dyad_serve import _wire
from dyad_serve.table import Table


class _AsTable:
    """A result that notebooks show, and pandas takes, as a table."""

    def _table(self) -> Table:
        raise NotImplementedError

    def frame(self) -> Any:
        """A pandas.DataFrame; ImportError without pandas."""
        return self._table().frame()

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()


@dataclasses.dataclass(frozen=True)
class TopToken:
    """One of the likeliest tokens at a position."""

    id: int
    text: str
    logprob: float


@dataclasses.dataclass(frozen=True)
class Token:
    """A token that was fed. logprob, greedy and rank are None where it was not scored."""

    id: int
    text: str  # empty without tokenizer; U+FFFD for part of a character
    logprob: float | None  # natural logarithm of p(token | all before it)
    greedy: bool | None  # it is the likeliest
    rank: int | None  # 1 = likeliest
    begin: int | None  # byte offset in the text that was fed; None for ids
    top: tuple[TopToken, ...] = ()  # the likeliest, with top_n


@dataclasses.dataclass(frozen=True)
class SpanScore:
    """How likely a word or region is. begin and end count characters of the text that was given."""

    text: str
    begin: int
    end: int
    first_token: int  # in Score.tokens
    tokens: int  # 0: no token begins here
    logprob: float | None  # corrected as asked; None if there is no token, or one was not scored
    shared_tokens: int  # of `tokens`, those that reach beyond `end`


@dataclasses.dataclass(frozen=True)
class Score(_AsTable):
    """How likely one text is."""

    sum: float  # of the scored log-probabilities
    mean: float  # sum / scored_tokens
    scored_tokens: int
    tokens: tuple[Token, ...]  # all that were fed, prefix and context included
    convention: str
    model: str
    model_digest: str
    arithmetic: str
    words: tuple[SpanScore, ...] = ()  # with words
    regions: tuple[SpanScore, ...] = ()  # as `regions`
    # With a correction, one more than tokens: ln Z after the first i tokens; 0 before the first scored one.
    boundary_logprobs: tuple[float, ...] = ()

    def _table(self) -> Table:
        return Table({"token": token.text, "id": token.id, "logprob": token.logprob, "rank": token.rank,
                      "greedy": token.greedy} for token in self.tokens)


@dataclasses.dataclass(frozen=True)
class Pair(_AsTable):
    """Which of two sentences is likelier. With `error` every other field but index means nothing."""

    index: int  # position in what was given
    good_sum: float
    bad_sum: float
    good_mean: float
    bad_mean: float
    good_scored_tokens: int
    bad_scored_tokens: int
    margin: float  # good − bad, of sums or means as the convention decides
    tie: bool  # margin is 0; counts for good
    correct: bool  # margin >= 0
    first_difference: int | None  # first token fed in which they differ
    error: str | None = None  # why the pair has no score

    def _table(self) -> Table:
        return Table([dataclasses.asdict(self)])


@dataclasses.dataclass(frozen=True)
class Comparison(_AsTable):
    """Which of several options is likeliest. With `error` every other field but index means nothing."""

    index: int  # position in what was given
    sums: tuple[float, ...]
    means: tuple[float, ...]
    scored_tokens: tuple[int, ...]
    best: int  # the option with the largest sum or mean, as the convention decides; of equals, the first
    tie: bool  # another is equal to the best
    error: str | None = None  # why the choice has no score

    def _table(self) -> Table:
        return Table({"option": i, "sum": sum_, "mean": mean, "scored_tokens": tokens, "best": i == self.best}
                     for i, (sum_, mean, tokens) in enumerate(zip(self.sums, self.means, self.scored_tokens)))


@dataclasses.dataclass(frozen=True)
class Choice:
    """One continuation. finish_reason is LENGTH, EOS or STOP; in a piece it is empty until the choice ends."""

    index: int
    ids: tuple[int, ...]
    text: str
    finish_reason: str
    stop_reason: str | int | None  # the stop string or stop id that was found
    tokens: tuple[Token, ...]  # with logprobs; greedy, rank and begin are None


@dataclasses.dataclass(frozen=True)
class Usage:
    """Seconds that a request waited and ran, and its tokens."""

    queue_seconds: float
    prefill_seconds: float
    decode_seconds: float
    prompt_tokens: int
    generated_tokens: int
    cached_tokens: int


@dataclasses.dataclass(frozen=True)
class Generation(_AsTable):
    """All continuations of one prompt."""

    choices: tuple[Choice, ...]
    seed: int
    model: str
    model_digest: str
    arithmetic: str
    request_id: str
    usage: Usage

    @property
    def text(self) -> str:
        """The first choice's."""
        return self.choices[0].text

    def _table(self) -> Table:
        return Table({"choice": choice.index, "text": choice.text, "finish_reason": choice.finish_reason}
                     for choice in self.choices)


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of the server; fields as Model in proto/dyad/v1/model.proto."""

    name: str
    architecture: str
    state: str
    digest: str
    tokenizer_digest: str
    weight_dtype: str
    kv_dtype: str
    arithmetic: str
    device: str
    parameters: int
    context_length: int
    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    eos_ids: tuple[int, ...]
    prefix_id: int | None
    has_tokenizer: bool


@dataclasses.dataclass(frozen=True)
class ServerInfo:
    """Which build answers, and its bounds by the names of their flags."""

    version: str
    commit: str
    transport: str
    device: str
    features: tuple[str, ...]
    limits: dict[str, int]


def _top(tokens: Any) -> tuple[TopToken, ...]:
    return tuple(TopToken(token.id, token.text, token.logprob) for token in tokens)


def scores(request: Any, response: Any) -> list[Score]:
    """Those of a ScoreResponse."""
    convention = _wire.enum_name("Convention", response.convention)
    return [Score(score.sum, score.mean, score.scored_tokens, _score_tokens(score), convention, response.model,
                  response.model_digest, response.arithmetic, _spans(item.text, score.words),
                  _spans(item.text, score.regions), tuple(score.boundary_logprobs))
            for item, score in zip(request.items, response.scores)]


def _spans(text: str, spans: Any) -> tuple[SpanScore, ...]:
    if not spans:
        return ()
    data = text.encode()
    characters = list(itertools.accumulate((byte & 0xC0 != 0x80 for byte in data), initial=0))
    return tuple(SpanScore(data[span.begin:span.end].decode(), characters[span.begin], characters[span.end],
                           span.first_token, span.tokens, span.logprob if span.HasField("logprob") else None,
                           span.shared_tokens) for span in spans)


def _score_tokens(score: Any) -> tuple[Token, ...]:
    count = len(score.ids)
    texts = score.texts or [""] * count
    offsets = score.byte_offsets or [None] * count
    tops = [_top(entry.tokens) for entry in score.top] or [()] * count
    return tuple(
        Token(id_, text, logprob, greedy, rank, begin, top) if scored else Token(id_, text, None, None, None, begin)
        for id_, text, scored, logprob, greedy, rank, begin, top
        in zip(score.ids, texts, score.scored, score.logprobs, score.greedy, score.ranks, offsets, tops))


def pair(score: Any, index: int) -> Pair:
    """That of a PairScore."""
    return Pair(index, score.good_sum, score.bad_sum, score.good_mean, score.bad_mean, score.good_scored_tokens,
                score.bad_scored_tokens, score.margin, score.tie, score.correct,
                score.first_difference if score.HasField("first_difference") else None,
                score.error.message if score.HasField("error") else None)


def comparison(score: Any, index: int) -> Comparison:
    """That of a ChoiceScore."""
    return Comparison(index, tuple(score.sums), tuple(score.means), tuple(score.scored_tokens), score.best, score.tie,
                      score.error.message if score.HasField("error") else None)


def choice(message: Any) -> Choice:
    """That of a Choice message."""
    reason = message.WhichOneof("stop_reason")
    return Choice(message.index, tuple(message.ids), message.text,
                  _wire.enum_name("FinishReason", message.finish_reason),
                  getattr(message, reason) if reason else None,
                  tuple(Token(token.id, token.text, token.logprob, None, None, None, _top(token.top))
                        for token in message.logprobs))


def generation(message: Any) -> Generation:
    """That of a GenerateResponse."""
    usage = Usage(*(getattr(message.usage, field.name) for field in dataclasses.fields(Usage)))
    return Generation(tuple(map(choice, message.choices)), message.seed,
                      message.model, message.model_digest, message.arithmetic, message.request_id,
                      usage)


def model(message: Any) -> Model:
    """That of a Model message."""
    values = {field.name: getattr(message, field.name) for field in dataclasses.fields(Model)}
    values["state"] = _wire.enum_name("ModelState", message.state)
    values["eos_ids"] = tuple(message.eos_ids)
    for name in ("bos_id", "eos_id", "prefix_id"):
        values[name] = values[name] if message.HasField(name) else None
    return Model(**values)


def server_info(message: Any) -> ServerInfo:
    """That of a GetServerInfoResponse."""
    return ServerInfo(message.version, message.commit, message.transport, message.device, tuple(message.features),
                      dict(message.limits))
