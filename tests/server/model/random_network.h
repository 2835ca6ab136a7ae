// Checkpoints of OPT and GPT-NeoX in memory, by their configs: shapes only, or random values.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "kernels/step_arrays.h"
#include "server/model/gpt_neox_config.h"
#include "server/model/network.h"
#include "server/model/opt_config.h"
#include "server/model/rotary.h"
#include "tests/server/model/loading.h"

namespace dyad::testing {

enum class Fill { kShapes, kRandom };

// `blocks` > 1: the two linear layers of the MLP are in blocks, and read their input by two views.
struct NetworkFiller {
  FakeCheckpoint& checkpoint;
  Fill fill = Fill::kRandom;
  int64_t blocks = 1;
  uint32_t seed = 1;

  void Tensor(const std::string& name, std::vector<int64_t> shape, float scale, float shift = 0) {
    if (fill == Fill::kShapes) return checkpoint.AddShape(name, std::move(shape));
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    std::vector<float> values = Eighths(count, ++seed);
    for (float& value : values) value = value * scale + shift;
    checkpoint.Add(name, std::move(shape), values);
  }
  void Linear(const std::string& path, int64_t in, int64_t out, bool bias) {
    Tensor(path + ".weight", {out, in}, 0.5f / std::sqrt(static_cast<float>(in)));
    if (bias) Tensor(path + ".bias", {out}, 0.05f);
  }
  void Mlp(const std::string& path, int64_t in, int64_t out, bool bias) {
    if (blocks == 1) return Linear(path, in, out, bias);
    Tensor(path + ".wl", {blocks, out / blocks, in / blocks}, 0.1f);
    Tensor(path + ".wu", {blocks, out / blocks, in / blocks}, 0.1f);
    if (bias) Tensor(path + ".bias", {out, 1}, 0.05f);
  }
  void Norm(const std::string& path, int64_t features) {
    Tensor(path + ".weight", {features}, 0.1f, 1.0f);
    Tensor(path + ".bias", {features}, 0.1f);
  }

  void Opt(const OptConfig& c) {
    const std::string root = "model.decoder.";
    Tensor(root + "embed_tokens.weight", {c.vocab_size, c.embed_size}, 0.2f);
    Tensor(root + "embed_positions.weight", {c.positions + 2, c.hidden_size}, 0.05f);
    if (!c.tied_head) Tensor("lm_head.weight", {c.vocab_size, c.embed_size}, 0.2f);
    if (c.embed_size != c.hidden_size) {
      Linear(root + "project_in", c.embed_size, c.hidden_size, false);
      Linear(root + "project_out", c.hidden_size, c.embed_size, false);
    }
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string layer = root + "layers." + std::to_string(i) + ".";
      for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
        Linear(layer + "self_attn." + name, c.hidden_size, c.hidden_size, c.linear_bias);
      }
      Mlp(layer + "fc1", c.hidden_size, c.ffn_size, c.linear_bias);
      Mlp(layer + "fc2", c.ffn_size, c.hidden_size, c.linear_bias);
      if (!c.norm_affine) continue;
      Norm(layer + "self_attn_layer_norm", c.hidden_size);
      Norm(layer + "final_layer_norm", c.hidden_size);
    }
    if (c.final_norm && c.norm_affine) Norm(root + "final_layer_norm", c.hidden_size);
  }

  void GptNeox(const GptNeoxConfig& c) {
    const std::string root = "gpt_neox.";
    Tensor(root + "embed_in.weight", {c.vocab_size, c.hidden_size}, 0.2f);
    if (!c.tied_head) Tensor("embed_out.weight", {c.vocab_size, c.hidden_size}, 0.2f);
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string layer = root + "layers." + std::to_string(i) + ".";
      Norm(layer + "input_layernorm", c.hidden_size);
      Norm(layer + "post_attention_layernorm", c.hidden_size);
      Linear(layer + "attention.query_key_value", c.hidden_size, 3 * c.hidden_size,
             c.attention_bias);
      Linear(layer + "attention.dense", c.hidden_size, c.hidden_size, c.attention_bias);
      Mlp(layer + "mlp.dense_h_to_4h", c.hidden_size, c.ffn_size, true);
      Mlp(layer + "mlp.dense_4h_to_h", c.ffn_size, c.hidden_size, true);
    }
    Norm(root + "final_layer_norm", c.hidden_size);
  }
};

inline OptConfig SmallOpt() {
  OptConfig c;
  c.vocab_size = 50, c.hidden_size = c.embed_size = 24, c.ffn_size = 40, c.layers = 2, c.heads = 3;
  c.positions = 40;
  return c;
}

inline GptNeoxConfig SmallGptNeox() {
  GptNeoxConfig c;
  c.vocab_size = 50, c.hidden_size = 24, c.ffn_size = 40, c.layers = 2, c.heads = 3;
  c.positions = 40, c.rotary_size = 4;
  return c;
}

// Hidden states of one sequence, [ids, head size].
inline std::vector<float> HiddenStates(Network& network, const std::vector<int32_t>& ids,
                                       kernels::Device& device) {
  const NetworkShape& shape = network.shape();
  auto [cos, sin] =
      MakeRotaryAngles(shape.positions, shape.attention.rotary_size, shape.rotary_base);
  EXPECT_EQ(device.MapKv({.shape = shape.attention,
                          .layers = shape.layers,
                          .pages = 6,
                          .cos = std::move(cos),
                          .sin = std::move(sin)}),
            "");
  const std::vector<int32_t> pages = {5, 1, 3};
  kernels::StepArrays step;
  step.ids = ids;
  step.AddChunk({0, static_cast<int32_t>(ids.size()), 0, pages});
  network.Prepare(device, 64);
  const kernels::StepInput input = step.view();
  device.Begin(input);
  const std::vector<float> hidden = device.Read(network.Forward(device, std::ssize(ids)));
  device.End();
  return hidden;
}

}  // namespace dyad::testing
