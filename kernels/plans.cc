// Plans of layers: how each structure becomes contractions. Formulas: kernels/README.md.
#include "kernels/linear.h"

namespace dyad::kernels {

int64_t WeightBytes(WeightType type) {
  switch (type) {
    case WeightType::kFloat32:
      return 4;
    case WeightType::kBfloat16:
    case WeightType::kFloat16:
      return 2;
    case WeightType::kInt8:
      return 1;
  }
  return 0;
}

LinearSpec DenseSpec(int64_t in_features, int64_t out_features, WeightType type, const void* weight,
                     std::span<const float> bias) {
  return {.in_features = in_features,
          .out_features = out_features,
          .type = type,
          .contractions = {{.blocks = 1,
                            .outputs = out_features,
                            .depth = in_features,
                            .terms = {{.source = {},
                                       .weight = {.data = weight, .output_stride = in_features}}},
                            .destination = {}}},
          .bias = bias};
}

LinearSpec DyadSpec(int64_t in_features, int64_t out_features, WeightType type, DyadVariant variant,
                    const DyadWeights& weights, std::span<const float> bias) {
  const int64_t blocks = weights.blocks;
  const int64_t block_in = in_features / blocks;
  const int64_t block_out = out_features / blocks;
  // Feature j of block b: plain b · size + j, strided j · blocks + b.
  const FeatureView plain_in = {.block_stride = block_in, .stride = 1};
  const FeatureView plain_out = {.block_stride = block_out, .stride = 1};
  const FeatureView strided = {.block_stride = 1, .stride = blocks};
  const auto view = [&](const void* data) {
    return WeightView{
        .data = data, .block_stride = block_out * block_in, .output_stride = block_in};
  };
  const auto contraction = [&](std::vector<Term> terms, FeatureView destination, Combine combine) {
    return Contraction{.blocks = blocks,
                       .outputs = block_out,
                       .depth = block_in,
                       .terms = std::move(terms),
                       .destination = destination,
                       .combine = combine};
  };
  const Term wl = {plain_in, view(weights.wl)};
  const Term wu = {variant == DyadVariant::kOt ? plain_in : strided, view(weights.wu)};

  LinearSpec spec = {.in_features = in_features,
                     .out_features = out_features,
                     .type = type,
                     .contractions = {},
                     .bias = bias};
  if (variant == DyadVariant::kIt) {
    spec.contractions.push_back(contraction({wl, wu}, plain_out, Combine::kAssign));
  } else {
    spec.contractions.push_back(contraction({wl}, plain_out, Combine::kAssign));
    spec.contractions.push_back(contraction({wu}, strided, Combine::kAccumulate));
  }
  return spec;
}

}  // namespace dyad::kernels
