"""The openai package, sync and async: fields, streams, models, exceptions by status, retries."""
import asyncio

import openai

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


async def check_async(url):
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        answers = await asyncio.gather(*(client.completions.create(**{**ASK, "seed": seed % 2}) for seed in range(16)))
        assert len({answer.choices[0].text for answer in answers}) <= 2
        text = ""
        async for chunk in await client.completions.create(**ASK, stream=True):
            text += chunk.choices[0].text
        assert text == (await client.completions.create(**ASK)).choices[0].text


def check_retries():
    """A full queue is a 429 that the client waits out by itself."""
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432", "--max_queued_requests=2",
                "--max_running_sequences=1") as server:
        async def ask():
            async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=50) as client:
                return await asyncio.gather(*(client.completions.create(**ASK) for _ in range(12)))
        answers = asyncio.run(ask())
        assert len({answer.choices[0].text for answer in answers}) == 1
        refused = server.metric_sum("dyad_http_requests_total", 'code="429"')
        assert refused > 0, "nothing was refused, so nothing was tried again"
        print(f"openai: {refused:.0f} refusals were tried again")


def main():
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432"):
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            check_completions(client)
            check_streams(client)
            check_models(client)
            check_errors(client)
        asyncio.run(check_async(url))
    check_retries()
    print(f"openai {openai.__version__}: completions, streams, models, errors, asyncio")


if __name__ == "__main__":
    main()
