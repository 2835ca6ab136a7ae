// The forward pass of GPT-NeoX, top to bottom, and where its tensors come from.
#include "server/model/gpt_neox.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/embedding.h"
#include "server/model/linear.h"
#include "server/model/norm.h"

namespace dyad {
namespace {

using kernels::Device;
using kernels::IndexedBy;
using kernels::Layer;
using kernels::Lookup;
using kernels::Matrix;
using kernels::Norm;

struct GptNeoxLayer {
  std::unique_ptr<Norm> input_layernorm, post_attention_layernorm;
  std::unique_ptr<Layer> query_key_value, dense;
  std::unique_ptr<Layer> dense_h_to_4h, dense_4h_to_h;
};

// Order, names and options follow transformers' GPTNeoXForCausalLM.
class GptNeox final : public Network {
 public:
  explicit GptNeox(const GptNeoxConfig& config)
      : config_(config),
        shape_{.vocab_size = config.vocab_size,
               .positions = config.positions,
               .layers = config.layers,
               .attention = AttentionOf(config.heads, config.hidden_size, config.rotary_size),
               .rotary_base = config.rotary_base} {}

  absl::Status Load(LoadContext& context);

  const NetworkShape& shape() const override { return shape_; }
  const Layer& head() const override { return *tokens_.head; }
  void Prepare(Device& device, int64_t rows) override;
  Matrix Forward(Device& device, int64_t rows) override;

 private:
  absl::StatusOr<GptNeoxLayer> LoadLayer(LoadContext& context, int64_t index) const;
  absl::StatusOr<std::unique_ptr<Norm>> LoadNormAt(LoadContext& context,
                                                   const std::string& path) const {
    return LoadNorm(context, path, {config_.hidden_size, config_.norm_epsilon, Affine::kPresent});
  }
  void IgnoreBuffers(LoadContext& context) const;

  const GptNeoxConfig config_;
  const NetworkShape shape_;
  TokenTables tokens_;
  std::vector<GptNeoxLayer> layers_;
  std::unique_ptr<Norm> final_layer_norm_;
  Matrix hidden_, normed_, attended_, qkv_, inner_;  // [max rows, …]
};

void GptNeox::Prepare(Device& device, int64_t rows) {
  for (Matrix* matrix : {&hidden_, &normed_, &attended_}) {
    *matrix = device.Allocate(rows, config_.hidden_size);
  }
  qkv_ = device.Allocate(rows, 3 * config_.hidden_size);
  inner_ = device.Allocate(rows, config_.ffn_size);
}

Matrix GptNeox::Forward(Device& device, int64_t rows) {
  const Matrix h = hidden_.FirstRows(rows), a = normed_.FirstRows(rows);
  const Matrix attended = attended_.FirstRows(rows), inner = inner_.FirstRows(rows);
  // Each head's query, key and value lie side by side: [rows, heads, 3, head_size].
  const Matrix qkv = qkv_.FirstRows(rows);
  const int64_t head_size = shape_.attention.head_size;
  const kernels::Qkv heads = {qkv, qkv.FromColumn(head_size), qkv.FromColumn(2 * head_size),
                              3 * head_size};
  const bool parallel = config_.residual == Residual::kParallel;

  device.Embed(*tokens_.embedding, IndexedBy::kId, 0, Lookup::kCopy, h);  // [rows, hidden]

  for (size_t i = 0; i < layers_.size(); ++i) {
    const GptNeoxLayer& layer = layers_[i];

    device.Normalize(*layer.input_layernorm, h, a);             // [rows, hidden]
    device.Apply(a, {{layer.query_key_value.get(), qkv}}, {});  // [rows, 3 hidden]
    device.Attend(static_cast<int64_t>(i), heads, attended);    // [rows, hidden]

    // Parallel: both branches read the layer's input. Serial: the second reads the first one's
    // result.
    if (parallel) device.Normalize(*layer.post_attention_layernorm, h, a);
    device.Apply(attended, {{layer.dense.get(), h}}, {.residual = h});  // [rows, hidden]
    if (!parallel) device.Normalize(*layer.post_attention_layernorm, h, a);
    device.Apply(a, {{layer.dense_h_to_4h.get(), inner}}, {.activation = config_.activation});
    device.Apply(inner, {{layer.dense_4h_to_h.get(), h}}, {.residual = h});
  }

  device.Normalize(*final_layer_norm_, h, h);  // [rows, hidden]
  return h;
}

absl::StatusOr<GptNeoxLayer> GptNeox::LoadLayer(LoadContext& context, int64_t index) const {
  const std::string path = Text("gpt_neox.layers.", index, ".");
  const int64_t hidden = config_.hidden_size;
  const int64_t ffn = config_.ffn_size;
  const Bias attention_bias = config_.attention_bias ? Bias::kPresent : Bias::kNone;
  const auto linear = [&](const char* name, LinearSize size, Bias bias) {
    return LoadLinear(context, path + name, size, bias);
  };
  GptNeoxLayer layer;
  ASSIGN_OR_RETURN(layer.input_layernorm, LoadNormAt(context, path + "input_layernorm"));
  ASSIGN_OR_RETURN(layer.query_key_value,
                   linear("attention.query_key_value", {hidden, 3 * hidden}, attention_bias));
  ASSIGN_OR_RETURN(layer.dense, linear("attention.dense", {hidden, hidden}, attention_bias));
  ASSIGN_OR_RETURN(layer.post_attention_layernorm,
                   LoadNormAt(context, path + "post_attention_layernorm"));
  ASSIGN_OR_RETURN(layer.dense_h_to_4h, linear("mlp.dense_h_to_4h", {hidden, ffn}, Bias::kPresent));
  ASSIGN_OR_RETURN(layer.dense_4h_to_h, linear("mlp.dense_4h_to_h", {ffn, hidden}, Bias::kPresent));
  return layer;
}

// Causal masks and rotary frequencies that old library versions saved; config.json says the same.
void GptNeox::IgnoreBuffers(LoadContext& context) const {
  for (const char* name : {"inv_freq", "original_inv_freq"}) {
    context.tensors.Ignore(Text("gpt_neox.rotary_emb.", name));
  }
  for (int64_t i = 0; i < config_.layers; ++i) {
    for (const char* name : {"bias", "masked_bias", "rotary_emb.inv_freq", "rotary_emb.cos_cached",
                             "rotary_emb.sin_cached"}) {
      context.tensors.Ignore(Text("gpt_neox.layers.", i, ".attention.", name));
    }
  }
}

absl::Status GptNeox::Load(LoadContext& context) {
  ASSIGN_OR_RETURN(tokens_,
                   LoadTokenTables(context, {"gpt_neox.embed_in.weight", "embed_out.weight"},
                                   {config_.vocab_size, config_.hidden_size},
                                   config_.tied_head ? Head::kTied : Head::kOwn));
  for (int64_t i = 0; i < config_.layers; ++i) {
    ASSIGN_OR_RETURN(GptNeoxLayer layer, LoadLayer(context, i));
    layers_.push_back(std::move(layer));
  }
  ASSIGN_OR_RETURN(final_layer_norm_, LoadNormAt(context, "gpt_neox.final_layer_norm"));
  IgnoreBuffers(context);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> LoadGptNeox(const GptNeoxConfig& config,
                                                     LoadContext& context) {
  auto network = std::make_unique<GptNeox>(config);
  RETURN_IF_ERROR(network->Load(context));
  return network;
}

}  // namespace dyad
