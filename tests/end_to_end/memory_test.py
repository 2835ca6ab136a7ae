#!/usr/bin/env python3
"""What one request may make the server hold: neither a compressed message nor the answer to a legal request
takes more than the limits of messages say, and both are refused in words."""
import re
import sys

import grpc

from support.server import DEMO, Server

from dyad.v1 import scoring_pb2, scoring_pb2_grpc, tokenizer_pb2, tokenizer_pb2_grpc

MIB = 1 << 20


def peak(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


def refused(server, what, call):
    """The error of a call, which must not raise the server's peak by much; prints by how much it did."""
    before = peak(server)
    try:
        call()
    except grpc.RpcError as error:
        grown = (peak(server) - before) / MIB
        print(f"{what}: peak memory + {grown:.1f} MiB", flush=True)
        assert grown < 32, what
        return error
    raise AssertionError("must be refused")


def main():
    with Server({"demo": DEMO}, "--kv_cache_bytes=4194304") as server:
        server.ctl("score", "Warm up.")
        unbounded = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
        for packed in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            channel = grpc.insecure_channel(server.address, unbounded, compression=packed)
            tokenize = tokenizer_pb2_grpc.TokenizerServiceStub(channel).Tokenize
            request = tokenizer_pb2.TokenizeRequest(text="a" * (100 * MIB))
            error = refused(server, f"100 MiB of text as {packed.name}", lambda: tokenize(request, timeout=60))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
            channel.close()

        channel = grpc.insecure_channel(server.address, unbounded)
        score = scoring_pb2_grpc.ScoringServiceStub(channel).Score
        large = tokenizer_pb2.TokenizeRequest(text="a" * (17 * MIB))
        tokenize = tokenizer_pb2_grpc.TokenizerServiceStub(channel).Tokenize
        error = refused(server, "17 MiB of text", lambda: tokenize(large))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert "message 1 has 17825797 bytes; the server's limit is 16777216" in error.details(), error

        request = scoring_pb2.ScoreRequest(top_n=20)
        for _ in range(1024):
            request.items.add().ids.ids.extend([300] * 512)
        error = refused(server, "20 best tokens of 524,288", lambda: score(request, timeout=60))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert re.search(r"the answer has \d+ bytes; the server's limit is 67108864", error.details()), error
        channel.close()
        assert "code=RESOURCE_EXHAUSTED" in server.output()
        print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
