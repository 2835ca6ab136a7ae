#!/usr/bin/env python3
"""dyad-convert on every fixture: what `inspect --json` says adds up, and what `densify` writes has the golden
log-probabilities of the reference layers, served and in LibTorch. Layers whose rows choose what they run are refused by
name."""
import json
import pathlib
import subprocess
import tempfile

import fixtures_test
from support import torch_networks
from support.server import BUILD, FIXTURES, Server

CONVERT = BUILD / "bin" / "dyad-convert"
ROUTED = {name for name in fixtures_test.NAMES if "moe" in name or "dynamic" in name}
KINDS = {"dense", "dyad", "low_rank", "monarch", "block_dense", "blast", "einsum", "gblr", "btt_moe", "block_sparse_dynamic"}


def convert(*arguments):
    return subprocess.run([CONVERT, *arguments], capture_output=True, text=True)


def inspect(name):
    """What it says of its layers."""
    done = convert("inspect", FIXTURES / name, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    layers = found["layers"]
    assert sum(layer["weight_bytes"] for layer in layers) == found["layer_bytes"]
    saved = sum(layer["dense_parameters"] - layer["parameters"] for layer in layers)
    assert found["dense_equivalent_parameters"] - found["parameters"] == saved, name
    for layer in layers:
        assert layer["steps"] and layer["tensors"] and layer["form_reason"], layer
        assert ("pays" in layer) == (layer["kind"] in ("btt_moe", "block_sparse_dynamic")), layer
    return layers


def check_layers(server, name):
    """GetModel describes layers as inspect does."""
    told = json.loads(server.ctl("models", "--model", name, "--layers", "--json").stdout)["layers"]
    for layer in told:
        assert layer.pop("tensor_count") == len(layer["tensors"])
        layer["form"] = layer["form"].lower()
    assert told == inspect(name), name


def check(server, name, folder, tolerance):
    worst = fixtures_test.worst_error(server, name, folder)
    print(f"{folder:40} largest error {worst:.2e}")
    assert worst <= tolerance, f"{folder}: {worst} is above {tolerance}"


def check_in_torch(name, folder):
    golden, prompts = fixtures_test.golden_prompts(name)
    worst = 0.0
    for i, found in enumerate(torch_networks.logits(folder, prompts)):
        expected = torch_networks.torch.tensor(golden[f"case{i}.logits"][1]).reshape(found.shape)
        worst = max(worst, (found - expected).abs().max().item())
    print(f"{name:40} largest error of a logit in LibTorch {worst:.2e}")
    assert worst <= fixtures_test.TOLERANCE["float32", "exact"], f"{name}: {worst}"


def main():
    kinds = set()
    for name in fixtures_test.NAMES:
        kinds |= {layer["kind"] for layer in inspect(name)}
    assert kinds == KINDS, kinds
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for name in fixtures_test.NAMES:
            out = pathlib.Path(folder) / name
            done = convert("densify", FIXTURES / name, out)
            if name in ROUTED:
                assert done.returncode == 1 and "layers.0." in done.stderr, done.stderr
                assert not out.exists()
                continue
            assert done.returncode == 0, done.stderr
            models[name] = out
            check_in_torch(name, out)
        # float16, with factors of float16.
        models["stored"] = pathlib.Path(folder) / "stored"
        done = convert("densify", FIXTURES / "opt-asvd", models["stored"], "--dtype=stored")
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in pathlib.Path(folder).iterdir()) == sorted(models)
        mixed, dynamic = "opt-mixed", "opt-blockdynamic"
        served = {f"{name}-dense": out for name, out in models.items()}
        served |= {name: FIXTURES / name for name in (mixed, dynamic)}
        with Server(served, f"--kv_cache_bytes={16 << 20}") as server:
            check_layers(server, mixed)
            check_layers(server, dynamic)
            for name in models:
                if name == "stored":
                    check(server, "opt-asvd", f"{name}-dense", fixtures_test.TOLERANCE["float16", "exact"])
                else:
                    check(server, name, f"{name}-dense", fixtures_test.TOLERANCE["float32", "exact"])


if __name__ == "__main__":
    main()
