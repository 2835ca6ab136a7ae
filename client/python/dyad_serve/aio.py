"""The client for asyncio: the methods of Client, awaited."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any, TypeVar, Union

import grpc
import grpc.aio

from dyad_serve import _channel, _pairs, _requests, _retry, _surprisal, _wire, errors, results
from dyad_serve.table import Table

_CONCURRENT = 4
_T = TypeVar("_T")
PairInputs = Union[Iterable[_requests.PairInput], AsyncIterable[_requests.PairInput]]


class AsyncClient:
    """As Client, for one event loop: `async with AsyncClient() as client:`."""

    def __init__(self, target: str = "127.0.0.1:50051", *, model: str | None = None, api_key: str | None = None,
                 tls: _channel.TLS | None = None, timeout: float | None = 60.0) -> None:
        self.model = model or ""
        self.timeout = timeout
        self._metadata = _channel.metadata(api_key)
        if tls is None:
            self._channel = grpc.aio.insecure_channel(target, _channel.OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, _channel.credentials(tls), _channel.OPTIONS)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what runs and closes the connection."""
        await self._channel.close()

    async def score(self, texts: Sequence[_requests.Text], *, context: _requests.Contexts = None,
                    convention: str = "LM_EVAL", top_n: int = 0,
                    **spans: _requests.Unpack[_requests.SpanOptions]) -> list[results.Score]:
        """As Client.score."""
        turn = asyncio.Semaphore(_CONCURRENT)

        async def ask(first: int, request: Any) -> list[results.Score]:
            async with turn:
                try:
                    return results.scores(request, await self._call("ScoringService/Score", request))
                except errors.DyadError as error:
                    raise errors.moved(error, first) from None

        chunks = _requests.scores(self.model, texts, context, convention, top_n, spans)
        tasks = [asyncio.ensure_future(ask(*chunk)) for chunk in chunks]
        try:
            return [score for scores in await asyncio.gather(*tasks) for score in scores]
        finally:
            for task in tasks:
                task.cancel()

    def pairs(self, pairs: PairInputs, *, convention: str = "LM_EVAL",
              window: int = 512) -> AsyncGenerator[results.Pair, None]:
        """As Client.pairs; the pairs may come from an async iterable."""
        return self._compare(_pairs.PAIRS, pairs, convention, window)

    def choices(self, choices: Iterable[_requests.ChoiceInput] | AsyncIterable[_requests.ChoiceInput], *,
                convention: str = "LM_EVAL", window: int = 512) -> AsyncGenerator[results.Comparison, None]:
        """As Client.choices; the choices may come from an async iterable."""
        return self._compare(_pairs.CHOICES, choices, convention, window)

    async def _compare(self, kind: _pairs.Kind[_T], inputs: Iterable[Any] | AsyncIterable[Any], convention: str,
                       window: int, special_tokens: str = "PARSE", digest: str = "") -> AsyncGenerator[_T, None]:
        state = _pairs.Window(kind, self.model, convention, window, special_tokens, digest)
        source = _iterate(inputs)
        left = True
        while left or state.waits():
            outgoing: asyncio.Queue[Any] = asyncio.Queue()  # None ends the stream
            for message in state.again():
                outgoing.put_nowait(message)
            call = _wire.method(self._channel, "ScoringService/ScoreMinimalPairs")(
                _until_none(outgoing), metadata=self._metadata)
            broken: errors.DyadError | None = None
            try:
                while left or state.waits():
                    while left and state.room() > 0:
                        given: list[Any] = []
                        while len(given) < min(state.room(), _pairs.PAIRS_PER_MESSAGE) and left:
                            try:
                                given.append(await source.__anext__())
                            except StopAsyncIteration:
                                left = False
                        if given:
                            outgoing.put_nowait(state.add(given))
                    if not left:
                        outgoing.put_nowait(None)
                    if not state.waits():
                        break
                    try:
                        response = await call.read()
                    except grpc.RpcError as error:
                        broken = errors.from_rpc(error)
                        break
                    if response is grpc.aio.EOF:
                        broken = errors.make(*_pairs.ENDED_EARLY)
                        break
                    state.receive(response)
                    for result in state.ready():
                        yield result
            finally:
                call.cancel()
                outgoing.put_nowait(None)
            if broken is not None:
                await asyncio.sleep(state.wait_after(broken))

    async def surprisal(self, texts: Sequence[str], *, by: str = "word", unit: str = "bits", split: str = "whitespace",
                        correction: str = "none", regions: Sequence[Sequence[_requests.Span]] | None = None,
                        context: _requests.Contexts = None, convention: str = "LM_EVAL") -> Table:
        """As Client.surprisal."""
        spans = _surprisal.options(by, unit, split, correction, regions)
        scores = await self.score(texts, context=context, convention=convention, **spans)
        return _surprisal.table(scores, by, unit, correction)

    async def generate(self, prompt: _requests.Text, **options: _requests.Unpack[_requests.GenerateOptions]
                       ) -> results.Generation:
        """As Client.generate."""
        request = _requests.generate(self.model, prompt, options)
        return results.generation(await self._call("GenerationService/Generate", request))

    async def stream(self, prompt: _requests.Text, **options: _requests.Unpack[_requests.GenerateOptions]
                     ) -> AsyncGenerator[results.Choice, None]:
        """Pieces of a generation; closing the generator cancels it."""
        request = _wire.message("GenerateStreamRequest")(request=_requests.generate(self.model, prompt, options))
        method = _wire.method(self._channel, "GenerationService/GenerateStream")
        retry = _retry.Retry(self.timeout)
        begun = False
        while True:
            call = method(request, timeout=retry.left(), metadata=self._metadata)
            try:
                async for message in call:
                    begun = True
                    if message.HasField("choice"):
                        yield results.choice(message.choice)
                return
            except grpc.RpcError as error:
                failed = errors.from_rpc(error)
            finally:
                call.cancel()
            if begun:
                raise failed
            await asyncio.sleep(retry.wait_after(failed))

    async def tokenize(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """As Client.tokenize."""
        request = _wire.message("TokenizeRequest")(model=self.model, text=text, add_special_tokens=add_special_tokens)
        return list((await self._call("TokenizerService/Tokenize", request)).ids)

    async def detokenize(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """As Client.detokenize."""
        request = _wire.message("DetokenizeRequest")(model=self.model, ids=ids, skip_special_tokens=skip_special_tokens)
        return str((await self._call("TokenizerService/Detokenize", request)).text)

    async def models(self) -> list[results.Model]:
        """As Client.models."""
        response = await self._call("ModelService/ListModels", _wire.message("ListModelsRequest")())
        return [results.model(model) for model in response.models]

    async def get_model(self) -> results.Model:
        """As Client.get_model."""
        response = await self._call("ModelService/GetModel", _wire.message("GetModelRequest")(model=self.model))
        return results.model(response.model)

    async def server_info(self) -> results.ServerInfo:
        """As Client.server_info."""
        return results.server_info(
            await self._call("ServerService/GetServerInfo", _wire.message("GetServerInfoRequest")()))

    async def ready(self) -> bool:
        """As Client.ready."""
        check = _wire.method(self._channel, "grpc.health.v1.Health/Check")
        request = _wire.message("grpc.health.v1.HealthCheckRequest")(service="readiness")
        try:
            return bool((await check(request, timeout=2, metadata=self._metadata)).status == 1)
        except grpc.RpcError:
            return False

    async def _call(self, name: str, request: Any) -> Any:
        method = _wire.method(self._channel, name)
        retry = _retry.Retry(self.timeout)
        while True:
            try:
                return await method(request, timeout=retry.left(), metadata=self._metadata)
            except grpc.RpcError as error:
                failed = errors.from_rpc(error)
            await asyncio.sleep(retry.wait_after(failed))


async def _iterate(inputs: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(inputs, AsyncIterable):
        async for given in inputs:
            yield given
    else:
        for given in inputs:
            yield given


async def _until_none(messages: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while (message := await messages.get()) is not None:
        yield message
