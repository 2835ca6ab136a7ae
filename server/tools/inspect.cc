// Rows and sums.
#include "server/tools/inspect.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "server/base/message_text.h"

namespace dyad {
namespace {

using InspectionObject = nlohmann::ordered_json;

// Of all linear layers.
struct LayerSums {
  int64_t parameters = 0, dense_parameters = 0;
  int64_t bytes = 0, dense_bytes = 0;
  int64_t multiply_adds = 0, dense_multiply_adds = 0;
};

LayerSums SumsOf(const ModelInfo& info) {
  LayerSums sums;
  for (const LinearInfo& layer : info.layers) {
    sums.parameters += layer.parameters;
    sums.dense_parameters += layer.dense_parameters();
    sums.bytes += layer.weight_bytes;
    sums.dense_bytes += layer.dense_weight_bytes;
    sums.multiply_adds += layer.multiply_adds;
    sums.dense_multiply_adds += layer.dense_multiply_adds();
  }
  return sums;
}

// "4160  50.0 %": a count, and what it is of a dense layer's.
std::string ShareText(int64_t count, int64_t of_dense) {
  const double share =
      static_cast<double>(count) / static_cast<double>(std::max<int64_t>(of_dense, 1));
  return absl::StrFormat("%12d %6.1f %%", count, 100 * share);
}

std::string FormText(const LinearInfo& layer) {
  std::string text = Text(layer.multiplied_out ? "dense matrix: " : "plan: ", layer.form_reason);
  if (layer.routed) {
    text += layer.pays() ? ", which pays" : ", which costs more than a dense layer";
  }
  return text;
}

InspectionObject LayerJson(const LinearInfo& layer) {
  InspectionObject tensors = InspectionObject::array();
  for (const SourceTensor& tensor : layer.tensors) {
    tensors.push_back({{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}});
  }
  InspectionObject object = {{"name", layer.name},
                             {"kind", layer.kind},
                             {"structure", layer.structure},
                             {"in_features", layer.in_features},
                             {"out_features", layer.out_features},
                             {"parameters", layer.parameters},
                             {"dense_parameters", layer.dense_parameters()},
                             {"weight_bytes", layer.weight_bytes},
                             {"dense_weight_bytes", layer.dense_weight_bytes},
                             {"multiply_adds", layer.multiply_adds},
                             {"dense_multiply_adds", layer.dense_multiply_adds()},
                             {"tensors", std::move(tensors)},
                             {"steps", layer.steps},
                             {"form", layer.multiplied_out ? "dense" : "plan"},
                             {"form_reason", layer.form_reason}};
  if (layer.routed) object["pays"] = layer.pays();
  return object;
}

}  // namespace

std::string InspectionTable(const ModelInfo& info) {
  size_t width = 5;
  for (const LinearInfo& layer : info.layers) width = std::max(width, layer.name.size());
  const int name_width = static_cast<int>(width);
  std::string text = absl::StrFormat(
      "%s, weights of %s; beside each number: its share of a dense layer's\n\n"
      "%-*s  %6s    %-6s  %21s  %21s  %21s\n",
      info.architecture, info.weight_dtype, name_width, "layer", "in", "out", "parameters",
      "bytes in memory", "multiply-adds a token");
  for (const LinearInfo& layer : info.layers) {
    text += absl::StrFormat(
        "%-*s  %6d -> %-6d  %s  %s  %s  %s\n", name_width, layer.name, layer.in_features,
        layer.out_features, ShareText(layer.parameters, layer.dense_parameters()),
        ShareText(layer.weight_bytes, layer.dense_weight_bytes),
        ShareText(layer.multiply_adds, layer.dense_multiply_adds()), layer.structure);
    if (layer.kind == "dense") continue;
    text += Text("    ", FormText(layer), "\n");
    for (const std::string& step : layer.steps) text += Text("      ", step, "\n");
  }
  const LayerSums sums = SumsOf(info);
  text += absl::StrFormat("%-*s  %16s  %s  %s  %s\n", name_width, "all linear layers", "",
                          ShareText(sums.parameters, sums.dense_parameters),
                          ShareText(sums.bytes, sums.dense_bytes),
                          ShareText(sums.multiply_adds, sums.dense_multiply_adds));
  text += absl::StrFormat("%-*s  %16s  %s\n", name_width, "whole model", "",
                          ShareText(info.parameters, info.dense_equivalent_parameters));
  return text;
}

std::string InspectionJson(const ModelInfo& info) {
  InspectionObject layers = InspectionObject::array();
  for (const LinearInfo& layer : info.layers) layers.push_back(LayerJson(layer));
  const LayerSums sums = SumsOf(info);
  const InspectionObject object = {
      {"architecture", info.architecture},
      {"weight_dtype", info.weight_dtype},
      {"parameters", info.parameters},
      {"dense_equivalent_parameters", info.dense_equivalent_parameters},
      {"layer_bytes", sums.bytes},
      {"dense_layer_bytes", sums.dense_bytes},
      {"layer_multiply_adds", sums.multiply_adds},
      {"dense_layer_multiply_adds", sums.dense_multiply_adds},
      {"layers", std::move(layers)}};
  return object.dump() + "\n";
}

}  // namespace dyad
