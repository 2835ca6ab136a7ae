"""The request and the reading loop of vLLM's benchmark of completions, written anew from their wire shape: 200 streams,
16 at a time; the tokens of each are counted by the chunk with the usage, the text comes in pieces."""
import asyncio
import dataclasses
import json
import time

import aiohttp

from support.server import DEMO, Server, free_port

STREAMS, CONCURRENT = 200, 16


@dataclasses.dataclass
class Result:
    text: str = ""
    tokens: int = 0
    first: float = 0  # seconds to the first piece
    gaps: list = dataclasses.field(default_factory=list)


async def ask(session, url, prompt, tokens):
    payload = {"model": "demo", "prompt": prompt, "repetition_penalty": 1.0, "temperature": 0.0, "max_tokens": tokens,
               "logprobs": None, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}
    result, done, begin = Result(), False, time.perf_counter()
    last = begin
    async with session.post(url, json=payload, headers={"Authorization": "Bearer none"}) as response:
        assert response.status == 200, await response.text()
        buffer = ""
        async for piece in response.content.iter_any():
            buffer += piece.decode()
            while "\n\n" in buffer:
                event, buffer = buffer.split("\n\n", 1)
                if event.startswith(":"):  # a comment: it still waits
                    continue
                data = event.removeprefix("data: ")
                if data == "[DONE]":
                    done = True
                    continue
                chunk = json.loads(data)
                if chunk["choices"]:
                    now = time.perf_counter()
                    if result.first == 0:
                        result.first = now - begin
                    else:
                        result.gaps.append(now - last)
                    last = now
                    result.text += chunk["choices"][0]["text"] or ""
                elif chunk.get("usage"):
                    result.tokens = chunk["usage"]["completion_tokens"]
    assert done, "the stream ended without [DONE]"
    return result


async def run(url):
    limit = asyncio.Semaphore(CONCURRENT)
    async with aiohttp.ClientSession() as session:
        async def one(i):
            async with limit:
                return await ask(session, url, f"Once upon a time there were {i % 10} children", 8 + i % 5)
        return await asyncio.gather(*map(one, range(STREAMS)))


def main():
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432"):
        results = asyncio.run(run(f"http://127.0.0.1:{port}/v1/completions"))
    for i, result in enumerate(results):
        same = results[i % 10]  # the same prompt, as many tokens
        assert result.tokens == 8 + i % 5 and result.first > 0 and result.text, (i, result)
        assert result.text == same.text, (i, result, same)
    print(f"vLLM's loop: {STREAMS} streams, {sum(result.tokens for result in results)} tokens by the usage chunks")


if __name__ == "__main__":
    main()
