// The network's tensors, in which structured layers become one matrix each.
#include "server/model/dense_checkpoint.h"

#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "server/base/catch_exceptions.h"
#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tensor_source.h"
#include "server/model/config.h"
#include "server/model/convert.h"
#include "server/model/linear.h"
#include "server/model/load_network.h"
#include "server/model/stock_config.h"

namespace dyad {
namespace {

using kernels::Element;

StoredType StoredTypeOf(Element type) {
  switch (type) {
    case Element::kFloat16:
      return StoredType::kFloat16;
    case Element::kBfloat16:
      return StoredType::kBfloat16;
    default:
      return StoredType::kFloat32;
  }
}

// `values` as numbers of `type`, which one may overflow.
absl::StatusOr<std::vector<std::byte>> Narrowed(const std::string& name,
                                                const std::vector<float>& values, Element type) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(kernels::ElementBytes(type)));
  const auto bad = static_cast<size_t>(NarrowFloats(values, type, bytes.data()));
  if (bad == values.size()) return bytes;
  return absl::InvalidArgumentError(Text("tensor ", name, ": element ", bad, " of the product is ",
                                         values[bad], ", which overflows ", WeightTypeName(type),
                                         "; --dtype=float32 may hold it"));
}

class Opened final : public DenseCheckpoint {
 public:
  Opened(ModelConfig config, std::unique_ptr<Checkpoint> checkpoint,
         std::unique_ptr<kernels::Device> device)
      : model_config_(std::move(config)),
        checkpoint_(std::move(checkpoint)),
        device_(std::move(device)),
        tensors_(*checkpoint_, std::string(model_config_.architecture->tensor_root)),
        context_(ContextOf(model_config_, tensors_, {}, LoadPass::kCheck, *device_)) {}

  const std::string& config() const override { return config_; }
  const std::vector<TensorEntry>& entries() const override { return entries_; }

  absl::Status List(DenseType type, std::string config) {
    config_ = std::move(config);
    const WeightDtype dtype =
        type == DenseType::kFloat32 ? WeightDtype::kFloat32 : WeightDtype::kAsStored;
    ASSIGN_OR_RETURN(LoadedNetwork network,
                     LoadNetwork(model_config_, tensors_, {}, LoadPass::kCheck, *device_));
    layers_ = std::move(network.linears);
    std::map<std::string, TensorEntry> entries;
    for (const NamedTensor& tensor : tensors_.Needed()) {
      ASSIGN_OR_RETURN(const Element element, ChooseWeightType(tensor, dtype));
      sources_[tensor.name] = {.tensor = tensor, .element = element};
      entries[tensor.name] = {tensor.name, StoredTypeOf(element), tensor.stored->shape};
    }
    for (size_t i = 0; i < layers_.size(); ++i) {
      const LinearInfo& info = network.tally.layers[i];
      if (info.kind != "dense") RETURN_IF_ERROR(ListLayer(info, i, entries));
    }
    for (auto& [name, entry] : entries) entries_.push_back(std::move(entry));
    return absl::OkStatus();
  }

  absl::Status Write(const TensorEntry& entry,
                     const std::function<absl::Status(std::span<const std::byte>)>& take) override {
    return CatchExceptions(entry.name, [&]() -> absl::Status {
      const Source& source = sources_.at(entry.name);
      if (source.layer.has_value()) {
        RETURN_IF_ERROR(Multiply(*source.layer));
        const DenseMatrix& made = multiplied_->matrix;
        ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                         Narrowed(entry.name, entry.shape.size() == 2 ? made.weight : made.bias,
                                  source.element));
        return take(bytes);
      }
      ASSIGN_OR_RETURN(const WeightMatrix values,
                       ReadWeights(source.tensor, source.element, *device_));
      RETURN_IF_ERROR(take({values.data(), static_cast<size_t>(entry.bytes())}));
      tensors_.Release(source.tensor);
      return absl::OkStatus();
    });
  }

 private:
  // Where an entry comes from: a layer that is multiplied out, or a tensor.
  struct Source {
    NamedTensor tensor = {};
    std::optional<size_t> layer = std::nullopt;
    Element element = Element::kFloat32;  // to be written as
  };
  struct Multiplied {
    size_t layer;
    DenseMatrix matrix;
  };

  // Weight and bias in place of the layer's own tensors.
  absl::Status ListLayer(const LinearInfo& info, size_t layer,
                         std::map<std::string, TensorEntry>& entries) {
    if (info.routed) {
      return absl::InvalidArgumentError(Text(info.name, " is ", info.structure,
                                             ", whose rows choose what they run; expected ",
                                             "layers that are one matrix for every row"));
    }
    std::optional<Element> common;
    for (const SourceTensor& taken : info.tensors) {
      const Element element = sources_.at(taken.name).element;
      common = !common.has_value() || *common == element ? element : Element::kFloat32;
      sources_.erase(taken.name);
      entries.erase(taken.name);
    }
    const auto add = [&](const char* leaf, std::vector<int64_t> shape) {
      const std::string name = Text(info.name, ".", leaf);
      sources_[name] = {.tensor = {}, .layer = layer, .element = *common};
      entries[name] = {name, StoredTypeOf(*common), std::move(shape)};
    };
    add("weight", {info.out_features, info.in_features});
    if (info.biased) add("bias", {info.out_features});
    return absl::OkStatus();
  }

  absl::Status Multiply(size_t layer) {
    if (multiplied_.has_value() && multiplied_->layer == layer) return absl::OkStatus();
    multiplied_.reset();
    ASSIGN_OR_RETURN(DenseMatrix matrix, MultiplyOut(context_, layers_[layer]));
    multiplied_ = {layer, std::move(matrix)};
    return absl::OkStatus();
  }

  const ModelConfig model_config_;
  const std::unique_ptr<Checkpoint> checkpoint_;
  const std::unique_ptr<kernels::Device> device_;
  TensorSource tensors_;
  LoadContext context_;
  std::string config_;
  std::vector<LinearPlace> layers_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, Source> sources_;  // by the names of entries
  std::optional<Multiplied> multiplied_;   // the last one
};

}  // namespace

absl::StatusOr<std::unique_ptr<DenseCheckpoint>> DenseCheckpoint::Open(
    const std::string& folder, DenseType type, std::unique_ptr<kernels::Device> device) {
  return CatchExceptions(folder, [&]() -> absl::StatusOr<std::unique_ptr<DenseCheckpoint>> {
    ASSIGN_OR_RETURN(ModelConfig config, ReadConfig(folder));
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFile(std::filesystem::path(folder) / "config.json", kMostConfigBytes));
    ASSIGN_OR_RETURN(std::string stock,
                     StockConfig(text, type == DenseType::kFloat32 ? "float32" : ""));
    ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, Checkpoint::Open(folder));
    auto opened =
        std::make_unique<Opened>(std::move(config), std::move(checkpoint), std::move(device));
    RETURN_IF_ERROR(opened->List(type, std::move(stock)));
    return opened;
  });
}

}  // namespace dyad
