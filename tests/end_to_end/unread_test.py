#!/usr/bin/env python3
"""Peers that ask and never read: what they make the server hold is bounded for each connection and in all, others are
served meanwhile, and nothing of it is kept when they leave."""
import sys
import time

from support.server import DEMO, Server
from support.shut_window import ShutWindow

from dyad.v1 import generation_pb2, scoring_pb2, tokenizer_pb2

MIB = 1 << 20
LIMIT = 32 * MIB
SHARE = LIMIT // 4
# An answer being made beside those that wait, and what is not given back at once.
SLACK = 64 * MIB


def await_true(what, condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.02)


def await_stable(server):
    before = 0
    while before != (before := server.resident_bytes()):
        time.sleep(0.3)


def score():
    request = scoring_pb2.ScoreRequest(top_n=20)
    for _ in range(12):
        request.items.add().ids.ids.extend([300] * 500)
    return request


def pairs():
    request = scoring_pb2.ScoreMinimalPairsRequest(return_tokens=True)
    for index in range(64):
        request.pairs.add(index=index, good="the cat " * 50, bad="the dog " * 50)
    return request


GENERATE = generation_pb2.GenerateRequest(text="The", n=16, logprobs=20, max_new_tokens=60, ignore_eos=True)

# Method, request, calls: their answers are larger than a connection's share. Then whether calls that find no room are
# told so: a stream has something in front of its end that is not read.
KINDS = (
    ("ScoringService/Score", score(), 16, True),
    ("TokenizerService/Tokenize", tokenizer_pb2.TokenizeRequest(text="a b " * 12000), 60, True),
    ("GenerationService/Generate", GENERATE, 40, True),
    ("GenerationService/GenerateStream", generation_pb2.GenerateStreamRequest(request=GENERATE), 40, False),
    ("ScoringService/ScoreMinimalPairs", pairs(), 100, False),
)


def unread(server):
    return server.metric_sum("dyad_unread_bytes")


def refused(server):
    return server.metric_sum("dyad_rpc_requests_total", 'code="RESOURCE_EXHAUSTED"')


def check(server, method, request, calls, told):
    resident, before = server.resident_bytes(), refused(server)
    accepted = server.metric_sum("dyad_sequences_accepted_total")
    peer = ShutWindow(server.address)
    for _ in range(calls):
        peer.call(method, request.SerializeToString())
    await_true(f"{method}: nothing waits", lambda: unread(server) > SHARE / 2 or not told and unread(server) > 0)
    await_true(f"{method}: no call is refused", lambda: refused(server) > before or not told)
    await_true(f"{method}: nothing is done",
               lambda: server.metric_sum("dyad_sequences_accepted_total") > accepted or "Tokenize" in method)
    await_true(f"{method}: sequences stay", lambda: server.metric_sum("dyad_sequences_in_flight") == 0)
    most = unread(server)
    grown = server.resident_bytes() - resident
    ended = len(peer.ended)
    server.ctl("score", "Others are served.")
    assert 0 < most <= SHARE + 16384 * calls, (method, most)
    assert ended < calls and (ended > 0 or not told), (method, ended)
    peer.close()
    await_true(f"{method}: bytes stay", lambda: unread(server) == 0)
    print(f"{method}: {ended} of {calls} calls ended, {most / MIB:.1f} MiB wait, + {grown / MIB:.1f} MiB resident", flush=True)
    assert grown < SLACK, (method, grown)


def main():
    with Server({"demo": DEMO}, "--kv_cache_bytes=16777216", f"--max_unread_bytes={LIMIT}") as server:
        server.ctl("score", "Warm up.")
        await_stable(server)  # all of the KV cache is resident
        resident = server.resident_bytes()
        for kind in KINDS:
            check(server, *kind)

        # In all.
        peers = [ShutWindow(server.address) for _ in range(8)]
        before = refused(server)
        for peer in peers:
            for _ in range(5):
                peer.call("ScoringService/Score", score().SerializeToString())
        await_true("the calls do not end", lambda: server.metric_sum("dyad_sequences_in_flight") == 0
                   and refused(server) >= before + 8)
        assert LIMIT / 2 < unread(server) <= LIMIT + MIB, unread(server)
        grown = server.resident_bytes() - resident
        for peer in peers:
            peer.close()
        await_true("bytes stay", lambda: unread(server) == 0)
        server.ctl("score", "Others are served again.")
        print(f"in all: + {grown / MIB:.1f} MiB resident", flush=True)
        assert grown < 4 * LIMIT, grown
        await_true("memory is kept", lambda: server.resident_bytes() < resident + grown - LIMIT // 4, seconds=10)
        assert "UNREAD" not in server.output() and "waits to be read on all connections" in server.output()
    return 0


if __name__ == "__main__":
    sys.exit(main())
