#!/usr/bin/env python3
"""dyad-bench server against a real server: what it counts adds up. How fast is not looked at.

Also: the checkpoints that make_model.py writes are those of published models, and the server takes them.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

from support.server import BUILD, DEMO, SOURCE, Server, free_port

sys.path.insert(0, str(SOURCE / "tests" / "bench"))
import make_model  # noqa: E402

FLAGS = ("--prompt_tokens=12", "--new_tokens=6", "--connections=2")


def bench(address, *flags, check=True):
    result = subprocess.run([BUILD / "bin" / "dyad-bench", "server", address, *flags],
                            capture_output=True, text=True, timeout=120)
    if check:
        assert result.returncode == 0, result.stderr
    return result


def bench_json(address, *flags):
    return json.loads(bench(address, "--json", *flags).stdout)


def check_times(times, count):
    assert times["count"] == count, times
    assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"], times
    assert 0 < times["mean"] <= times["max"], times


def check_rates(report, **tokens):
    requests = report["requests"]
    assert abs(report["requests_per_second"] * report["seconds"] - requests["succeeded"]) < 1e-6
    for name, count in tokens.items():
        assert abs(report[name] * report["seconds"] - count) < 1e-6 * count, (name, report)


def check_generate(server):
    report = bench_json(server.address, *FLAGS, "--clients=3", "--requests=20")
    assert report["loop"] == "closed" and report["in_flight"] == 3, report
    assert report["requests"] == {"sent": 20, "succeeded": 20, "late": 0, "errors": {}}, report
    check_rates(report, tokens_in_per_second=20 * 12, tokens_out_per_second=20 * 6)
    check_times(report["ttft_seconds"], 20)
    check_times(report["request_seconds"], 20)
    # Tokens that come in one piece with the first have no gap before them.
    assert 0 < report["token_seconds"]["count"] <= 20 * 5, report
    assert report["goodput"]["requests"] == 20, report
    generated = server.metric_sum("dyad_generated_tokens_total")
    assert generated == 20 * 6, generated


def check_http(server, http):
    """The same counts through the HTTP door."""
    before = server.metric_sum("dyad_generated_tokens_total")
    report = bench_json(server.address, *FLAGS, f"--http={http}", "--clients=3", "--requests=20", "--seed=21")
    assert report["door"] == "http" and report["connections"] == 3, report
    assert report["requests"] == {"sent": 20, "succeeded": 20, "late": 0, "errors": {}}, report
    check_rates(report, tokens_in_per_second=20 * 12, tokens_out_per_second=20 * 6)
    check_times(report["ttft_seconds"], 20)
    assert server.metric_sum("dyad_generated_tokens_total") - before == 20 * 6
    report = bench_json(server.address, "--task=score", "--prompt_tokens=20", "--items=4", f"--http={http}",
                        "--clients=2", "--requests=10", "--seed=22")
    assert report["scored_tokens"] == 10 * 4 * 19, report
    result = bench(server.address, *FLAGS, "--http=127.0.0.1:1", "--requests=2", check=False)
    assert result.returncode == 1 and "cannot connect to 127.0.0.1:1" in result.stderr, result.stderr


def check_open_loop(server):
    report = bench_json(server.address, *FLAGS, "--rate=100", "--requests=25", "--seed=7",
                        "--ttft_limit_ms=0.001")
    assert report["loop"] == "open" and report["rate"] == 100, report
    assert report["requests"]["sent"] == report["requests"]["succeeded"] == 25, report
    assert report["goodput"]["requests"] == 0, report  # nobody answers within a microsecond
    by_time = bench_json(server.address, *FLAGS, "--rate=50", "--duration_s=0.5", "--seed=8")
    assert 5 < by_time["requests"]["sent"] < 60, by_time
    assert by_time["seconds"] < 60, by_time


def check_score(server):
    report = bench_json(server.address, "--task=score", "--prompt_tokens=20", "--items=4",
                        "--clients=2", "--requests=10", "--seed=9")
    assert report["task"] == "score" and report["requests"]["succeeded"] == 10, report
    assert report["scored_tokens"] == 10 * 4 * 19, report
    check_rates(report, tokens_in_per_second=10 * 4 * 20, scored_tokens_per_second=10 * 4 * 19)
    check_times(report["request_seconds"], 10)
    assert "ttft_seconds" not in report, report


def check_table_and_errors(server):
    table = bench(server.address, *FLAGS, "--requests=5").stdout
    for words in ("5 requests in", "5 succeeded", "tokens a second:", "goodput", "99 %",
                  "to the first token", "between tokens", "whole request"):
        assert words in table, table
    for flags, message in ((["--rate=-1"], "--rate is -1; it must be in"),
                           (["--task=chat"], "--task is 'chat'; it must be generate or score"),
                           (["--items=0"], "--items is 0; it must be in [1, 1024]"),
                           (["--prompt_tokens=510", "--new_tokens=10"], "512 tokens of model demo"),
                           (["--served_model=other"], "other")):
        result = bench(server.address, *flags, check=False)
        assert result.returncode == 1 and message in result.stderr, result.stderr
    result = bench("127.0.0.1:1", check=False)
    assert result.returncode == 1 and result.stderr.startswith("dyad-bench: "), result.stderr


def check_refused_requests():
    """A queue of one sequence: some requests are refused, at once, and are counted as that."""
    with Server({"demo": DEMO}, "--kv_cache_bytes=33554432", "--max_queued_requests=1",
                "--max_running_sequences=1") as server:
        report = bench_json(server.address, "--prompt_tokens=12", "--new_tokens=100",
                            "--clients=16", "--requests=64")
        errors = report["requests"]["errors"]
        assert set(errors) == {"RESOURCE_EXHAUSTED"}, report
        assert report["requests"]["succeeded"] + errors["RESOURCE_EXHAUSTED"] == 64, report
        check_times(report["request_seconds"], report["requests"]["succeeded"])


def check_engine():
    """The same load without a server."""
    result = subprocess.run([BUILD / "bin" / "dyad-bench", "engine", DEMO, "--json", "--clients=3", "--requests=20",
                             "--prompt_tokens=12", "--new_tokens=6"],
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["requests"] == {"sent": 20, "succeeded": 20, "late": 0, "errors": {}}, report
    check_rates(report, tokens_in_per_second=20 * 12, tokens_out_per_second=20 * 6)
    check_times(report["ttft_seconds"], 20)


def check_make_model():
    """Parameters as published, one checkpoint of each architecture served, wrong options refused."""
    published = {("opt", "125m"): 125_239_296, ("opt", "350m"): 331_196_416,
                 ("opt", "1.3b"): 1_315_758_080, ("gpt_neox", "70m"): 70_426_624,
                 ("gpt_neox", "160m"): 162_322_944, ("gpt_neox", "410m"): 405_334_016}

    def parameters(*choice):
        return sum(math.prod(shape) for _, shape, _ in make_model.tensors(*choice))

    counts = {choice: parameters(*choice, "dense", 1) for choice in make_model.SIZES}
    assert counts == published, counts
    dense = published["opt", "125m"] - 12 * 2 * 768 * 3072
    assert parameters("opt", "125m", "dyad", 8) == dense + 12 * 2 * 768 * 3072 * 2 // 8
    assert parameters("opt", "125m", "low_rank", 8) == dense + 12 * 2 * 8 * (768 + 3072)
    assert parameters("opt", "125m", "monarch", 8) == dense + 12 * 2 * (768 + 3072) * 768 // 8

    linear = 12 * (2 * 768 * 3072 + 4 * 768 * 768)
    for choice in (("low_rank", 1), ("monarch", 4), ("blast", 4), ("blast", 16)):
        of_linear = parameters("opt", "125m", *choice, True, "all") - (published["opt", "125m"] - linear)
        assert 0.49 < of_linear / linear <= 0.5, (choice, of_linear / linear)

    def make(folder, *flags):
        return subprocess.run([SOURCE / "tests" / "bench" / "make_model.py", folder, *flags],
                              capture_output=True, text=True, timeout=120)

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "model")
        for flags, about in (([], "96927744 parameters"),
                             (["--arch=gpt_neox", "--size=70m", "--blocks=8"], "60989440 parameters")):
            result = make(folder, *flags)
            assert result.returncode == 0, result.stderr
            checked = subprocess.run([BUILD / "bin" / "dyad-server", "--check", f"--model=m={folder}"],
                                     capture_output=True, text=True, timeout=120)
            assert checked.returncode == 0 and about in checked.stdout, checked
            result = make(folder)
            assert result.returncode == 1 and "File exists" in result.stderr, result
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        for flags, message in ((["--size=7b"], "--arch is 'opt' and --size is '7b'; it must be one of: opt 125m,"),
                               (["--blocks=5"], "--blocks is 5; it must divide 768"),
                               (["--kind=toeplitz"], "--kind")):
            result = make(folder, *flags)
            assert result.returncode != 0 and message in result.stderr, result
            assert not folder.exists()


def main():
    check_make_model()
    http = f"127.0.0.1:{free_port()}"
    with Server({"demo": DEMO}, "--kv_cache_bytes=33554432", f"--http={http}") as server:
        check_generate(server)
        check_http(server, http)
        check_open_loop(server)
        check_score(server)
        check_table_and_errors(server)
    check_refused_requests()
    check_engine()
    print("bench: checkpoints, counts of closed and open loops, scoring, refusals, engine in process")


if __name__ == "__main__":
    main()
