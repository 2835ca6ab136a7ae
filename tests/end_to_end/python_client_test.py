#!/usr/bin/env python3
"""The Python package against a server that fails as told: what is tried again, when, and what is raised. And TLS."""
import asyncio
import concurrent.futures
import contextlib
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import grpc

from support.raised import raised
from support.server import SOURCE  # puts the generated stubs on the path
from dyad.v1 import generation_pb2, model_pb2, model_pb2_grpc, scoring_pb2, scoring_pb2_grpc

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402
from dyad_serve import _retry, _wire  # noqa: E402

UNAVAILABLE, CANCELLED = (grpc.StatusCode.UNAVAILABLE, ""), (grpc.StatusCode.CANCELLED, "")
INTERNAL, TOO_LARGE = (grpc.StatusCode.INTERNAL, ""), (grpc.StatusCode.RESOURCE_EXHAUSTED, "")
FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
PUSHBACK = 0.1  # seconds
# One for all: gRPC 1.51 complains of a second loop in a process.
LOOP = asyncio.new_event_loop()


class Failing(model_pb2_grpc.ModelServiceServicer, scoring_pb2_grpc.ScoringServiceServicer):
    """Ends the next calls as `ends` says, then answers. A stream gives `results` results before it ends so."""

    def __init__(self):
        self.ends, self.calls, self.results, self.metadata = [], 0, 0, {}

    def fail(self, context):
        self.calls += 1
        self.metadata = dict(context.invocation_metadata())
        if not self.ends:
            return
        code, reason = self.ends.pop(0)
        status = _wire.message("google.rpc.Status")(code=code.value[0])
        if reason:
            for name, fields in (("ErrorInfo", {"reason": reason}),
                                 ("RetryInfo", {"retry_delay": {"nanos": int(PUSHBACK * 1e9)}})):
                detail = _wire.message(f"google.rpc.{name}")(**fields)
                status.details.add(type_url=f"type.googleapis.com/google.rpc.{name}", value=detail.SerializeToString())
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),
                                       ("x-request-id", "the-request")))
        context.abort(code, "as told")

    def ListModels(self, request, context):
        self.fail(context)
        return model_pb2.ListModelsResponse(models=[model_pb2.Model(name="demo")])

    def ScoreMinimalPairs(self, requests, context):
        given = 0
        for request in requests:
            for pair in request.pairs:
                if self.ends and given >= self.results:
                    self.fail(context)
                given += 1
                yield scoring_pb2.ScoreMinimalPairsResponse(results=[
                    scoring_pb2.PairScore(index=pair.index, margin=len(pair.good), good_sum=1)])
        self.calls += 1


@contextlib.contextmanager
def serving(credentials=None):
    """(service, address)"""
    service = Failing()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    model_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    scoring_pb2_grpc.add_ScoringServiceServicer_to_server(service, server)
    add = server.add_insecure_port if credentials is None else lambda a: server.add_secure_port(a, credentials)
    port = add("127.0.0.1:0")
    server.start()
    yield service, f"127.0.0.1:{port}"
    server.stop(None).wait()


def models(address, **options):
    with dyad_serve.Client(address, **options) as client:
        return client.models()


def models_async(address, **options):
    async def ask():
        async with dyad_serve.AsyncClient(address, **options) as client:
            return await client.models()
    return LOOP.run_until_complete(ask())


def check_retries(ask):
    """Five tries where the server is away, none where it gave its answer, and the pushback's wait where it is full."""
    with serving() as (service, address):
        service.ends = [UNAVAILABLE] * 4
        assert ask(address)[0].name == "demo" and service.calls == 5
        service.calls, service.ends = 0, [UNAVAILABLE] * 5
        error = raised(dyad_serve.Unavailable, lambda: ask(address))
        assert service.calls == 5 and error.request_id == "the-request", (service.calls, error.request_id)
        service.calls, service.ends = 0, [FULL] * 3
        begin = time.monotonic()
        assert ask(address)[0].name == "demo" and service.calls == 4
        assert time.monotonic() - begin >= 3 * PUSHBACK
        service.calls, service.ends = 0, [FULL] * 100
        error = raised(dyad_serve.QueueFull, lambda: ask(address, timeout=2 * PUSHBACK))
        assert error.retry_after == PUSHBACK and error.reason == "QUEUE_FULL" and service.calls <= 2
        for end in (INTERNAL, TOO_LARGE):
            service.calls, service.ends = 0, [end] * 2
            error = raised(dyad_serve.DyadError, lambda: ask(address))
            assert service.calls == 1 and error.code == end[0].name and error.message == "as told", error
            assert not isinstance(error, dyad_serve.QueueFull)


def given(count):
    yield from (("g" * (i % 7), "b") for i in range(count))


def failing():
    yield from given(3)
    raise dyad_serve.Unavailable("UNAVAILABLE", "the input's own")


def pairs(address, source, **options):
    with dyad_serve.Client(address) as client:
        return list(client.pairs(source, **options))


def pairs_async(address, source, **options):
    async def ask():
        async with dyad_serve.AsyncClient(address) as client:
            return [pair async for pair in client.pairs(source, **options)]
    return LOOP.run_until_complete(ask())


def check_streams(ask):
    """A stream that breaks again and again loses nothing and gives nothing twice, as long as it gives something."""
    with serving() as (service, address):
        for results, window in ((3, 8), (1, 1), (0, 512)):
            service.results = results
            service.ends = [UNAVAILABLE, CANCELLED, FULL, UNAVAILABLE] if results else [UNAVAILABLE, FULL, FULL]
            found = ask(address, given(40), window=window)
            assert [(pair.index, pair.margin) for pair in found] == [(i, i % 7) for i in range(40)]
            assert not service.ends
        service.results, service.ends = 0, [UNAVAILABLE] * 5
        raised(dyad_serve.Unavailable, lambda: ask(address, given(40)))
        service.ends = [INTERNAL]
        assert raised(dyad_serve.DyadError, lambda: ask(address, given(40))).code == "INTERNAL"
        # An error of the input is no broken stream.
        assert "input's" in raised(dyad_serve.Unavailable, lambda: ask(address, failing())).message


def check_gone(ask):
    begin = time.monotonic()
    raised(dyad_serve.Unavailable, lambda: ask("127.0.0.1:1", timeout=1.5))
    assert time.monotonic() - begin < 10


def check_tls(folder, ask):
    """Both sides show certificates; the key goes along. Without the authority there is no connection."""
    for name in ("ca", "server", "client"):
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key"] if name != "ca" else []
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{name}.key",
                        "-out", f"{name}.pem", "-days", "2", *signed], cwd=folder, check=True, capture_output=True)
    read = {path.name: path.read_bytes() for path in folder.iterdir()}
    credentials = grpc.ssl_server_credentials([(read["server.key"], read["server.pem"])], read["ca.pem"], True)
    own = dict(cert=folder / "client.pem", key=folder / "client.key")
    with serving(credentials) as (service, address):
        assert ask(address, tls=dyad_serve.TLS(ca=folder / "ca.pem", **own), api_key="key")[0].name == "demo"
        assert service.metadata["authorization"] == "Bearer key"
        for tls in (dyad_serve.TLS(**own), dyad_serve.TLS(ca=folder / "ca.pem")):
            raised(dyad_serve.Unavailable, lambda: ask(address, tls=tls, timeout=0.5))
    raised(ValueError, lambda: dyad_serve.TLS(cert="a"))
    assert "pyproject.toml" in str(raised(ValueError, lambda: ask(
        "127.0.0.1:1", tls=dyad_serve.TLS(ca=SOURCE / "client" / "python" / "pyproject.toml"))))


def check_wire():
    """The classes made at import have the fields of generated ones."""
    generated = generation_pb2.GenerateRequest(text="a", temperature=0.5, logit_bias={5: 1.5}, seed=3)
    ours = _wire.message("GenerateRequest").FromString(generated.SerializeToString())
    assert (ours.text, ours.temperature, dict(ours.logit_bias), ours.HasField("top_k")) == ("a", 0.5, {5: 1.5}, False)
    assert _wire.enum_name("FinishReason", _wire.enum_value("FinishReason", "eos")) == "EOS"


def main():
    signal.alarm(300)  # a stream of pairs waits for ever if one is lost
    _retry.FIRST_BACKOFF = 0.01  # the first wait; the others grow with it
    check_wire()
    for ask, stream in ((models, pairs), (models_async, pairs_async)):
        check_retries(ask)
        check_streams(stream)
        check_gone(ask)
        with tempfile.TemporaryDirectory() as name:
            check_tls(pathlib.Path(name), ask)
    print("python client: retries, pushback, streams and TLS are as README says")


if __name__ == "__main__":
    main()
