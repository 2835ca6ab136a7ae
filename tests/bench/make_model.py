#!/usr/bin/env python3
"""Writes a checkpoint of a published model's size with random weights, for benchmarks.

  tests/bench/make_model.py FOLDER [--arch=opt] [--size=125m] [--kind=dyad] [--blocks=4] [--layers=all]

FOLDER is made, with config.json and model.safetensors (float32). --kind and --blocks are of the feed-forward
layers, with --layers=all of all linear layers but the head: dense, dyad (DYAD-IT), monarch, blast or low_rank. The rank of
blast, and of low_rank and monarch with --half, makes half of a dense layer's parameters; else low_rank's is --blocks and
monarch's the most that its blocks allow. The same choice gives the same bytes.

Python draws a few million numbers a second, a model has hundreds of millions. So one run of random numbers is
drawn and written over and over, each tensor going on where the last one stopped. Its length is a prime, so
rows begin at different places in it, and no two rows of a matrix are equal.
"""
import argparse
import array
import json
import math
import os
import pathlib
import random
import struct
import sys

# Widths as published; the feed-forward layers are 4 * hidden. `embed` is the width of the token embedding:
# OPT-350m projects it, and normalises after each block.
SIZES = {
    ("opt", "125m"): dict(layers=12, hidden=768, heads=12, embed=768, norm_before=True),
    ("opt", "350m"): dict(layers=24, hidden=1024, heads=16, embed=512, norm_before=False),
    ("opt", "1.3b"): dict(layers=24, hidden=2048, heads=32, embed=2048, norm_before=True),
    ("gpt_neox", "70m"): dict(layers=6, hidden=512, heads=8),
    ("gpt_neox", "160m"): dict(layers=12, hidden=768, heads=12),
    ("gpt_neox", "410m"): dict(layers=24, hidden=1024, heads=16),
}
VOCABULARY = {"opt": 50272, "gpt_neox": 50304}
POSITIONS = 2048
# Uniform with the standard deviation 0.02 of a model's initialisation.
RANGE = 0.02 * math.sqrt(3)
RUN = 1_000_003


def half_rank(inputs, outputs, mixed=0):
    """At which factors [inputs, rank] and [rank, outputs], and `mixed` numbers a rank, are half of a dense layer."""
    return max(1, inputs * outputs // 2 // (inputs + outputs + mixed))


def dense(inputs, outputs, *_):
    return {"weight": [outputs, inputs], "bias": [outputs]}


def dyad(inputs, outputs, blocks, _):
    shape = [blocks, outputs // blocks, inputs // blocks]
    return {"wl": shape, "wu": shape, "bias": [outputs, 1]}


def low_rank(inputs, outputs, rank, half):
    if half:
        rank = half_rank(inputs, outputs)
    return {"lr_weight1": [rank, inputs], "lr_weight2": [outputs, rank], "bias": [outputs]}


def monarch(inputs, outputs, blocks, half):
    inner = half_rank(inputs, outputs) // blocks * blocks if half else min(inputs, outputs) // blocks
    return {"blkdiag1": [blocks, inner, inputs // blocks], "blkdiag2": [blocks, outputs // blocks, inner],
            "bias": [outputs]}


def blast(inputs, outputs, blocks, _):
    rank = half_rank(inputs, outputs, blocks * blocks)
    return {"B": [blocks, outputs // blocks, rank], "C": [blocks, rank, inputs // blocks], "D": [blocks, blocks, rank],
            "bias": [outputs]}


# Shapes of a layer's tensors by name.
KINDS = {"dense": dense, "dyad": dyad, "low_rank": low_rank, "monarch": monarch, "blast": blast}
LAYERS = ("feed_forward", "all")


def linear(path, inputs, outputs, kind="dense", blocks=0, half=False):
    for name, shape in KINDS[kind](inputs, outputs, blocks, half).items():
        yield f"{path}.{name}", shape, "random"


def norm(path, hidden):
    yield f"{path}.weight", [hidden], "ones"
    yield f"{path}.bias", [hidden], "zeros"


def opt_tensors(size, kind, blocks, half, layers):
    projection = (kind, blocks, half) if layers == "all" else ()
    hidden, embed = size["hidden"], size["embed"]
    yield "model.decoder.embed_tokens.weight", [VOCABULARY["opt"], embed], "random"
    yield "model.decoder.embed_positions.weight", [POSITIONS + 2, hidden], "random"
    if embed != hidden:
        yield "model.decoder.project_in.weight", [hidden, embed], "random"
        yield "model.decoder.project_out.weight", [embed, hidden], "random"
    for layer in range(size["layers"]):
        path = f"model.decoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{path}.self_attn.{name}", hidden, hidden, *projection)
        yield from norm(f"{path}.self_attn_layer_norm", hidden)
        yield from norm(f"{path}.final_layer_norm", hidden)
        yield from linear(f"{path}.fc1", hidden, 4 * hidden, kind, blocks, half)
        yield from linear(f"{path}.fc2", 4 * hidden, hidden, kind, blocks, half)
    if size["norm_before"]:
        yield from norm("model.decoder.final_layer_norm", hidden)


def gpt_neox_tensors(size, kind, blocks, half, layers):
    hidden = size["hidden"]
    projection = (kind, blocks, half) if layers == "all" else ()
    yield "gpt_neox.embed_in.weight", [VOCABULARY["gpt_neox"], hidden], "random"
    yield "embed_out.weight", [VOCABULARY["gpt_neox"], hidden], "random"
    for layer in range(size["layers"]):
        path = f"gpt_neox.layers.{layer}"
        yield from norm(f"{path}.input_layernorm", hidden)
        yield from norm(f"{path}.post_attention_layernorm", hidden)
        yield from linear(f"{path}.attention.query_key_value", hidden, 3 * hidden, *projection)
        yield from linear(f"{path}.attention.dense", hidden, hidden, *projection)
        yield from linear(f"{path}.mlp.dense_h_to_4h", hidden, 4 * hidden, kind, blocks, half)
        yield from linear(f"{path}.mlp.dense_4h_to_h", 4 * hidden, hidden, kind, blocks, half)
    yield from norm("gpt_neox.final_layer_norm", hidden)


def tensors(arch, size, kind, blocks, half=False, layers="feed_forward"):
    """(name, shape, fill) of every tensor."""
    plan = opt_tensors if arch == "opt" else gpt_neox_tensors
    return list(plan(SIZES[arch, size], kind, blocks, half, layers))


def config(arch, size, kind, blocks):
    chosen = SIZES[arch, size]
    result = {"model_type": f"sparse_{arch}" if kind == "dyad" else arch, "vocab_size": VOCABULARY[arch],
              "hidden_size": chosen["hidden"], "num_hidden_layers": chosen["layers"],
              "num_attention_heads": chosen["heads"], "max_position_embeddings": POSITIONS,
              "bos_token_id": 2, "eos_token_id": 2}
    if arch == "opt":
        result |= {"ffn_dim": 4 * chosen["hidden"], "word_embed_proj_dim": chosen["embed"],
                   "do_layer_norm_before": chosen["norm_before"]}
        if kind == "dyad":
            result["dyad_dim"] = blocks
    else:
        result |= {"intermediate_size": 4 * chosen["hidden"], "rotary_pct": 0.25, "tie_word_embeddings": False}
    return result


class Values:
    """float32 of a tensor as bytes, in pieces."""

    def __init__(self):
        draw = random.Random(1).uniform
        run = array.array("f", (draw(-RANGE, RANGE) for _ in range(RUN)))
        self.run = memoryview(run).cast("B")
        self.position = 0

    def pieces(self, elements, fill):
        if fill != "random":
            yield array.array("f", [1.0 if fill == "ones" else 0.0]).tobytes() * elements
            return
        left = 4 * elements
        while left > 0:
            piece = self.run[self.position:self.position + left]
            yield piece
            left -= len(piece)
            self.position = (self.position + len(piece)) % len(self.run)


def write_weights(planned, file):
    """safetensors: the size of the header, the header as JSON padded to 8 bytes, the tensors."""
    header, offset = {}, 0
    for name, shape, _ in planned:
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    values = Values()
    for _, shape, fill in planned:
        for piece in values.pieces(math.prod(shape), fill):
            file.write(piece)


def make_model(folder, arch, size, kind, blocks, half=False, layers="feed_forward"):
    if (arch, size) not in SIZES:
        known = ", ".join(map(" ".join, SIZES))
        raise ValueError(f"--arch is '{arch}' and --size is '{size}'; it must be one of: {known}")
    hidden = SIZES[arch, size]["hidden"]
    if blocks < 1 or hidden % blocks != 0:
        raise ValueError(f"--blocks is {blocks}; it must divide {hidden}")
    os.mkdir(folder)
    path = pathlib.Path(folder)
    text = json.dumps(config(arch, size, kind, blocks), indent=2, sort_keys=True)
    (path / "config.json").write_text(text + "\n")
    with open(path / "model.safetensors", "wb") as file:
        write_weights(tensors(arch, size, kind, blocks, half, layers), file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--arch", default="opt", help="opt or gpt_neox")
    parser.add_argument("--size", default="125m", help="125m, 350m or 1.3b of opt; 70m, 160m or 410m of gpt_neox")
    parser.add_argument("--kind", default="dyad", choices=KINDS)
    parser.add_argument("--blocks", type=int, default=4, help="of a layer, or its rank")
    parser.add_argument("--half", action="store_true", help="low_rank, monarch: half of a dense layer's parameters")
    parser.add_argument("--layers", default="feed_forward", choices=LAYERS)
    options = parser.parse_args()
    try:
        make_model(options.folder, options.arch, options.size, options.kind, options.blocks, options.half, options.layers)
    except (ValueError, OSError) as error:
        sys.exit(f"make_model: {error}")


if __name__ == "__main__":
    main()
