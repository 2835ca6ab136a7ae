#!/usr/bin/env python3
"""A thousand clients of the HTTP door, measured; run by hand on an idle machine, as times are in it.

1. Streams that wait: 1,000 requests for events queue beside 16 streams that are served. What each costs in resident memory
   and threads, how the served ones' gaps change, and that all of them are answered.
2. Clients that leave: 1,000 while they queue, while their prompt is read, and in the middle of their stream.
3. 10,000 connections in turn, and a reader that takes a byte a second.

Nothing is left behind afterwards: no page, sequence or connection; resident memory is flat.
"""
import asyncio
import json
import pathlib
import random
import subprocess
import time

from support.server import BUILD, DEMO, Server, free_port

CROWD = 1000
ACTIVE = 16


def body_of(prompt_tokens, new_tokens, rng):
    ids = [rng.randrange(100, 1000) for _ in range(prompt_tokens)]
    return json.dumps({"model": "demo", "prompt": ids, "max_tokens": new_tokens, "ignore_eos": True, "stream": True,
                       "temperature": 0}).encode()


class Stream:
    """One request for events on a connection of its own."""

    async def open(self, port, body):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                          b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        await self.writer.drain()
        return self

    async def gaps(self):
        """Seconds between events, read to the end."""
        times, gaps = None, []
        async for line in self.reader:
            if line.startswith(b"data: [DONE]"):
                self.leave()
                return gaps
            if line.startswith(b"data: "):
                now = time.monotonic()
                if times is not None:
                    gaps.append(now - times)
                times = now
        raise AssertionError("the stream ended without [DONE]")

    async def first_event(self):
        while not (await self.reader.readline()).startswith(b"data: "):
            pass

    def leave(self):
        self.writer.close()


def threads_of(server):
    return len(list(pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def until(condition, seconds=120):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came to it"
        await asyncio.sleep(0.05)


def waiting(server):
    return server.metric_sum("dyad_sequences_waiting")


async def served(server, port, rng, crowd):
    """Gaps of ACTIVE streams, beside `crowd` that wait; the crowd is answered afterwards."""
    streams = [await Stream().open(port, body_of(8, 450, rng)) for _ in range(ACTIVE)]
    for stream in streams:
        await stream.first_event()
    resident, threads = server.resident_bytes(), threads_of(server)
    idle = [await Stream().open(port, body_of(8, 1, rng)) for _ in range(crowd)]
    await until(lambda: waiting(server) >= crowd)
    each = (server.resident_bytes() - resident) / crowd if crowd else 0
    assert threads_of(server) == threads, "no thread for a connection"
    gaps = [gap for stream in await asyncio.gather(*(stream.gaps() for stream in streams)) for gap in stream]
    await asyncio.gather(*(stream.gaps() for stream in idle))
    return gaps, each


def nothing_left(server):
    return all(server.metric_sum(name) == 0 for name in ("dyad_sequences_running", "dyad_sequences_waiting", "dyad_http_connections"))


async def leave(server, port, rng, when):
    """CROWD clients that leave; seconds until nothing of them is left."""
    streams = await asyncio.gather(*(Stream().open(port, body_of(300 if when == "prefill" else 8, 200, rng)) for _ in range(CROWD)))
    if when == "stream":
        for stream in streams[:64]:
            await stream.first_event()
    else:
        await asyncio.sleep(0.2)
    for stream in streams:
        stream.leave()
    start = time.monotonic()
    await until(lambda: nothing_left(server))
    return time.monotonic() - start


async def measure(server, port):
    rng = random.Random(1)
    await served(server, port, rng, 0)
    for _ in range(3):
        alone, _ = await served(server, port, rng, 0)
        crowded, each = await served(server, port, rng, CROWD)
        print(f"{CROWD} waiting streams: {each / 1024:.1f} KiB resident each, no thread; gaps of {ACTIVE} served ones "
              + ", ".join(f"p{int(share * 100)} {percentile(crowded, share) * 1e3:.2f} ms against {percentile(alone, share) * 1e3:.2f}"
                          for share in (0.5, 0.99)))
    resident = server.resident_bytes()
    for when in ("queue", "prefill", "stream"):
        print(f"{CROWD} clients left ({when}): nothing of them after {await leave(server, port, rng, when):.2f} s")
    for _ in range(10000):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    slow = await Stream().open(port, body_of(8, 450, rng))
    start = time.monotonic()
    other = await (await Stream().open(port, body_of(8, 450, rng))).gaps()
    for _ in range(3):
        await slow.reader.read(1)
        await asyncio.sleep(1)
    slow.leave()
    print(f"beside a reader of a byte a second another stream had {len(other)} gaps in {time.monotonic() - start - 3:.1f} s")
    await until(lambda: nothing_left(server))
    print(f"after 10,000 connections in turn and all of these: resident {(server.resident_bytes() - resident) / 2**20:+.1f} MiB")


def main():
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", f"--max_running_sequences={ACTIVE}", "--prefix_cache=off",
                "--kv_cache_bytes=268435456", "--log_level=warning") as server:
        asyncio.run(measure(server, port))


if __name__ == "__main__":
    main()
