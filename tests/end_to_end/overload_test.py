#!/usr/bin/env python3
"""An open loop that asks for more than the server can do: what it takes ends in time, what it refuses is
refused at once and told when to come back, and a short call of another connection does not wait.

First the capacity is measured: requests that end in a second, with --in_flight kept going. Then requests
without pause at multiples of it, each with a deadline. All figures are ratios of one run. The bounds are wide,
as generator and server share the machine; docs/measurements.md has the figures of an idle one.

Options: --multiples=2,6, --seconds S of each (default 8), --deadline S (default 6), --new_tokens N (default 192),
--in_flight N (default 32), --model FOLDER, --measure: print only.
"""
import argparse
import collections
import random
import threading
import time

import grpc

from support.server import DEMO, Server
from dyad.v1 import common_pb2, generation_pb2, generation_pb2_grpc


class Client:
    """A connection of its own."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.stub = generation_pb2_grpc.GenerationServiceStub(self.channel)
        self.random = random.Random(1)
        self.lock = threading.Lock()

    def ask(self, new_tokens, deadline, on_end):
        """on_end(code name, seconds, pushback given)"""
        ids = [self.random.randrange(3, 500) for _ in range(32)]
        request = generation_pb2.GenerateRequest(
            ids=common_pb2.TokenIds(ids=ids), max_new_tokens=new_tokens, ignore_eos=True)
        start = time.monotonic()
        call = self.stub.Generate.future(request, timeout=deadline)

        def ended(done):
            trailing = dict(done.trailing_metadata() or ())
            on_end(done.code().name, time.monotonic() - start, "grpc-retry-pushback-ms" in trailing)

        call.add_done_callback(ended)


def capacity(client, options):
    """Requests that end in a second, closed loop."""
    ended = 0
    begin = time.monotonic()
    until = begin + options.seconds
    idle = threading.Semaphore(0)

    def again(code, _seconds, _pushback):
        nonlocal ended
        with client.lock:
            assert code == "OK", code
            ended += 1
        if time.monotonic() < until:
            client.ask(options.new_tokens, None, again)
        else:
            idle.release()

    for _ in range(options.in_flight):
        client.ask(options.new_tokens, None, again)
    for _ in range(options.in_flight):
        idle.acquire()
    return ended / (time.monotonic() - begin)


def open_loop(client, rate, options):
    """Counter of codes, seconds until refusals, how many refusals lacked a pushback."""
    codes = collections.Counter()
    refusals, silent = [], 0
    begin = time.monotonic()
    sent = 0

    def note(code, seconds, pushback):
        nonlocal silent
        with client.lock:
            codes[code] += 1
            if code == "RESOURCE_EXHAUSTED":
                refusals.append(seconds)
                silent += 0 if pushback else 1

    while time.monotonic() - begin < options.seconds:
        due = int((time.monotonic() - begin) * rate)
        while sent < due:
            client.ask(options.new_tokens, options.deadline, note)
            sent += 1
        time.sleep(0.002)
    limit = time.monotonic() + options.deadline + 5
    while sum(codes.values()) < sent and time.monotonic() < limit:
        time.sleep(0.05)
    assert sum(codes.values()) == sent, "calls without an end"
    return codes, sorted(refusals), silent


def short_calls(client, stop, seconds):
    """Two tokens, again and again, until `stop`."""
    while not stop.is_set():
        done = threading.Event()

        def ended(code, took, _pushback):
            seconds.append(took if code == "OK" else 60)
            done.set()

        client.ask(2, 60, ended)
        done.wait()
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--multiples", default="2,6")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--deadline", type=float, default=6)
    parser.add_argument("--new_tokens", type=int, default=192)
    parser.add_argument("--in_flight", type=int, default=32)
    parser.add_argument("--model", default=DEMO)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    with Server({"m": options.model}, "--kv_cache_bytes=268435456", "--log_level=warning") as server:
        busy, other = Client(server.address), Client(server.address)
        rate = capacity(busy, options)
        print(f"capacity {rate:.1f} requests a second of 32 + {options.new_tokens} tokens")
        for multiple in map(float, options.multiples.split(",")):
            stop, seconds = threading.Event(), []
            guest = threading.Thread(target=short_calls, args=(other, stop, seconds))
            guest.start()
            codes, refusals, silent = open_loop(busy, multiple * rate, options)
            stop.set()
            guest.join()
            sent = sum(codes.values())
            good = codes["OK"] / (rate * options.seconds)
            late = codes["DEADLINE_EXCEEDED"] / sent
            refused = refusals[int(len(refusals) * 0.95)] if refusals else 0
            slowest = sorted(seconds)[int(len(seconds) * 0.9)] if seconds else 0
            print(f"{multiple:g} times: {sent} sent, in time {good:.0%} of capacity, died of the deadline {late:.1%}, "
                  f"refused {codes['RESOURCE_EXHAUSTED'] / sent:.0%} within {refused * 1000:.0f} ms (95 of 100), "
                  f"another connection's short call {slowest * 1000:.0f} ms (90 of 100), {dict(codes)}")
            if options.measure:
                continue
            assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}, codes
            assert silent == 0, f"{silent} refusals without a pushback"
            assert good > 0.4, "most of the work was for nothing"
            assert late < 0.25, "too much was let in"
            assert refused < 2, "refusals take long"
            assert slowest < 2, "one connection keeps another waiting"


if __name__ == "__main__":
    main()
