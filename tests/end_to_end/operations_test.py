#!/usr/bin/env python3
"""What operators meet: clocks that jump, logs that nobody reads, open files that run out, handshakes that fail, an end
that finds idle streams, and what metrics and names of threads say.
"""
import contextlib
import json
import os
import pathlib
import queue
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import grpc

from support.server import BUILD, DEMO, Server, free_port
from dyad.v1 import model_pb2, model_pb2_grpc, scoring_pb2, scoring_pb2_grpc, server_pb2, server_pb2_grpc  # noqa: E402

FLAGS = (f"--kv_cache_bytes={32 << 20}", "--threads=1")

# Adds the seconds in the file $CLOCK_OFFSET to the wall clock, and to no other.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long Offset(void) {
  long seconds = 0;
  FILE* file = fopen(getenv("CLOCK_OFFSET"), "r");
  if (file != NULL && fscanf(file, "%ld", &seconds) != 1) seconds = 0;
  if (file != NULL) fclose(file);
  return seconds;
}
int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
  const int result = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += Offset();
  return result;
}
int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec spec;
  clock_gettime(CLOCK_REALTIME, &spec);
  now->tv_sec = spec.tv_sec;
  now->tv_usec = spec.tv_nsec / 1000;
  return 0;
}
time_t time(time_t* out) {
  struct timespec spec;
  clock_gettime(CLOCK_REALTIME, &spec);
  if (out != NULL) *out = spec.tv_sec;
  return spec.tv_sec;
}
"""


class Bare:
    """A server of which the test holds standard error. with Bare("--flag", stderr=…) as server: …"""

    def __init__(self, *flags, **popen):
        self.port = free_port()
        self.metrics_port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.command = [BUILD / "bin" / "dyad-server", f"--model=demo={DEMO}", f"--listen={self.address}",
                        f"--metrics=127.0.0.1:{self.metrics_port}", *FLAGS, *flags]
        self.popen = popen
        self.ca = ()

    def __enter__(self):
        self.process = subprocess.Popen(self.command, **self.popen)
        limit = time.monotonic() + 60
        while self.health() != 0:
            assert self.process.poll() is None and time.monotonic() < limit, "the server did not start"
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    metrics = Server.metrics

    def health(self):
        return subprocess.run([BUILD / "bin" / "dyadctl", "health", "--server", self.address, *self.ca],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def end(self, after, limit=10):
        """Ends by SIGTERM with status 0 within `limit` seconds; prints how long it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        seconds = time.monotonic() - begin
        assert status == 0 and seconds < limit, f"status {status} after {seconds} s"
        print(f"end after {after}: {seconds:.2f} s", flush=True)


def get_model(server, times=1):
    with grpc.insecure_channel(server.address) as channel:
        stub = model_pb2_grpc.ModelServiceStub(channel)
        for _ in range(times):
            assert stub.GetModel(model_pb2.GetModelRequest(), timeout=20).model.name == "demo"


def test_clock_jumps(folder):
    library, offset = folder / "clock.so", folder / "offset"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", library, "-ldl"], input=CLOCK,
                   text=True, check=True)
    offset.write_text("0")
    environment = {**os.environ, "LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}
    with Bare(env=environment, stderr=subprocess.DEVNULL) as server:
        for seconds in (3600, -3600):
            calls = [subprocess.Popen([BUILD / "bin" / "dyadctl", "generate", "--server", server.address, "Once upon",
                                       "--max_new_tokens=480", "--ignore_eos", "--n=2", "--timeout=120", "--json"],
                                      stdout=subprocess.DEVNULL) for _ in range(2)]
            time.sleep(0.2)
            (folder / "next").write_text(str(seconds))
            os.rename(folder / "next", offset)
            assert [call.wait(timeout=120) for call in calls] == [0, 0], f"a call ended when the clock jumped {seconds} s"
        for name, value in server.metrics().items():
            if "_seconds_sum" in name:
                assert 0 <= value < 1000, f"{name} is {value}"
        server.end("jumps of the wall clock")


def test_log_readers():
    read, write = os.pipe()
    with Bare(stderr=write) as server:
        os.close(write)
        get_model(server, 2000)  # the pipe fills up, and nobody reads
        server.end("a log that nobody reads")
    os.close(read)
    read, write = os.pipe()
    with Bare(stderr=write) as server:
        os.close(write)
        os.close(read)  # the reader ends
        get_model(server, 5)
        limit = time.monotonic() + 10
        while server.metrics()["dyad_log_lines_dropped_total"] < 5:
            assert time.monotonic() < limit, "dropped lines are not counted"
            time.sleep(0.05)
        server.end("a log whose reader is gone")
    # Closed at start: no socket of the server may get the number.
    with Bare(preexec_fn=lambda: [os.close(descriptor) for descriptor in (0, 1, 2)]) as server:
        get_model(server, 5)
        names = [os.readlink(f"/proc/{server.process.pid}/fd/{descriptor}") for descriptor in (0, 1, 2)]
        assert names == ["/dev/null"] * 3, names
        server.end("closed standard streams")


def limit_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))


def use_up_files(server):
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(160)]
    for connection in connections:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    time.sleep(0.5)
    metrics = server.metrics()  # they answer all the while
    assert metrics["dyad_connection_pauses_total"] > 0
    assert metrics["process_open_fds"] < 96 == metrics["process_max_fds"]
    for connection in connections:
        connection.close()
    limit = time.monotonic() + 20
    while server.health() != 0:
        assert time.monotonic() < limit, "no new connection is served after all were closed"


def test_open_files_run_out():
    with tempfile.TemporaryFile("w+") as log:
        with Bare(stderr=log, preexec_fn=limit_files) as server:
            use_up_files(server)
            server.end("160 connections where 96 files are allowed")
        log.seek(0)
        warnings = log.read().count(" warning new connections wait ")
        assert 1 <= warnings < 30, f"{warnings} warnings"


def test_tls_and_json(folder):
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                    "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    with tempfile.TemporaryFile("w+") as log:
        server = Bare(f"--tls_cert={certificate}", f"--tls_key={key}", "--log_format=json", stderr=log,
                      preexec_fn=limit_files)
        server.ca = ("--tls_ca", str(certificate))
        with server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain:
                plain.sendall(b"this is no handshake" * 10)
                plain.recv(100)
            use_up_files(server)
            end = server.metrics()["dyad_tls_certificate_end_timestamp_seconds"]
            assert 1 < (end - time.time()) / 86400 < 3
            server.end("the same with TLS")
        log.seek(0)
        events = [json.loads(line)["event"] for line in log.read().splitlines()]
    assert "grpc" in events, events  # what the library has to say of the handshake


def test_end_with_idle_streams():
    with Bare("--drain_timeout=20s", stderr=subprocess.DEVNULL) as server:
        channel = grpc.insecure_channel(server.address)
        pairs = queue.Queue()
        pairs.put(scoring_pb2.ScoreMinimalPairsRequest(
            convention=1, pairs=[scoring_pb2.MinimalPair(good="The cat sleeps.", bad="The cat sleep.")]))
        stream = scoring_pb2_grpc.ScoringServiceStub(channel).ScoreMinimalPairs(iter(pairs.get, None))
        assert next(stream).results
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        next(watch)
        reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        names = reflection(iter(queue.Queue().get, None))
        codes = []
        threading.Thread(target=lambda: codes.append(stream.exception()), daemon=True).start()
        server.end("idle streams", limit=5)
        limit = time.monotonic() + 10
        while not codes:
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert codes[0].code() == grpc.StatusCode.UNAVAILABLE, codes[0]
        assert codes[0].details() == "the server is shutting down", codes[0]
        names.cancel()
        pairs.put(None)


def threads_of(process):
    names = set()
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            names.add((task / "comm").read_text().strip())
    return names


def test_what_operators_see(folder):
    """Whether the server is ready, what it is, how old its work is, and what its threads do."""
    shutil.copytree(DEMO, folder / "model")
    (folder / "model" / "generation_config.json").write_text('{"eos_token_id": [60, 2]}')
    with Bare(f"--model=demo={folder}/model", "--threads=2", "--max_running_sequences=1",
              stderr=subprocess.DEVNULL) as server:
        metrics = server.metrics()
        assert metrics["dyad_ready"] == 1
        for name, labels in {"dyad_build_info": ("version", "commit", "isa", "device"),
                             "dyad_model_info": ('model="demo"', "digest", 'architecture="opt"', "weight_dtype",
                                                 "kv_dtype")}.items():
            series, = (series for series in metrics if series.startswith(name + "{"))
            assert metrics[series] == 1 and all(label in series for label in labels), series
        with grpc.insecure_channel(server.address) as channel:
            model = model_pb2_grpc.ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest(), timeout=20).model
            server_stub = server_pb2_grpc.ServerServiceStub(channel)
            info = server_stub.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=20)
        assert model.digest and model.tokenizer_digest and list(model.eos_ids) == [60, 2], model
        assert info.version and info.limits["max_running_sequences"] == 1 and len(info.limits) >= 12, info
        missing = {"accept", "compute", "engine", "health", "log", "metrics", "signals", "unread"} - threads_of(
            server.process)
        assert not missing, f"no thread is named {missing}"
        call = subprocess.Popen([BUILD / "bin" / "dyadctl", "generate", "--server", server.address, "Once upon",
                                 "--max_new_tokens=480", "--ignore_eos", "--n=2", "--json"], stdout=subprocess.DEVNULL)
        ages = [f'dyad_oldest_{what}_seconds{{model="demo"}}' for what in ("running", "waiting")]
        while min(metrics[age] for age in ages) == 0:
            assert call.poll() is None, f"{ages} stayed 0 while a sequence ran and another waited"
            metrics = server.metrics()
        assert call.wait(timeout=120) == 0
        server.end("a look at the metrics")


def test_reflection_describes_every_service():
    """In raw bytes of ServerReflectionRequest: field 7 lists the services, field 4 names a symbol."""
    services = [b"dyad.v1.GenerationService", b"dyad.v1.ScoringService", b"dyad.v1.TokenizerService",
                b"dyad.v1.ModelService", b"dyad.v1.ServerService", b"grpc.health.v1.Health"]
    with Bare(stderr=subprocess.DEVNULL) as server, grpc.insecure_channel(server.address) as channel:
        reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        requests = [b"\x3a\0"] + [b"\x22" + bytes([len(name)]) + name for name in services]
        listed, *described = reflection(iter(requests))
        for service, answer in zip(services, described, strict=True):
            assert service in listed, listed
            assert service.rpartition(b".")[2] in answer.split(service, 1)[1], f"{service} has no description"
        server.end("reflection", limit=5)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for test in (lambda: test_clock_jumps(folder), test_log_readers, test_open_files_run_out,
                     lambda: test_tls_and_json(folder), test_end_with_idle_streams,
                     lambda: test_what_operators_see(folder), test_reflection_describes_every_service):
            test()
    print("operations: all well")


if __name__ == "__main__":
    main()
