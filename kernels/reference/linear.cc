// kernels/reference/linear.h.
#include "kernels/reference/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace dyad::kernels::reference {
namespace {

double FromFloat16(uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

double FromBfloat16(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

size_t At(const FeatureView& view, int64_t block, int64_t j) {
  return static_cast<size_t>(view.offset + block * view.block_stride + j * view.stride);
}

}  // namespace

double WeightAt(const void* data, WeightType type, int64_t index) {
  switch (type) {
    case WeightType::kFloat32:
      return static_cast<const float*>(data)[index];
    case WeightType::kBfloat16:
      return FromBfloat16(static_cast<const uint16_t*>(data)[index]);
    case WeightType::kFloat16:
      return FromFloat16(static_cast<const uint16_t*>(data)[index]);
    case WeightType::kInt8:
      break;  // a number of 8 bits has no value without its row's scale
  }
  return 0;
}

namespace {

// The weights of output n of block b, term after term: [terms · depth].
std::vector<double> WeightsOf(const LinearSpec& spec, const Contraction& c, int64_t b, int64_t n) {
  std::vector<double> weights;
  for (const Term& term : c.terms) {
    const WeightView& w = term.weight;
    for (int64_t k = 0; k < c.depth; ++k) {
      const int64_t index = b * w.block_stride + n * w.output_stride + k * w.depth_stride;
      weights.push_back(WeightAt(w.data, spec.source_type(), index));
    }
  }
  return spec.type == WeightType::kInt8 ? ThroughInt8(weights) : weights;
}

}  // namespace

// In the float32 arithmetic that kernels/int8.h defines.
std::vector<double> ThroughInt8(std::vector<double> row) {
  float largest = 0;
  for (const double weight : row) largest = std::max(largest, static_cast<float>(std::abs(weight)));
  const float scale = largest / 127.0f;
  for (double& weight : row) {
    const float ratio = static_cast<float>(weight) / scale;
    weight = scale < 0x1p-126f ? 0 : static_cast<double>(std::nearbyint(ratio)) * scale;
  }
  return row;
}

double Activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return x < 0 ? 0 : x;
    case Activation::kGelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kGeluTanh: {
      const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return x / (1 + std::exp(-2 * u));  // x (1 + tanh u) / 2
    }
  }
  return x;
}

LinearResult Linear(const LinearSpec& spec, int64_t tokens, ConstRows x, const Epilogue& epilogue) {
  const auto out = static_cast<size_t>(spec.out_features);
  const size_t total = static_cast<size_t>(tokens) * out;
  LinearResult result = {std::vector<double>(total), std::vector<double>(total),
                         std::vector<double>(total), std::vector<int64_t>(out)};
  for (const Contraction& c : spec.contractions) {
    for (int64_t b = 0; b < c.blocks; ++b) {
      for (int64_t n = 0; n < c.outputs; ++n) {
        const size_t feature = At(c.destination, b, n);
        const std::vector<double> weights = WeightsOf(spec, c, b, n);
        result.roundings[feature] +=
            std::ssize(weights) + (spec.type == WeightType::kInt8 ? 1 : 0);  // the scale's
        for (int64_t t = 0; t < tokens; ++t) {
          auto weight = weights.begin();
          for (const Term& term : c.terms) {
            for (int64_t k = 0; k < c.depth; ++k) {
              const double product =
                  *weight++ * x.data[static_cast<size_t>(t * x.stride) + At(term.source, b, k)];
              result.sum[static_cast<size_t>(t) * out + feature] += product;
              result.magnitude[static_cast<size_t>(t) * out + feature] += std::abs(product);
            }
          }
        }
      }
    }
  }
  for (int64_t t = 0; t < tokens; ++t) {
    for (size_t feature = 0; feature < out; ++feature) {
      const size_t at = static_cast<size_t>(t) * out + feature;
      const double bias = spec.bias.empty() ? 0.0 : spec.bias[feature];
      result.sum[at] += bias;
      result.magnitude[at] += std::abs(bias);
      result.y[at] = Activate(epilogue.activation, result.sum[at]);
      if (epilogue.residual.data != nullptr) {
        result.y[at] +=
            epilogue.residual.data[static_cast<size_t>(t * epilogue.residual.stride) + feature];
      }
    }
  }
  return result;
}

}  // namespace dyad::kernels::reference
