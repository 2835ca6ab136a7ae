"""Minimal pairs, or choices, over a stream: what is under way, and when a broken stream is opened again. Here a
choice is a pair, too."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from dyad_serve import _requests, _retry, _wire, errors, results

PAIRS_PER_MESSAGE = 16
_BROKEN = ("UNAVAILABLE", "CANCELLED", "UNKNOWN")


Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Kind(Generic[Result]):
    """What is compared."""

    make: Callable[[int, Any], Any]  # index and what was given -> message
    sent: str  # its field in a request
    received: str  # its results' field in a response
    result: Callable[[Any, int], Result]


PAIRS: Kind[results.Pair] = Kind(_requests.pair, "pairs", "results", results.pair)
CHOICES: Kind[results.Comparison] = Kind(_requests.choice, "choice_sets", "choices", results.comparison)


class Window(Generic[Result]):
    """The pairs from the oldest that was not handed out to the newest that was read: at most `size`."""

    def __init__(self, kind: Kind[Result], model: str, convention: str, size: int, special_tokens: str = "PARSE",
                 digest: str = "") -> None:
        """digest: of the weights; empty: whatever the server has."""
        if size < 1:
            raise ValueError(f"window is {size}; it is at least 1")
        self._kind = kind
        self._options = {"model": model, "convention": _wire.enum_value("Convention", convention),
                         "special_tokens": _wire.enum_value("SpecialTokens", special_tokens)}
        self._digest = digest
        self._size = size
        self._read = 0
        self._next = 0  # to be handed out
        self._waiting: dict[int, Any] = {}  # pairs without result, by index
        self._done: dict[int, Result] = {}
        self._reopenings = _retry.ATTEMPTS
        self._backoff = _retry.FIRST_BACKOFF

    def room(self) -> int:
        """How many pairs more may be read."""
        return self._next + self._size - self._read

    def waits(self) -> bool:
        """Whether a pair has no result."""
        return bool(self._waiting)

    def add(self, given: list[Any]) -> Any:
        """The message that sends them."""
        pairs = [self._kind.make(self._read + i, pair) for i, pair in enumerate(given)]
        self._read += len(pairs)
        self._waiting.update((pair.index, pair) for pair in pairs)
        return self._message(pairs)

    def again(self) -> list[Any]:
        """The messages that send every pair without result, for a new stream."""
        pairs = list(self._waiting.values())
        return [self._message(pairs[i:i + PAIRS_PER_MESSAGE]) for i in range(0, len(pairs), PAIRS_PER_MESSAGE)]

    def receive(self, response: Any) -> None:
        """Takes the results of a message."""
        if self._digest and response.model_digest not in ("", self._digest):
            raise errors.other_weights(response.model_digest, self._digest)
        for score in getattr(response, self._kind.received):
            if self._waiting.pop(score.index, None) is not None:
                self._done[score.index] = self._kind.result(score, score.index)
                self._reopenings, self._backoff = _retry.ATTEMPTS, _retry.FIRST_BACKOFF

    def ready(self) -> Iterator[Result]:
        """Results that may be handed out, in order."""
        while self._next in self._done:
            self._next += 1
            yield self._done.pop(self._next - 1)

    def wait_after(self, error: errors.DyadError) -> float:
        """Seconds until the stream is opened again. Raises the error if it is final, or if the stream broke too
        often without one new result."""
        if isinstance(error, errors.QueueFull):
            return _retry.PUSHBACK if error.retry_after is None else error.retry_after
        self._reopenings -= 1
        if error.code not in _BROKEN or self._reopenings == 0:
            raise error from None
        wait = self._backoff
        self._backoff = min(self._backoff * _retry.GROWTH, _retry.LAST_BACKOFF)
        return wait

    def _message(self, pairs: list[Any]) -> Any:
        return _wire.message("ScoreMinimalPairsRequest")(**{self._kind.sent: pairs}, **self._options)


ENDED_EARLY = ("UNAVAILABLE", "the stream ended before every pair had its result")
