// The forward pass of OPT, top to bottom, and where its tensors come from.
#include "server/model/opt.h"

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
using kernels::Table;

constexpr int64_t kPositionOffset = 2;  // the first two rows of embed_positions belong to padding
constexpr float kNormEpsilon = 1e-5f;   // not configurable in OPT

struct OptLayer {
  std::unique_ptr<Norm> self_attn_layer_norm;
  std::unique_ptr<Layer> q_proj, k_proj, v_proj, out_proj;
  std::unique_ptr<Norm> final_layer_norm;
  std::unique_ptr<Layer> fc1, fc2;
};

// Order, names and options follow transformers' OPTForCausalLM.
class Opt final : public Network {
 public:
  explicit Opt(const OptConfig& config)
      : config_(config),
        shape_{.vocab_size = config.vocab_size,
               .positions = config.positions,
               .layers = config.layers,
               .attention = AttentionOf(config.heads, config.hidden_size)} {}

  absl::Status Load(LoadContext& context);

  const NetworkShape& shape() const override { return shape_; }
  const Layer& head() const override { return *tokens_.head; }
  void Prepare(Device& device, int64_t rows) override;
  Matrix Forward(Device& device, int64_t rows) override;

 private:
  absl::StatusOr<OptLayer> LoadLayer(LoadContext& context, int64_t index) const;
  absl::StatusOr<std::unique_ptr<Norm>> LoadNormAt(LoadContext& context,
                                                   const std::string& path) const {
    return LoadNorm(context, path,
                    {config_.hidden_size, kNormEpsilon,
                     config_.norm_affine ? Affine::kPresent : Affine::kNone});
  }

  const OptConfig config_;
  const NetworkShape shape_;
  TokenTables tokens_;
  std::unique_ptr<Table> positions_;
  std::unique_ptr<Layer> project_in_, project_out_;  // may be null
  std::vector<OptLayer> layers_;
  std::unique_ptr<Norm> final_layer_norm_;                           // may be null
  Matrix embedded_, hidden_, normed_, query_, key_, value_, inner_;  // [max rows, …]
};

void Opt::Prepare(Device& device, int64_t rows) {
  embedded_ = device.Allocate(rows, config_.embed_size);
  for (Matrix* matrix : {&hidden_, &normed_, &query_, &key_, &value_}) {
    *matrix = device.Allocate(rows, config_.hidden_size);
  }
  inner_ = device.Allocate(rows, config_.ffn_size);
}

Matrix Opt::Forward(Device& device, int64_t rows) {
  // The rows in use. `a` holds normed states, then what attention gives.
  const Matrix embedded = embedded_.FirstRows(rows), h = hidden_.FirstRows(rows);
  const Matrix a = normed_.FirstRows(rows), inner = inner_.FirstRows(rows);
  const Matrix q = query_.FirstRows(rows), k = key_.FirstRows(rows), v = value_.FirstRows(rows);
  const bool norm_before = config_.norm_order == NormOrder::kBefore;
  const Matrix read = norm_before ? a : h;  // what attention and feed-forward layers read

  device.Embed(*tokens_.embedding, IndexedBy::kId, 0, Lookup::kCopy,
               project_in_ ? embedded : h);                               // [rows, embed]
  if (project_in_) device.Apply(embedded, {{project_in_.get(), h}}, {});  // [rows, hidden]
  device.Embed(*positions_, IndexedBy::kPosition, kPositionOffset, Lookup::kAdd, h);

  for (size_t i = 0; i < layers_.size(); ++i) {
    const OptLayer& layer = layers_[i];

    if (norm_before) device.Normalize(*layer.self_attn_layer_norm, h, a);  // [rows, hidden]
    device.Apply(read, {{layer.q_proj.get(), q}, {layer.k_proj.get(), k}, {layer.v_proj.get(), v}},
                 {});  // [rows, hidden] each
    device.Attend(static_cast<int64_t>(i), {q, k, v, shape_.attention.head_size}, a);
    device.Apply(a, {{layer.out_proj.get(), h}}, {.residual = h});  // [rows, hidden]
    if (!norm_before) device.Normalize(*layer.self_attn_layer_norm, h, h);

    if (norm_before) device.Normalize(*layer.final_layer_norm, h, a);  // [rows, hidden]
    device.Apply(read, {{layer.fc1.get(), inner}}, {.activation = config_.activation});
    device.Apply(inner, {{layer.fc2.get(), h}}, {.residual = h});  // [rows, hidden]
    if (!norm_before) device.Normalize(*layer.final_layer_norm, h, h);
  }

  // Here every row goes on; the device picks those that the step asks results of.
  if (final_layer_norm_) device.Normalize(*final_layer_norm_, h, h);  // [rows, hidden]
  if (!project_out_) return h;
  device.Apply(h, {{project_out_.get(), embedded}}, {});  // [rows, embed]
  return embedded;
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
  ASSIGN_OR_RETURN(layer.self_attn_layer_norm, LoadNormAt(context, path + "self_attn_layer_norm"));
  ASSIGN_OR_RETURN(layer.q_proj, linear("self_attn.q_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.k_proj, linear("self_attn.k_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.v_proj, linear("self_attn.v_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.out_proj, linear("self_attn.out_proj", {hidden, hidden}));
  ASSIGN_OR_RETURN(layer.final_layer_norm, LoadNormAt(context, path + "final_layer_norm"));
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
    ASSIGN_OR_RETURN(final_layer_norm_, LoadNormAt(context, "model.decoder.final_layer_norm"));
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
