#!/usr/bin/env python3
"""Concurrent streams with random cancels: no page leaked, no error but the cancels, sums of the metrics
hold, and memory stays level from the first third on.

Options: --seconds S (default 15), --streams N (default 64).
"""
import argparse
import time

from support.server import DEMO, Server
from support.traffic import Streams


def settled(server):
    """Waits until nothing runs; returns the metrics."""
    limit = time.time() + 30
    while True:
        running = server.metric_sum("dyad_sequences_in_flight")
        if running == 0:
            return server.metrics()
        assert time.time() < limit, f"{running} sequences still in flight"
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--streams", type=int, default=64)
    options = parser.parse_args()
    # So few pages that all are touched early, and that sequences are preempted.
    with Server({"demo": DEMO}, "--kv_cache_bytes=33554432") as server:
        with Streams(server.address, options.streams, seed=3) as streams:
            time.sleep(options.seconds / 3)
            early = server.resident_bytes()
            time.sleep(options.seconds * 2 / 3)
            late = server.resident_bytes()
        settled(server)
        accepted = server.metric_sum("dyad_sequences_accepted_total")
        finished = server.metric_sum("dyad_sequences_finished_total")
        pages = server.metric_sum("dyad_kv_pages_used")
        growth = (late - early) / (1 << 20)
        print(f"{streams.finished} streams ended, {streams.cancelled} cancelled, {streams.tokens} tokens; "
              f"accepted {accepted:.0f}, finished {finished:.0f}, pages in use {pages:.0f}, "
              f"resident memory {late / (1 << 20):.0f} MiB, grew {growth:.1f} MiB")
        assert not streams.errors, streams.errors[:3]
        assert streams.finished > 0 and streams.cancelled > 0
        assert accepted == finished > 0
        assert pages == 0
        assert growth < 8


if __name__ == "__main__":
    main()
