#!/usr/bin/env python3
"""Runs the scripts of client/examples against a real server, as their README says."""
import json
import os
import re
import subprocess
import sys

from support.server import BUILD, DEMO, SOURCE, Server

EXAMPLES = SOURCE / "client" / "examples"
PAIRS = SOURCE / "deploy" / "minimal_pairs.jsonl"


def run(script, server, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(BUILD / "python")}
    result = subprocess.run([sys.executable, str(EXAMPLES / script), "--server", server.address,
                             *arguments], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_generate(server):
    """A streamed greedy continuation is the one that dyadctl gets in one piece."""
    text = "Once upon a time"
    out = run("generate.py", server, text, "--max_new_tokens", "12")
    answer = json.loads(server.ctl("generate", text, "--max_new_tokens=12", "--json").stdout)
    assert out.startswith(text + answer["text"]), (out, answer)
    assert "[12 tokens, seed " in out, out


def check_score(server):
    texts = ["The cats sleep.", "A bird sang in the tree."]
    rows = run("score.py", server, *texts).splitlines()
    for row, text in zip(rows, texts):
        answer = json.loads(server.ctl("score", text, "--json").stdout)
        assert row.endswith(text), row
        assert float(row.split()[0]) == round(answer["sum"], 5), (row, answer["sum"])


def check_pairs(server):
    rows = run("score.py", server, "--pairs", str(PAIRS)).splitlines()
    answers = [json.loads(line) for line in
               server.ctl("pairs", "--input", str(PAIRS), "--json").stdout.splitlines()]
    assert len(rows) == len(answers) + 1
    for row, answer in zip(rows, answers):
        assert float(row.split()[0]) == round(answer["margin"], 4), (row, answer)
    right = sum(answer["correct"] for answer in answers)
    assert re.fullmatch(f"{right} of {len(answers)} pairs are right", rows[-1]), rows[-1]


def main():
    with Server({"demo": DEMO}, "--kv_cache_bytes=67108864") as server:
        check_generate(server)
        check_score(server)
        check_pairs(server)
    print("python examples: generate, score and pairs agree with dyadctl")


if __name__ == "__main__":
    main()
