#!/usr/bin/env python3
"""A DYAD layer on the server's own kernels, from Python: checked, then timed.

    /usr/bin/python3 kernels/torch/example.py --tokens 1 --weight_dtype bfloat16

Beside it stand torch's dense layer of the same size and the reference form of the DYAD layer, both in
float32 on the same number of threads.
"""
import argparse
import json
import pathlib
import time

import torch

LIBRARY = pathlib.Path(__file__).resolve().parents[2] / "build/release/lib/libdyad_torch.so"


def make_layer(options, seed):
    """Tensors as a checkpoint has them, drawn as the reference initialises them."""
    torch.manual_seed(seed)
    shape = (options.blocks, options.out_features // options.blocks,
             options.in_features // options.blocks)
    limit = options.in_features ** -0.5
    uniform = lambda *sizes: torch.empty(sizes).uniform_(-limit, limit)
    return {"wl": uniform(*shape), "wu": uniform(*shape), "bias": uniform(options.out_features, 1)}


def reference(layer, x):
    """DYAD-IT as the reference computes it: x [in, tokens] -> [out, tokens]."""
    blocks = layer["wl"].shape[0]
    x1 = x.view(blocks, -1, x.shape[1])
    x2 = x.view(-1, blocks, x.shape[1]).transpose(0, 1)
    y = layer["wl"].bmm(x1) + layer["wu"].bmm(x2)
    return y.reshape(-1, x.shape[1]).add_(layer["bias"])


def best_seconds(call, layers):
    """Seconds of a call, best of several rounds; each call takes the next layer."""
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for layer in layers:
            call(layer)
        best = min(best, (time.perf_counter() - start) / len(layers))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", default=LIBRARY, help="libdyad_torch.so")
    parser.add_argument("--in_features", type=int, default=768)
    parser.add_argument("--out_features", type=int, default=3072)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=1, help="rows of x")
    parser.add_argument("--weight_dtype", default="float32", help="float32, bfloat16, float16 or int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--megabytes", type=int, default=256,
                        help="weights to cycle through, so that they come from memory as in a model")
    options = parser.parse_args()

    torch.ops.load_library(str(options.library))
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)

    # Check: the layer is its matrix, and its matrix is that of the reference.
    tensors = make_layer(options, seed=0)
    linear = torch.classes.dyad.Linear("dyad", tensors, json.dumps({"variant": "it"}),
                                       options.weight_dtype)
    x = torch.randn(options.tokens, options.in_features)
    y = linear.forward(x, "relu")
    matrix = linear.dense()
    expected = torch.relu(torch.nn.functional.linear(x, matrix, tensors["bias"][:, 0]))
    error = (y - expected).abs().max().item()
    assert error < 1e-4, error
    unbiased = {**tensors, "bias": torch.zeros_like(tensors["bias"])}
    rounding = (matrix.T - reference(unbiased, torch.eye(options.in_features)).T).abs().max().item()
    print(f"x {list(x.shape)} -> y {list(y.shape)}: within {error:.1e} of the dense matrix, "
          f"whose elements are within {rounding:.1e} of the reference's")

    # Time: as many layers as fill the megabytes.
    bytes_of_one = 8 * options.in_features * options.out_features // options.blocks
    count = max(1, options.megabytes * 2**20 // bytes_of_one)
    layers = [make_layer(options, seed) for seed in range(count)]
    ours = [torch.classes.dyad.Linear("dyad", layer, "{}", options.weight_dtype) for layer in layers]
    wide = [torch.randn(options.out_features, options.in_features)
            for _ in range(max(1, count * 2 // options.blocks))]
    columns = x.T.contiguous()
    seconds = {
        "this library": best_seconds(lambda layer: layer.forward(x, "none"), ours),
        "torch, dense": best_seconds(lambda weight: torch.nn.functional.linear(x, weight), wide),
        "torch, reference form": best_seconds(lambda layer: reference(layer, columns), layers),
    }
    for name, value in seconds.items():
        print(f"{name:22s} {value * 1e6:10.1f} us   {value / seconds['this library']:6.2f} x")


if __name__ == "__main__":
    main()
