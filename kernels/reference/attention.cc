// kernels/reference/attention.h.
#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/exact_math.h"

namespace dyad::kernels::reference {

std::vector<double> Rotated(const AttentionShape& shape, const RotaryTable& rotary,
                            int64_t position, std::span<const float> x) {
  std::vector<double> y(x.begin(), x.end());
  const auto half = static_cast<size_t>(shape.rotary_size / 2);
  for (size_t i = 0; i < half; ++i) {
    const double cos = rotary.cos[static_cast<size_t>(position) * half + i];
    const double sin = rotary.sin[static_cast<size_t>(position) * half + i];
    y[i] = x[i] * cos - x[i + half] * sin;
    y[i + half] = x[i + half] * cos + x[i] * sin;
  }
  return y;
}

// One product rounded, the other fused.
std::vector<float> RotatedFloats(const AttentionShape& shape, const RotaryTable& rotary,
                                 int64_t position, std::span<const float> x) {
  std::vector<float> y(x.begin(), x.end());
  const auto half = static_cast<size_t>(shape.rotary_size / 2);
  for (size_t i = 0; i < half; ++i) {
    const auto at = static_cast<size_t>(position) * half + i;
    const exact::Point turned = exact::Rotate({x[i], x[i + half]}, rotary.cos[at], rotary.sin[at]);
    y[i] = turned.a;
    y[i + half] = turned.b;
  }
  return y;
}

std::vector<double> StoredKey(const AttentionShape& shape, const RotaryTable& rotary,
                              int64_t position, std::span<const float> x, KvType type) {
  if (type == KvType::kFloat32) return Rotated(shape, rotary, position, x);
  const std::vector<float> turned = RotatedFloats(shape, rotary, position, x);
  std::vector<double> key(turned.begin(), turned.end());
  if (type == KvType::kInt8) return key;
  for (double& value : key) value = RoundedToBfloat16(value);
  return key;
}

std::vector<double> StoredValue(std::span<const float> x, KvType type) {
  std::vector<double> value(x.begin(), x.end());
  if (type == KvType::kBfloat16) {
    for (double& element : value) element = RoundedToBfloat16(element);
  }
  return value;
}

namespace {

HeadResult AttendOne(const AttentionShape& shape, const std::vector<double>& query,
                     std::span<const std::vector<double>> keys,
                     std::span<const std::vector<double>> values) {
  HeadResult result = {std::vector<double>(query.size()), std::vector<double>(query.size())};
  std::vector<double> weights;
  for (const std::vector<double>& key : keys) {
    double score = 0, magnitude = 0;
    for (size_t d = 0; d < query.size(); ++d) {
      score += shape.scale * query[d] * key[d];
      magnitude += std::abs(shape.scale * query[d] * key[d]);
    }
    weights.push_back(score);
    result.score = std::max(result.score, magnitude);
  }
  const double maximum = *std::max_element(weights.begin(), weights.end());
  double total = 0;
  for (double& weight : weights) total += weight = std::exp(weight - maximum);
  for (size_t d = 0; d < query.size(); ++d) {
    for (size_t key = 0; key < weights.size(); ++key) {
      result.out[d] += weights[key] / total * values[key][d];
      result.magnitude[d] += weights[key] / total * std::abs(values[key][d]);
    }
  }
  return result;
}

}  // namespace

std::vector<HeadResult> AttendHead(const AttentionShape& shape, const RotaryTable& rotary,
                                   std::span<const std::span<const float>> queries,
                                   std::span<const std::vector<double>> keys,
                                   std::span<const std::vector<double>> values) {
  std::vector<HeadResult> results;
  size_t position = keys.size() - queries.size();
  for (const std::span<const float> query : queries) {
    const auto at = static_cast<int64_t>(position++);
    results.push_back(AttendOne(shape, Rotated(shape, rotary, at, query), keys.first(position),
                                values.first(position)));
  }
  return results;
}

AttentionResult Attention(const AttentionShape& shape, const RotaryTable& rotary, int64_t tokens,
                          const QkvRows& qkv, KvType type) {
  const int64_t width = shape.heads * shape.head_size;
  AttentionResult result = {std::vector<double>(static_cast<size_t>(tokens * width)),
                            std::vector<double>(static_cast<size_t>(tokens * width)),
                            std::vector<double>(static_cast<size_t>(tokens * shape.heads))};
  for (int64_t head = 0; head < shape.heads; ++head) {
    const auto row_of = [&](const ConstRows& rows, int64_t t) {
      return std::span(rows.data + t * rows.stride + head * qkv.head_stride,
                       static_cast<size_t>(shape.head_size));
    };
    std::vector<std::span<const float>> queries;
    std::vector<std::vector<double>> keys, values;
    for (int64_t t = 0; t < tokens; ++t) {
      queries.push_back(row_of(qkv.q, t));
      keys.push_back(StoredKey(shape, rotary, t, row_of(qkv.k, t), type));
      values.push_back(StoredValue(row_of(qkv.v, t), type));
    }
    const std::vector<HeadResult> results = AttendHead(shape, rotary, queries, keys, values);
    for (int64_t t = 0; t < tokens; ++t) {
      const HeadResult& one = results[static_cast<size_t>(t)];
      const int64_t at = t * width + head * shape.head_size;
      std::copy(one.out.begin(), one.out.end(), result.out.begin() + at);
      std::copy(one.magnitude.begin(), one.magnitude.end(), result.magnitude.begin() + at);
      result.score[static_cast<size_t>(t * shape.heads + head)] = one.score;
    }
  }
  return result;
}

double RoundedToBfloat16(double x) {
  int exponent;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

}  // namespace dyad::kernels::reference
