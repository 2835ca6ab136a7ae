// The forward pass of OPT, top to bottom, and where its tensors come from.
#include "server/model/opt.h"

#include <cmath>
#include <optional>
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
#include "server/model/tensor_rows.h"

namespace dyad {
namespace {

using engine::StepPart;
using kernels::Activation;

constexpr int64_t kPositionOffset = 2;  // the first two rows of embed_positions belong to padding
constexpr float kNormEpsilon = 1e-5f;   // not configurable in OPT

struct OptLayer {
  LayerNorm self_attn_layer_norm;
  Linear q_proj, k_proj, v_proj, out_proj;
  LayerNorm final_layer_norm;
  Linear fc1, fc2;
};

// Order, names and options follow transformers' OPTForCausalLM.
class Opt final : public Network {
 public:
  explicit Opt(const OptConfig& config)
      : config_(config),
        shape_{.vocab_size = config.vocab_size,
               .positions = config.positions,
               .layers = config.layers,
               .attention = {
                   .heads = config.heads,
                   .head_size = config.hidden_size / config.heads,
                   .scale = 1.0f / std::sqrt(static_cast<float>(config.hidden_size / config.heads)),
                   .rotary_size = 0}} {}

  absl::Status Load(LoadContext& context);

  const NetworkShape& shape() const override { return shape_; }
  const kernels::PackedLinear& head() const override { return *tokens_.head.packed(); }

  void Prepare(int64_t rows) override {
    const c10::InferenceMode inference;
    arena_ = Arena(rows, config_.embed_size + 5 * config_.hidden_size + config_.ffn_size);
    embedded_ = arena_.Take(config_.embed_size);
    for (at::Tensor* tensor : {&hidden_, &normed_, &query_, &key_, &value_}) {
      *tensor = arena_.Take(config_.hidden_size);
    }
    inner_ = arena_.Take(config_.ffn_size);
  }

  kernels::ConstRows Forward(const kernels::StepInput& step, const KvCache& cache, StepClock& clock,
                             kernels::Workspace& workspace) override;

 private:
  absl::StatusOr<OptLayer> LoadLayer(LoadContext& context, int64_t index) const;
  absl::StatusOr<LayerNorm> LoadNorm(LoadContext& context, const std::string& path) const {
    return LoadLayerNorm(context, path, config_.hidden_size, kNormEpsilon,
                         config_.norm_affine ? Affine::kPresent : Affine::kNone);
  }

  const OptConfig config_;
  const NetworkShape shape_;
  TokenTables tokens_;
  Embedding positions_;
  std::optional<Linear> project_in_, project_out_;
  std::vector<OptLayer> layers_;
  std::optional<LayerNorm> final_layer_norm_;
  Arena arena_;
  at::Tensor embedded_, hidden_, normed_, query_, key_, value_, inner_;  // [max rows, …]
};

kernels::ConstRows Opt::Forward(const kernels::StepInput& step, const KvCache& cache,
                                StepClock& clock, kernels::Workspace& workspace) {
  kernels::ThreadPool& pool = workspace.pool;
  const c10::InferenceMode inference;
  const auto rows = static_cast<int64_t>(step.ids.size());
  const auto first = [rows](const at::Tensor& tensor) { return tensor.narrow(0, 0, rows); };
  // Views of the rows in use. `a` holds normed states, then what attention gives.
  const at::Tensor embedded = first(embedded_), h = first(hidden_), a = first(normed_);
  const at::Tensor q = first(query_), k = first(key_), v = first(value_), inner = first(inner_);
  const kernels::QkvRows qkv = {ReadRows(q), ReadRows(k), ReadRows(v), shape_.attention.head_size};
  const bool norm_before = config_.norm_order == NormOrder::kBeforeBlock;

  tokens_.embedding.Copy(step.ids, 0, project_in_ ? embedded : h);                 // [rows, embed]
  if (project_in_) project_in_->Apply(embedded, h, Activation::kNone, workspace);  // [rows, hidden]
  positions_.Add(step.positions, kPositionOffset, h);                              // [rows, hidden]
  clock.Mark(StepPart::kEmbedding);

  for (size_t i = 0; i < layers_.size(); ++i) {
    const OptLayer& layer = layers_[i];
    const kernels::KvLayer kv = cache.layer(static_cast<int64_t>(i));

    if (norm_before) layer.self_attn_layer_norm.Apply(h, a, pool);  // [rows, hidden]
    clock.Mark(StepPart::kNorm);
    ApplyTogether(norm_before ? a : h, {{{layer.q_proj, q}, {layer.k_proj, k}, {layer.v_proj, v}}},
                  workspace);  // [rows, hidden] each
    clock.Mark(StepPart::kProjections);
    kernels::PagedAttention(shape_.attention, {}, step, qkv, kv, WriteRows(a), workspace);
    clock.Mark(StepPart::kAttention);
    layer.out_proj.Add(a, h, workspace);  // [rows, hidden]
    clock.Mark(StepPart::kProjections);
    if (!norm_before) layer.self_attn_layer_norm.Apply(h, h, pool);  // [rows, hidden]

    if (norm_before) layer.final_layer_norm.Apply(h, a, pool);  // [rows, hidden]
    clock.Mark(StepPart::kNorm);
    layer.fc1.Apply(norm_before ? a : h, inner, config_.activation, workspace);  // [rows, ffn]
    layer.fc2.Add(inner, h, workspace);                                          // [rows, hidden]
    clock.Mark(StepPart::kFeedForward);
    if (!norm_before) layer.final_layer_norm.Apply(h, h, pool);  // [rows, hidden]
  }

  // Here every row goes on; the model picks those that the batch asks results of.
  if (final_layer_norm_) final_layer_norm_->Apply(h, h, pool);  // [rows, hidden]
  clock.Mark(StepPart::kNorm);
  if (!project_out_) return ReadRows(h);
  project_out_->Apply(h, embedded, Activation::kNone, workspace);  // [rows, embed]
  return ReadRows(embedded);
}

absl::StatusOr<OptLayer> Opt::LoadLayer(LoadContext& context, int64_t index) const {
  const std::string path = Text("model.decoder.layers.", index, ".");
  const int64_t hidden = config_.hidden_size;
  const int64_t ffn = config_.ffn_size;
  const Bias bias = config_.linear_bias ? Bias::kPresent : Bias::kNone;
  const auto linear = [&](const char* name, LinearSize size) {
    return LoadLinear(context, path + name, size, bias);
  };
  OptLayer layer;
  ASSIGN_OR_RETURN(layer.self_attn_layer_norm, LoadNorm(context, path + "self_attn_layer_norm"));
  ASSIGN_OR_RETURN(layer.q_proj, linear("self_attn.q_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.k_proj, linear("self_attn.k_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.v_proj, linear("self_attn.v_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.out_proj, linear("self_attn.out_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.final_layer_norm, LoadNorm(context, path + "final_layer_norm"));
  ASSIGN_OR_RETURN(layer.fc1, linear("fc1", {hidden, ffn}));
  ASSIGN_OR_RETURN(layer.fc2, linear("fc2", {ffn, hidden}));
  return layer;
}

absl::Status Opt::Load(LoadContext& context) {
  const int64_t hidden = config_.hidden_size;
  const int64_t embed = config_.embed_size;
  ASSIGN_OR_RETURN(
      tokens_,
      LoadTokenTables(context, {"model.decoder.embed_tokens.weight", "lm_head.weight"},
                      {config_.vocab_size, embed}, config_.tied_head ? Head::kTied : Head::kOwn));
  ASSIGN_OR_RETURN(positions_, LoadEmbedding(context, "model.decoder.embed_positions.weight",
                                             {config_.positions + kPositionOffset, hidden}));
  if (embed != hidden) {
    ASSIGN_OR_RETURN(project_in_,
                     LoadLinear(context, "model.decoder.project_in", {embed, hidden}, Bias::kNone));
  }
  for (int64_t i = 0; i < config_.layers; ++i) {
    ASSIGN_OR_RETURN(OptLayer layer, LoadLayer(context, i));
    layers_.push_back(std::move(layer));
  }
  if (config_.final_norm) {
    ASSIGN_OR_RETURN(final_layer_norm_, LoadNorm(context, "model.decoder.final_layer_norm"));
  }
  if (embed != hidden) {
    ASSIGN_OR_RETURN(project_out_, LoadLinear(context, "model.decoder.project_out", {hidden, embed},
                                              Bias::kNone));
  }
  context.tensors.Ignore("model.decoder.version");  // fairseq's format number, in the oldest files
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> LoadOpt(const OptConfig& config, LoadContext& context) {
  auto network = std::make_unique<Opt>(config);
  RETURN_IF_ERROR(network->Load(context));
  return network;
}

}  // namespace dyad
