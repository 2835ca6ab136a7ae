// The forward pass of GPT-NeoX, top to bottom, and where its tensors come from.
#include "server/model/gpt_neox.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "c10/core/InferenceMode.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/arena.h"
#include "server/model/embedding.h"
#include "server/model/layer_norm.h"
#include "server/model/linear.h"
#include "server/model/rotary.h"
#include "server/model/tensor_rows.h"

namespace dyad {
namespace {

using engine::StepPart;
using kernels::Activation;

struct GptNeoxLayer {
  LayerNorm input_layernorm, post_attention_layernorm;
  Linear query_key_value, dense;
  Linear dense_h_to_4h, dense_4h_to_h;
};

// Order, names and options follow transformers' GPTNeoXForCausalLM.
class GptNeox final : public Network {
 public:
  explicit GptNeox(const GptNeoxConfig& config)
      : config_(config),
        shape_{.vocab_size = config.vocab_size,
               .positions = config.positions,
               .layers = config.layers,
               .attention = {
                   .heads = config.heads,
                   .head_size = config.hidden_size / config.heads,
                   .scale = 1.0f / std::sqrt(static_cast<float>(config.hidden_size / config.heads)),
                   .rotary_size = config.rotary_size}} {}

  absl::Status Load(LoadContext& context);

  const NetworkShape& shape() const override { return shape_; }
  const kernels::PackedLinear& head() const override { return *tokens_.head.packed(); }

  void Prepare(int64_t rows) override {
    const c10::InferenceMode inference;
    rotary_ = RotaryAngles(config_.positions, config_.rotary_size, config_.rotary_base);
    arena_ = Arena(rows, 6 * config_.hidden_size + config_.ffn_size);
    for (at::Tensor* tensor : {&hidden_, &normed_, &attended_}) {
      *tensor = arena_.Take(config_.hidden_size);
    }
    qkv_ = arena_.Take(3 * config_.hidden_size);
    inner_ = arena_.Take(config_.ffn_size);
  }

  kernels::ConstRows Forward(const kernels::StepInput& step, const KvCache& cache, StepClock& clock,
                             kernels::Workspace& workspace) override;

 private:
  absl::StatusOr<GptNeoxLayer> LoadLayer(LoadContext& context, int64_t index) const;
  absl::StatusOr<LayerNorm> LoadNorm(LoadContext& context, const std::string& path) const {
    return LoadLayerNorm(context, path, config_.hidden_size, config_.norm_epsilon,
                         Affine::kPresent);
  }
  void IgnoreBuffers(LoadContext& context) const;

  const GptNeoxConfig config_;
  const NetworkShape shape_;
  TokenTables tokens_;
  std::vector<GptNeoxLayer> layers_;
  LayerNorm final_layer_norm_;
  RotaryAngles rotary_;
  Arena arena_;
  at::Tensor hidden_, normed_, attended_, qkv_, inner_;  // [max rows, …]
};

kernels::ConstRows GptNeox::Forward(const kernels::StepInput& step, const KvCache& cache,
                                    StepClock& clock, kernels::Workspace& workspace) {
  kernels::ThreadPool& pool = workspace.pool;
  const c10::InferenceMode inference;
  const auto rows = static_cast<int64_t>(step.ids.size());
  const auto first = [rows](const at::Tensor& tensor) { return tensor.narrow(0, 0, rows); };
  const at::Tensor h = first(hidden_), a = first(normed_), attended = first(attended_);
  const at::Tensor qkv = first(qkv_), inner = first(inner_);
  // Each head's query, key and value lie side by side: [rows, heads, 3, head_size].
  const int64_t head_size = shape_.attention.head_size;
  const kernels::ConstRows packed = ReadRows(qkv);
  const kernels::QkvRows heads = {packed,
                                  {packed.data + head_size, packed.stride},
                                  {packed.data + 2 * head_size, packed.stride},
                                  3 * head_size};
  const bool parallel = config_.residual == Residual::kParallel;

  tokens_.embedding.Copy(step.ids, 0, h);  // [rows, hidden]
  clock.Mark(StepPart::kEmbedding);

  for (size_t i = 0; i < layers_.size(); ++i) {
    const GptNeoxLayer& layer = layers_[i];
    const kernels::KvLayer kv = cache.layer(static_cast<int64_t>(i));

    layer.input_layernorm.Apply(h, a, pool);  // [rows, hidden]
    clock.Mark(StepPart::kNorm);
    layer.query_key_value.Apply(a, qkv, Activation::kNone, workspace);  // [rows, 3 hidden]
    clock.Mark(StepPart::kProjections);
    kernels::PagedAttention(shape_.attention, rotary_.table(), step, heads, kv, WriteRows(attended),
                            workspace);  // [rows, hidden]
    clock.Mark(StepPart::kAttention);

    // Parallel: both branches read the layer's input. Serial: the second reads the first one's
    // result.
    if (parallel) layer.post_attention_layernorm.Apply(h, a, pool);  // [rows, hidden]
    clock.Mark(StepPart::kNorm);
    layer.dense.Add(attended, h, workspace);  // [rows, hidden]
    clock.Mark(StepPart::kProjections);
    if (!parallel) layer.post_attention_layernorm.Apply(h, a, pool);  // [rows, hidden]
    clock.Mark(StepPart::kNorm);
    layer.dense_h_to_4h.Apply(a, inner, config_.activation, workspace);  // [rows, ffn]
    layer.dense_4h_to_h.Add(inner, h, workspace);                        // [rows, hidden]
    clock.Mark(StepPart::kFeedForward);
  }

  final_layer_norm_.Apply(h, h, pool);  // [rows, hidden]
  clock.Mark(StepPart::kNorm);
  return ReadRows(h);
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
  ASSIGN_OR_RETURN(layer.input_layernorm, LoadNorm(context, path + "input_layernorm"));
  ASSIGN_OR_RETURN(layer.query_key_value,
                   linear("attention.query_key_value", {hidden, 3 * hidden}, attention_bias));
  ASSIGN_OR_RETURN(layer.dense, linear("attention.dense", {hidden, hidden}, attention_bias));
  ASSIGN_OR_RETURN(layer.post_attention_layernorm,
                   LoadNorm(context, path + "post_attention_layernorm"));
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
  ASSIGN_OR_RETURN(final_layer_norm_, LoadNorm(context, "gpt_neox.final_layer_norm"));
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
