#!/usr/bin/env python3
"""A checkpoint with finite weights that overflows on one token: whoever feeds that token is told INTERNAL
with the position, in every call, and everybody else gets numbers. Both architectures, every weight type."""
import array
import json
import math
import pathlib
import random
import shutil
import struct
import sys
import tempfile

import grpc

from support.server import DEMO, Server

from dyad.v1 import generation_pb2, generation_pb2_grpc, scoring_pb2, scoring_pb2_grpc

VOCABULARY, HIDDEN, INNER, POSITIONS = 8192, 16, 32, 64
BAD = 7  # the token


def opt():
    yield "model.decoder.embed_positions.weight", (POSITIONS + 2, HIDDEN)
    layer = "model.decoder.layers.0."
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        yield f"{layer}self_attn.{name}.weight", (HIDDEN, HIDDEN)
        yield f"{layer}self_attn.{name}.bias", (HIDDEN,)
    for name, outputs, inputs in (("fc1", INNER, HIDDEN), ("fc2", HIDDEN, INNER)):
        yield f"{layer}{name}.weight", (outputs, inputs)
        yield f"{layer}{name}.bias", (outputs,)
    for name in (layer + "self_attn_layer_norm", layer + "final_layer_norm", "model.decoder.final_layer_norm"):
        yield name + ".weight", (HIDDEN,)
        yield name + ".bias", (HIDDEN,)


def gpt_neox():
    layer = "gpt_neox.layers.0."
    for name, outputs, inputs in (("attention.query_key_value", 3 * HIDDEN, HIDDEN), ("attention.dense", HIDDEN, HIDDEN),
                                  ("mlp.dense_h_to_4h", INNER, HIDDEN), ("mlp.dense_4h_to_h", HIDDEN, INNER)):
        yield f"{layer}{name}.weight", (outputs, inputs)
        yield f"{layer}{name}.bias", (outputs,)
    for name in (layer + "input_layernorm", layer + "post_attention_layernorm", "gpt_neox.final_layer_norm"):
        yield name + ".weight", (HIDDEN,)
        yield name + ".bias", (HIDDEN,)


COMMON = {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 4,
          "max_position_embeddings": POSITIONS, "tie_word_embeddings": False, "bos_token_id": 2, "eos_token_id": 2}
# Name: tensors but embedding and head, their names, config.json.
NETWORKS = {
    "opt": (opt, "model.decoder.embed_tokens.weight", "lm_head.weight",
            {"model_type": "opt", "ffn_dim": INNER, "word_embed_proj_dim": HIDDEN, "activation_function": "relu",
             "do_layer_norm_before": True, **COMMON}),
    "gpt_neox": (gpt_neox, "gpt_neox.embed_in.weight", "embed_out.weight",
                 {"model_type": "gpt_neox", "intermediate_size": INNER, "hidden_act": "gelu", "rotary_pct": 0.5,
                  "use_parallel_residual": True, **COMMON}),
}


def write_checkpoint(folder, name):
    tensors, embedding, head, config = NETWORKS[name]
    rng = random.Random(3)
    header, data = {}, b""
    for tensor, shape in [*tensors(), (embedding, (VOCABULARY, HIDDEN)), (head, (VOCABULARY, HIDDEN))]:
        values = array.array("f", [rng.gauss(0, 0.3) for _ in range(math.prod(shape))])
        if tensor == embedding:
            values[BAD * HIDDEN:(BAD + 1) * HIDDEN] = array.array("f", [3e38, -3e38] * (HIDDEN // 2))
        header[tensor] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * len(values)]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(config))
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(DEMO / file, folder)


def expect_internal(call, *parts):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INTERNAL, error
        for part in ("position", *parts):
            assert part in error.details(), (part, error.details())
    else:
        raise AssertionError("a number that is none was taken for one")


def check(server, model):
    channel = grpc.insecure_channel(server.address)
    scoring = scoring_pb2_grpc.ScoringServiceStub(channel)
    generation = generation_pb2_grpc.GenerationServiceStub(channel)

    def item(ids, context=None):
        message = scoring_pb2.ScoreItem(ids={"ids": ids})
        if context is not None:
            message.context_ids.ids.extend(context)
        return message

    good, bad = [9, 10, 11, 12], [9, 10, BAD, 12]
    first = scoring.Score(scoring_pb2.ScoreRequest(model=model, items=[item(good)]))
    for top_n in (0, 5):
        for items in ([item(good), item(bad)], [item(good), item([12], context=bad[:3])]):
            request = scoring_pb2.ScoreRequest(model=model, items=items, top_n=top_n)
            for _ in range(2):  # the second finds what the first left in the prefix cache: nothing
                expect_internal(lambda: scoring.Score(request), "items[1]")
    for options in ({}, {"temperature": 0.9, "top_p": 0.9}, {"n": 3}, {"echo": True, "logprobs": 2}):
        request = generation_pb2.GenerateRequest(model=model, ids={"ids": bad}, max_new_tokens=4, **options)
        expect_internal(lambda: generation.Generate(request))
        expect_internal(lambda: list(generation.GenerateStream(generation_pb2.GenerateStreamRequest(request=request))))

    # In text the token is whatever stands for it.
    text = json.loads(server.ctl("detokenize", str(BAD), "--model", model, "--json").stdout)["text"]
    pairs = scoring_pb2.ScoreMinimalPairsRequest(model=model, convention=scoring_pb2.CONVENTION_MINICONS_SUM, special_tokens=2)
    pairs.pairs.add(index=1, good="x" + text + "x", bad="x y")
    pairs.pairs.add(index=2, good="x y z", bad="x y")
    results = {result.index: result for message in scoring.ScoreMinimalPairs(iter([pairs])) for result in message.results}
    assert results[1].error.code == 13 and "position" in results[1].error.message, results[1]
    assert not results[2].HasField("error") and math.isfinite(results[2].margin), results[2]

    again = scoring.Score(scoring_pb2.ScoreRequest(model=model, items=[item(good)]))
    assert again.scores[0].sum == first.scores[0].sum and math.isfinite(again.scores[0].sum)
    channel.close()


def main():
    with tempfile.TemporaryDirectory() as scratch:
        models = {name: pathlib.Path(scratch, name) for name in NETWORKS}
        for name, folder in models.items():
            write_checkpoint(folder, name)
        for weights in ("float32", "bfloat16", "int8"):  # of float16 no small network overflows
            with Server(models, f"--weight_dtype={weights}", "--kv_cache_bytes=1048576") as server:
                for model in models:
                    check(server, model)
                    print(f"{model} {weights}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
