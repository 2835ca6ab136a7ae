"""The openai package, sync and async: fields, streams, models, exceptions by status, retries when the server said, an
error inside a stream."""
import asyncio
import pathlib
import signal
import tempfile
import time

import openai

from support import readme
from support.server import DEMO, Server, free_port

ASK = dict(model="demo", prompt="Once upon a time there was", max_tokens=12, temperature=0.7, seed=11)


def check_completions(client):
    answer = client.completions.create(**ASK, n=2, logprobs=2, echo=True, stop=["\n\n"], presence_penalty=0.5,
                                       frequency_penalty=0.5, logit_bias={"5": -1}, top_p=0.9, user="me", best_of=2)
    assert len(answer.choices) == 2 and answer.choices[1].index == 1
    assert answer.choices[0].text.startswith(ASK["prompt"])
    assert answer.choices[0].finish_reason in ("length", "stop")
    logprobs = answer.choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == len(logprobs.text_offset)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0
    many = client.completions.create(**{**ASK, "prompt": ["a", "b", "c"]})
    assert [choice.index for choice in many.choices] == [0, 1, 2]
    # What vLLM's users send beside OpenAI's fields.
    more = client.completions.create(**ASK, extra_body=dict(
        top_k=-1, min_p=0.01, repetition_penalty=1.1, ignore_eos=True, min_tokens=12, stop_token_ids=[7000],
        add_special_tokens=False, return_token_ids=True, return_tokens_as_token_ids=True, skip_special_tokens=True,
        spaces_between_special_tokens=True, use_beam_search=False, length_penalty=1, priority=0), logprobs=1)
    assert len(more.choices[0].token_ids) == 12 and more.choices[0].logprobs.tokens[0].startswith("token_id:"), more


def check_readme(port):
    """The line of README.md, as it stands there."""
    (line,) = readme.table("I use")["openai (Python)"]
    answer = eval(line.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), {"openai": openai})
    assert answer.choices[0].text and answer.usage.completion_tokens > 0, answer


def check_streams(client):
    whole = client.completions.create(**ASK)
    pieces, usage = [], None
    for chunk in client.completions.create(**ASK, stream=True, stream_options={"include_usage": True}):
        pieces += [choice.text for choice in chunk.choices]
        usage = chunk.usage or usage
    assert "".join(pieces) == whole.choices[0].text
    assert usage.completion_tokens == whole.usage.completion_tokens


def check_models(client):
    models = client.models.list().data
    assert [model.id for model in models] == ["demo"]
    assert client.models.retrieve("demo").owned_by == "dyad-serve"


def check_errors(client):
    for kind, ask in ((openai.BadRequestError, dict(model="demo", prompt="a", max_tokens=10**6)),
                      (openai.NotFoundError, dict(model="none", prompt="a"))):
        try:
            client.completions.create(**ask)
        except kind as error:
            assert error.body["code"] in ("context_length_exceeded", "model_not_found"), error.body
            assert error.request_id
        else:
            raise AssertionError(f"{kind.__name__} was not raised")
    try:
        client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "a"}])
    except openai.NotFoundError as error:
        assert "use /v1/completions" in error.message
    else:
        raise AssertionError("chat is not offered")


def check_keys():
    """No key, and a wrong one, are AuthenticationError."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder, "keys")
        keys.write_text("a-key-of-16-chars\n")
        with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", f"--api_key_file={keys}") as server:
            for key, works in (("a-key-of-16-char", False), ("a-key-of-16-chars", True)):
                with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0) as client:
                    try:
                        assert client.models.list().data and works
                    except openai.AuthenticationError as error:
                        assert not works and error.body["code"] == "invalid_api_key", error
            assert server.metric_sum("dyad_http_requests_total", 'code="401"') == 1


def check_broken_stream():
    """A server that ends while it streams says so inside the stream, and that is raised."""
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--drain_timeout=1ms") as server:
        async def ask():
            url = f"http://127.0.0.1:{port}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
                streams = [await client.completions.create(
                    model="demo", prompt=["Once upon a time"] * 8, max_tokens=480, stream=True, seed=i,
                    extra_body={"ignore_eos": True}) for i in range(8)]
                server.process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*(read(stream) for stream in streams))
        ends = asyncio.run(ask())
        assert any(isinstance(end, openai.APIError) for end in ends), ends
        assert all(end is None or end.code == "draining" for end in ends), [end.body for end in ends if end]
        server.process.wait(timeout=60)


async def read(stream):
    """What a stream ended with; None: as it should."""
    try:
        async for _ in stream:
            pass
    except openai.APIError as error:
        return error


async def check_async(url):
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        answers = await asyncio.gather(*(client.completions.create(**{**ASK, "seed": seed % 2}) for seed in range(16)))
        assert len({answer.choices[0].text for answer in answers}) <= 2
        text = ""
        async for chunk in await client.completions.create(**ASK, stream=True):
            text += chunk.choices[0].text
        assert text == (await client.completions.create(**ASK)).choices[0].text


def check_retries():
    """A full queue is a 429 that the client waits out by itself, as long as the server said."""
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432", "--max_queued_requests=2",
                "--max_running_sequences=1") as server:
        url = f"http://127.0.0.1:{port}/v1"

        async def ask(waits):
            """One request by a client of its own; `waits` gets how long the server said, and how long it was."""
            refused = None  # when, and for how long

            async def on_request(_):
                if refused:
                    waits.append((refused[1], time.perf_counter() - refused[0]))

            async def on_response(response):
                nonlocal refused
                if response.status_code == 429:
                    assert int(response.headers["retry-after"]) >= 1, response.headers
                    refused = time.perf_counter(), float(response.headers["retry-after-ms"]) / 1000

            hooks = {"request": [on_request], "response": [on_response]}
            async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=50,
                                          http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks)) as client:
                return await client.completions.create(**ASK)

        async def ask_all(waits):
            return await asyncio.gather(*(ask(waits) for _ in range(12)))

        waits = []
        answers = asyncio.run(ask_all(waits))
        assert waits and all(said <= waited for said, waited in waits), waits
        # Its own pauses begin at half a second.
        assert min(waited - said for said, waited in waits) < 0.25, waits
        assert len({answer.choices[0].text for answer in answers}) == 1
        refused = server.metric_sum("dyad_http_requests_total", 'code="429"')
        assert refused > 0, "nothing was refused, so nothing was tried again"
        assert refused == len(waits), (refused, waits)

        async def ask_at_once():
            async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
                return await asyncio.gather(*(client.completions.create(**ASK) for _ in range(12)), return_exceptions=True)

        errors = [answer for answer in asyncio.run(ask_at_once()) if isinstance(answer, Exception)]
        assert errors and all(type(error) is openai.RateLimitError and error.body["code"] == "queue_full" for error in errors), errors
        print(f"openai: {refused:.0f} refusals were tried again, when the server had said")


def main():
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432"):
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            check_completions(client)
            check_streams(client)
            check_models(client)
            check_errors(client)
        check_readme(port)
        asyncio.run(check_async(url))
    check_keys()
    check_retries()
    check_broken_stream()
    print(f"openai {openai.__version__}: completions, streams, models, errors, asyncio")


if __name__ == "__main__":
    main()
