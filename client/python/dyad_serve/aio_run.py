"""Runs for asyncio."""
from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from dyad_serve import _json, _run_plan, _run_tasks, _wire, errors
from dyad_serve.aio import AsyncClient
from dyad_serve.run import CONCURRENT


class AsyncRun:
    """As Run: `async with AsyncRun(…) as run:` opens it, `async for answer in run` does what is left of it (and opens it,
    if it is not open yet)."""

    def __init__(self, path: _json.Path, client: AsyncClient, *, task: str, input: _json.Path,
                 options: Mapping[str, Any] | None = None, retry_errors: bool = False) -> None:
        self._client = client
        self._given = path, client.model, task, input, options, retry_errors
        self._plan: _run_plan.Plan | None = None

    @property
    def header(self) -> dict[str, Any]:
        """As Run.header. ValueError before it is open."""
        return self._open_plan().header

    @property
    def answers(self) -> int:
        """As Run.answers. ValueError before it is open."""
        return self._open_plan().file.answers

    async def __aenter__(self) -> AsyncRun:
        plan = await asyncio.to_thread(_run_plan.Plan, *self._given)  # reads and checks the whole input
        models = (await self._client._call("ModelService/ListModels", _wire.message("ListModelsRequest")())).models
        own = plan.own(models)
        asked = _wire.message("GetModelRequest")(model=own)
        model = (await self._client._call("ModelService/GetModel", asked)).model if own else None
        plan.begin(models, model, await self._client.server_info())
        self._plan = plan
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """As Run.close."""
        if self._plan is not None:
            self._plan.file.close()

    async def __aiter__(self) -> AsyncGenerator[dict[str, Any], None]:
        if self._plan is None:
            await self.__aenter__()
        plan = self._open_plan()
        plan.file.check_open()
        answers = self._scored(plan) if plan.task.calls else self._streamed(plan)
        try:
            async for line, answer in answers:
                for row in plan.write(line, answer):
                    yield row
        finally:
            await answers.aclose()
            self.close()

    def _open_plan(self) -> _run_plan.Plan:
        if self._plan is None:
            raise ValueError("the run is not open: async with AsyncRun(…) as run")
        return self._plan

    async def _streamed(self, plan: _run_plan.Plan) -> AsyncGenerator[tuple[_run_plan.Line, Any], None]:
        sent = _run_plan.Sent(plan.left())
        async for score in self._client._compare(_run_tasks.STREAM, sent.read(), plan.given["convention"], 512,
                                                 plan.given["special_tokens"], plan.digest):
            line = sent.next()
            yield line, plan.task.answer(line[1], plan.given, score)

    async def _scored(self, plan: _run_plan.Plan) -> AsyncGenerator[tuple[_run_plan.Line, Any], None]:
        waiting: collections.deque[tuple[_run_plan.Line, asyncio.Task[Any]]] = collections.deque()
        try:
            for line in plan.left():
                waiting.append((line, asyncio.ensure_future(self._answer(plan, line[1]))))
                if len(waiting) == CONCURRENT:
                    first, answer = waiting[0]
                    yield first, await answer
                    waiting.popleft()
            while waiting:
                first, answer = waiting[0]
                yield first, await answer
                waiting.popleft()
        finally:
            for _, task in waiting:
                task.cancel()

    async def _answer(self, plan: _run_plan.Plan, line: _json.Object) -> Any:
        calls, response = plan.calls(line), None
        try:
            while True:
                response = await self._client._call(*calls.send(response))
        except StopIteration:
            return plan.answer(line, response)
        except errors.DyadError as error:
            return plan.failure(line, error)
