// What the parts of a network share while they are loaded.
//
// A network is built twice by the same code: first with kCheck, which looks up every tensor and
// checks shapes without reading a number or taking memory, then with kPack, which reads, converts
// and packs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/epilogue.h"
#include "server/checkpoint/tensor_source.h"
#include "server/model/model_info.h"
#include "server/model/model_options.h"
#include "server/model/structured_linear.h"

namespace dyad {

enum class LoadPass { kCheck, kPack };

struct LinearSize {
  int64_t in = 0;
  int64_t out = 0;
};

// A linear layer as its network asks for it.
struct LinearPlace {
  std::string path;  // root included
  LinearSize size;
  kernels::Bias bias = kernels::Bias::kAsFound;
};

// Sums over what was loaded.
struct LoadTally {
  std::vector<LinearInfo> layers;
  int64_t parameters = 0;
  int64_t dense_equivalent_parameters = 0;
  int64_t weight_bytes = 0;  // of what stays in memory (kPack)
  // Elements of weight matrices by the type they are kept in.
  std::map<kernels::Element, int64_t> elements;
  double multiply_adds = 0;        // per token, of `layers`
  double dense_multiply_adds = 0;  // the same if all were dense
  int64_t linear_bytes = 0;        // packed, head included (kPack)
  // Names of layers whose rows choose what they run, which can fail (kPack).
  std::map<const kernels::Layer*, std::string> routed;

  // A part without structure.
  void AddPlain(int64_t count) {
    parameters += count;
    dense_equivalent_parameters += count;
  }
};

struct LoadContext {
  TensorSource& tensors;
  const StructuredLinear& structured;
  const std::map<std::string, int64_t, std::less<>>& layer_options;  // of config.json
  WeightDtype weight_dtype;
  kernels::LayerForm layer_form;
  LoadPass pass;
  kernels::Device& device;
  LoadTally tally;
  std::vector<LinearPlace> linears;  // loaded so far, as tally.layers

  std::vector<std::string> LinearPaths() const {
    std::vector<std::string> paths;
    for (const LinearPlace& place : linears) paths.push_back(place.path);
    return paths;
  }
};

}  // namespace dyad
