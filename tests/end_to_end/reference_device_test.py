#!/usr/bin/env python3
"""The definition in plain loops serves, too: fixtures of both networks on --device=reference have the scores and
the greedy texts of the CPU.

Tolerance: both are within 2e-4 of the same exact value (fixtures_test.py), so of each other within 4e-4.

Its steps take seconds, so it also shows that --stall_timeout reaches what the server says of a model.
"""
import concurrent.futures
import subprocess
import sys
import time

from support import safetensors
from support.server import BUILD, DEMO, FIXTURES, SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402

NAMES = ("opt-dyad-it4", "neox-dyad-serial", "opt-dyad-it8-postln-proj")
TOLERANCE = 4e-4


def answers(device, *flags):
    """{name: (log-probabilities of each prompt, generated ids of each prompt)}"""
    found = {}
    with Server({name: FIXTURES / name for name in NAMES}, f"--device={device}", *flags,
                f"--kv_cache_bytes={8 << 20}", "--weight_dtype=float32") as server:
        for name in NAMES:
            golden = safetensors.read(FIXTURES / name / "expected.safetensors")
            prompts = [list(golden[f"case{i}.input_ids"][1]) for i in range(2)]
            scores = server.batch("score", [{"ids": ids} for ids in prompts], "--model", name)
            asked = [{"ids": ids, "max_new_tokens": 8, "ignore_eos": True} for ids in prompts]
            texts = server.batch("generate", asked, "--model", name)
            found[name] = ([score["logprobs"] for score in scores], [text["ids"] for text in texts])
    return found


def states(*flags):
    """All that ListModels says of the model while its only step runs, and after it."""
    with Server({"demo": DEMO}, "--device=reference", "--allow_reference_device", f"--kv_cache_bytes={8 << 20}",
                *flags) as server, dyad_serve.Client(server.address, timeout=None) as client:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.score, [list(range(10, 40))])
            seen = set()
            while not answer.done():
                seen.add(client.models()[0].state)
                time.sleep(0.01)
            answer.result()
        return seen, client.models()[0].state


def main():
    patient, after = states("--stall_timeout=1h")
    assert patient == {"READY"} and after == "READY", patient
    hasty, after = states("--stall_timeout=100ms")
    assert "STALLED" in hasty and after == "READY", hasty
    refused = subprocess.run([BUILD / "bin" / "dyad-server", "--device=reference",
                              f"--model={FIXTURES / NAMES[0]}"], capture_output=True, text=True)
    assert refused.returncode == 1 and "--allow_reference_device" in refused.stderr, refused.stderr
    cpu = answers("cpu")
    reference = answers("reference", "--allow_reference_device")
    for name in NAMES:
        worst = max(abs(a - b) for ours, theirs in zip(cpu[name][0], reference[name][0])
                    for a, b in zip(ours[1:], theirs[1:]))
        print(f"{name:26} largest difference {worst:.2e}")
        assert 0 < worst <= TOLERANCE, worst
        assert cpu[name][1] == reference[name][1], name


if __name__ == "__main__":
    main()
