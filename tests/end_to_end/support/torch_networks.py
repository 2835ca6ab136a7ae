"""The two stock networks in LibTorch's own operations, in float64, over a folder of dense layers: config.json and one
model.safetensors of float32. Written from the published architectures; shares nothing with the server."""
import json

import torch
from torch.nn import functional

from support import safetensors


class Weights:
    """Tensors by name below a root; `linear` and `norm` apply what stands at a path."""

    def __init__(self, folder, eps):
        self.tensors = {("model." if name.startswith("decoder.") else "") + name:  # the original OPT files
                        torch.tensor(values, dtype=torch.float64).reshape(shape)
                        for name, (shape, values) in safetensors.read(folder / "model.safetensors").items()}
        self.eps = eps

    def linear(self, path, x):
        return functional.linear(x, self.tensors[path + ".weight"], self.tensors.get(path + ".bias"))

    def norm(self, path, x):
        weight, bias = (self.tensors.get(f"{path}.{leaf}") for leaf in ("weight", "bias"))
        return functional.layer_norm(x, x.shape[-1:], weight, bias, self.eps)


def attend(q, k, v):
    """[heads, tokens, size] each; causal. Returns [tokens, heads * size]."""
    tokens = q.shape[1]
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(later, float("-inf")).softmax(-1) @ v
    return mixed.transpose(0, 1).reshape(tokens, -1)


def opt_logits(config, weights, ids):
    heads, root = config["num_attention_heads"], "model.decoder."
    x = weights.tensors[root + "embed_tokens.weight"][ids]
    if root + "project_in.weight" in weights.tensors:
        x = weights.linear(root + "project_in", x)
    x = x + weights.tensors[root + "embed_positions.weight"][2:2 + len(ids)]
    before = config["do_layer_norm_before"]

    def block(x, norm, inner):
        """A residual block with its norm before or behind it."""
        return x + inner(weights.norm(norm, x)) if before else weights.norm(norm, x + inner(x))

    for i in range(config["num_hidden_layers"]):
        layer = f"{root}layers.{i}."

        def attention(y, layer=layer):
            q, k, v = (weights.linear(f"{layer}self_attn.{name}_proj", y).view(len(ids), heads, -1).transpose(0, 1)
                       for name in "qkv")
            return weights.linear(layer + "self_attn.out_proj", attend(q, k, v))

        def feed_forward(y, layer=layer):
            return weights.linear(layer + "fc2", weights.linear(layer + "fc1", y).relu())

        x = block(x, layer + "self_attn_layer_norm", attention)
        x = block(x, layer + "final_layer_norm", feed_forward)
    if before and not config.get("_remove_final_layer_norm", False):
        x = weights.norm(root + "final_layer_norm", x)
    if root + "project_out.weight" in weights.tensors:
        x = weights.linear(root + "project_out", x)
    return functional.linear(x, weights.tensors.get("lm_head.weight", weights.tensors[root + "embed_tokens.weight"]))


def rotated(x, rotary, base):
    """Turns the first `rotary` features of [heads, tokens, size], in pairs that lie half of them apart."""
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] / base ** (
        torch.arange(0, rotary, 2, dtype=torch.float64) / rotary)
    a, b, rest = x[..., :rotary // 2], x[..., rotary // 2:rotary], x[..., rotary:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin(), rest], -1)


def gpt_neox_logits(config, weights, ids):
    heads, root = config["num_attention_heads"], "gpt_neox."
    rope = config.get("rope_parameters", {})
    base = rope.get("rope_theta", config.get("rotary_emb_base", 10000))
    part = rope.get("partial_rotary_factor", config.get("rotary_pct", 0.25))
    rotary = int(config["hidden_size"] // heads * part)
    approximation = "none" if config["hidden_act"] == "gelu" else "tanh"
    x = weights.tensors[root + "embed_in.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        layer = f"{root}layers.{i}."
        qkv = weights.linear(layer + "attention.query_key_value", weights.norm(layer + "input_layernorm", x))
        q, k, v = qkv.view(len(ids), heads, 3, -1).permute(2, 1, 0, 3)
        mixed = attend(rotated(q, rotary, base), rotated(k, rotary, base), v)
        after = x + weights.linear(layer + "attention.dense", mixed)
        y = weights.norm(layer + "post_attention_layernorm", x if config["use_parallel_residual"] else after)
        y = functional.gelu(weights.linear(layer + "mlp.dense_h_to_4h", y), approximate=approximation)
        x = after + weights.linear(layer + "mlp.dense_4h_to_h", y)
    return weights.linear("embed_out", weights.norm(root + "final_layer_norm", x))


def logits(folder, prompts):
    """Of each prompt, a list of ids: [tokens, vocabulary]."""
    config = json.loads((folder / "config.json").read_text())
    is_opt = config["model_type"] == "opt"
    weights = Weights(folder, 1e-5 if is_opt else config.get("layer_norm_eps", 1e-5))
    run = opt_logits if is_opt else gpt_neox_logits
    with torch.no_grad():
        return [run(config, weights, torch.tensor(ids)) for ids in prompts]
