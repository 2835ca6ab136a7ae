"""The client that waits for its answers."""
from __future__ import annotations

import concurrent.futures
import itertools
import queue
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import grpc

from dyad_serve import _channel, _pairs, _requests, _retry, _surprisal, _wire, errors, results
from dyad_serve.table import Table

# Score requests under way at once, where texts take several.
_CONCURRENT = 4
_T = TypeVar("_T")


class Client:
    """A connection to a server; `with Client() as client:` closes it.

    target   HOST:PORT, or any target that gRPC knows; several addresses are taken in turn
    model    name of the model; None: the only one of the server
    api_key  shown with each call; None: the environment's DYAD_API_KEY, if it is set
    tls      None: plain text
    timeout  seconds for each call, its tries together; None: none. A stream of pairs has none.

    Every method raises DyadError. Threads: any.
    """

    def __init__(self, target: str = "127.0.0.1:50051", *, model: str | None = None, api_key: str | None = None,
                 tls: _channel.TLS | None = None, timeout: float | None = 60.0) -> None:
        self.model = model or ""
        self.timeout = timeout
        self._metadata = _channel.metadata(api_key)
        if tls is None:
            self._channel = grpc.insecure_channel(target, _channel.OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, _channel.credentials(tls), _channel.OPTIONS)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends what runs and closes the connection."""
        self._channel.close()

    def score(self, texts: Sequence[_requests.Text], *, context: _requests.Contexts = None,
              convention: str = "LM_EVAL", top_n: int = 0,
              **spans: _requests.Unpack[_requests.SpanOptions]) -> list[results.Score]:
        """The score of each text, or of each list of ids; any number, cut into requests.

        context     one str for all, or a list with one for each; ids where the text is ids
        convention  as the table in README.md
        top_n       0 … 20 likeliest tokens at each position
        spans       words, regions and windows: SpanOptions
        """
        chunks = _requests.scores(self.model, texts, context, convention, top_n, spans)

        def ask(chunk: tuple[int, Any]) -> list[results.Score]:
            try:
                return results.scores(chunk[1], self._call("ScoringService/Score", chunk[1]))
            except errors.DyadError as error:
                raise errors.moved(error, chunk[0]) from None

        return list(itertools.chain.from_iterable(_mapped(ask, chunks, _CONCURRENT)))

    def pairs(self, pairs: Iterable[_requests.PairInput], *, convention: str = "LM_EVAL",
              window: int = 512) -> Generator[results.Pair, None, None]:
        """Scores minimal pairs: (good, bad), (good, bad, context), or mappings with sentence_good, sentence_bad and
        perhaps context. Results come in the order of the pairs; a bad pair's has `error`.

        At most `window` pairs are read ahead, so there may be any number. A broken stream is opened again; what
        has no result is sent again. Raises Unavailable when the server stays away.
        """
        return self._compare(_pairs.PAIRS, pairs, convention, window)

    def choices(self, choices: Iterable[_requests.ChoiceInput], *, convention: str = "LM_EVAL",
                window: int = 512) -> Generator[results.Comparison, None, None]:
        """The likeliest of 2 to 64 options: lists of options, (context, options), or mappings with options and
        perhaps context. An option is a text or ids. Else as `pairs`."""
        return self._compare(_pairs.CHOICES, choices, convention, window)

    def _compare(self, kind: _pairs.Kind[_T], inputs: Iterable[Any], convention: str, window: int,
                 special_tokens: str = "PARSE", digest: str = "") -> Generator[_T, None, None]:
        state = _pairs.Window(kind, self.model, convention, window, special_tokens, digest)
        source = iter(inputs)
        left = True
        while left or state.waits():
            outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()  # None ends the stream
            for message in state.again():
                outgoing.put(message)
            call = _wire.method(self._channel, "ScoringService/ScoreMinimalPairs")(
                iter(outgoing.get, None), metadata=self._metadata)
            broken: errors.DyadError | None = None
            try:
                answers = iter(call)
                while left or state.waits():
                    while left and state.room() > 0:
                        given = list(itertools.islice(source, min(state.room(), _pairs.PAIRS_PER_MESSAGE)))
                        left = bool(given)
                        if given:
                            outgoing.put(state.add(given))
                    if not left:
                        outgoing.put(None)
                    if not state.waits():
                        break
                    try:
                        response = next(answers, None)
                    except grpc.RpcError as error:
                        broken = errors.from_rpc(error)
                        break
                    if response is None:
                        broken = errors.make(*_pairs.ENDED_EARLY)
                        break
                    state.receive(response)
                    yield from state.ready()
            finally:
                call.cancel()
                outgoing.put(None)
            if broken is not None:
                time.sleep(state.wait_after(broken))

    def surprisal(self, texts: Sequence[str], *, by: str = "word", unit: str = "bits", split: str = "whitespace",
                  correction: str = "none", regions: Sequence[Sequence[_requests.Span]] | None = None,
                  context: _requests.Contexts = None, convention: str = "LM_EVAL") -> Table:
        """A row for each word of each text: item, word_index, word, begin, end, tokens, surprisal, unit, correction.

        by          "word"; "region", of `regions`; or "token", with token_index, token and id
        unit        "bits", "nats", or "logprob", which has the other sign; None where a token is not scored
        split       "whitespace" or "punctuation"
        correction  "none", "oh_schuler" or "pimentel_meister"
        regions     spans of characters, a list for each text
        """
        spans = _surprisal.options(by, unit, split, correction, regions)
        return _surprisal.table(self.score(texts, context=context, convention=convention, **spans), by, unit, correction)

    def generate(self, prompt: _requests.Text, **options: _requests.Unpack[_requests.GenerateOptions]
                 ) -> results.Generation:
        """Continues a text or ids. Options: those of GenerateOptions; greedy, unless there is a temperature."""
        request = _requests.generate(self.model, prompt, options)
        return results.generation(self._call("GenerationService/Generate", request))

    def stream(self, prompt: _requests.Text, **options: _requests.Unpack[_requests.GenerateOptions]) -> Stream:
        """The same, piece by piece."""
        request = _wire.message("GenerateStreamRequest")(request=_requests.generate(self.model, prompt, options))
        method = _wire.method(self._channel, "GenerationService/GenerateStream")
        return Stream(lambda timeout: method(request, timeout=timeout, metadata=self._metadata), self.timeout)

    def tokenize(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The text's ids; with what the tokenizer adds by itself, unless told not to."""
        request = _wire.message("TokenizeRequest")(model=self.model, text=text, add_special_tokens=add_special_tokens)
        return list(self._call("TokenizerService/Tokenize", request).ids)

    def detokenize(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The ids' text."""
        request = _wire.message("DetokenizeRequest")(model=self.model, ids=ids, skip_special_tokens=skip_special_tokens)
        return str(self._call("TokenizerService/Detokenize", request).text)

    def models(self) -> list[results.Model]:
        """What the server serves."""
        response = self._call("ModelService/ListModels", _wire.message("ListModelsRequest")())
        return [results.model(model) for model in response.models]

    def get_model(self) -> results.Model:
        """The model that this client asks. NotFound lists those that there are."""
        response = self._call("ModelService/GetModel", _wire.message("GetModelRequest")(model=self.model))
        return results.model(response.model)

    def server_info(self) -> results.ServerInfo:
        """Which build answers, and every bound."""
        return results.server_info(
            self._call("ServerService/GetServerInfo", _wire.message("GetServerInfoRequest")()))

    def ready(self) -> bool:
        """Whether the server is there and takes calls; one try, at most 2 seconds."""
        check = _wire.method(self._channel, "grpc.health.v1.Health/Check")
        request = _wire.message("grpc.health.v1.HealthCheckRequest")(service="readiness")
        try:
            return bool(check(request, timeout=2, metadata=self._metadata).status == 1)
        except grpc.RpcError:
            return False

    def _call(self, name: str, request: Any) -> Any:
        method = _wire.method(self._channel, name)
        retry = _retry.Retry(self.timeout)
        while True:
            try:
                return method(request, timeout=retry.left(), metadata=self._metadata)
            except grpc.RpcError as error:
                failed = errors.from_rpc(error)
            time.sleep(retry.wait_after(failed))


class Stream(Iterator[results.Choice]):
    """Pieces of a generation. `final` has everything but the choices, once the last piece has come.

    A full or missing server is tried again until the first piece; an error after it is raised. `close` cancels.
    """

    def __init__(self, call: Callable[[float | None], Any], timeout: float | None) -> None:
        self.final: results.Generation | None = None
        self._pieces = self._read(call, _retry.Retry(timeout))

    def __next__(self) -> results.Choice:
        return next(self._pieces)

    def close(self) -> None:
        """Ends the generation; does nothing after its end."""
        self._pieces.close()

    def _read(self, make: Callable[[float | None], Any], retry: _retry.Retry) -> Generator[results.Choice, None, None]:
        begun = False
        while self.final is None:
            call = make(retry.left())
            try:
                for message in call:
                    begun = True
                    if message.HasField("choice"):
                        yield results.choice(message.choice)
                    if message.HasField("final"):
                        self.final = results.generation(message.final)
                return
            except grpc.RpcError as error:
                failed = errors.from_rpc(error)
            finally:
                call.cancel()
            if begun:
                raise failed
            time.sleep(retry.wait_after(failed))


def _mapped(ask: Callable[[Any], _T], values: Iterable[Any], threads: int) -> list[_T]:
    """ask of each value, in order, several at once."""
    listed = list(values)
    if len(listed) < 2:
        return [ask(value) for value in listed]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, listed))
