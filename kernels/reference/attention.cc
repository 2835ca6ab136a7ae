// kernels/reference/attention.h.
#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>

namespace dyad::kernels::reference {
namespace {

// GPT-NeoX: dimension i < rotary_size / 2 turns with dimension i + rotary_size / 2.
std::vector<double> Rotated(const AttentionShape& shape, const RotaryTable& rotary,
                            int64_t position, const float* x) {
  std::vector<double> y(x, x + shape.head_size);
  const int64_t half = shape.rotary_size / 2;
  for (int64_t i = 0; i < half; ++i) {
    const double cos = rotary.cos[static_cast<size_t>(position * half + i)];
    const double sin = rotary.sin[static_cast<size_t>(position * half + i)];
    y[static_cast<size_t>(i)] = x[i] * cos - x[i + half] * sin;
    y[static_cast<size_t>(i + half)] = x[i + half] * cos + x[i] * sin;
  }
  return y;
}

// The key that the kernels round: rotated in float32, one product rounded, the other fused.
std::vector<double> StoredKey(const AttentionShape& shape, const RotaryTable& rotary,
                              int64_t position, const float* x, KvType type) {
  std::vector<double> key = Rotated(shape, rotary, position, x);
  if (type == KvType::kFloat32) return key;
  const int64_t half = shape.rotary_size / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float cos = rotary.cos[static_cast<size_t>(position * half + i)];
    const float sin = rotary.sin[static_cast<size_t>(position * half + i)];
    key[static_cast<size_t>(i)] = std::fma(-x[i + half], sin, x[i] * cos);
    key[static_cast<size_t>(i + half)] = std::fma(x[i], sin, x[i + half] * cos);
  }
  for (double& value : key) value = RoundedToBfloat16(value);
  return key;
}

}  // namespace

double RoundedToBfloat16(double x) {
  int exponent;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

AttentionResult Attention(const AttentionShape& shape, const RotaryTable& rotary, int64_t tokens,
                          const QkvRows& qkv, KvType type) {
  const int64_t width = shape.heads * shape.head_size;
  AttentionResult result = {std::vector<double>(static_cast<size_t>(tokens * width)),
                            std::vector<double>(static_cast<size_t>(tokens * width)),
                            std::vector<double>(static_cast<size_t>(tokens * shape.heads))};
  for (int64_t head = 0; head < shape.heads; ++head) {
    const int64_t column = head * qkv.head_stride;
    std::vector<std::vector<double>> keys;
    for (int64_t t = 0; t < tokens; ++t) {
      keys.push_back(StoredKey(shape, rotary, t, qkv.k.data + t * qkv.k.stride + column, type));
      const auto q = Rotated(shape, rotary, t, qkv.q.data + t * qkv.q.stride + column);
      std::vector<double> weights;
      double& largest = result.score[static_cast<size_t>(t * shape.heads + head)];
      for (const std::vector<double>& key : keys) {
        double score = 0, magnitude = 0;
        for (size_t d = 0; d < q.size(); ++d) {
          score += shape.scale * q[d] * key[d];
          magnitude += std::abs(shape.scale * q[d] * key[d]);
        }
        weights.push_back(score);
        largest = std::max(largest, magnitude);
      }
      const double maximum = *std::max_element(weights.begin(), weights.end());
      double total = 0;
      for (double& weight : weights) total += weight = std::exp(weight - maximum);
      for (int64_t d = 0; d < shape.head_size; ++d) {
        const auto at = static_cast<size_t>(t * width + head * shape.head_size + d);
        for (size_t key = 0; key < weights.size(); ++key) {
          double value = qkv.v.data[static_cast<int64_t>(key) * qkv.v.stride + column + d];
          if (type == KvType::kBfloat16) value = RoundedToBfloat16(value);
          result.out[at] += weights[key] / total * value;
          result.magnitude[at] += weights[key] / total * std::abs(value);
        }
      }
    }
  }
  return result;
}

}  // namespace dyad::kernels::reference
