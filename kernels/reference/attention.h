// The definition of attention: kernels/attention.h in double, as plain loops. Never tuned.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention.h"

namespace dyad::kernels::reference {

// A query or key of one head, rotated: GPT-NeoX, dimension i < rotary_size / 2 turns with dimension
// i + rotary_size / 2. `x`: [head_size].
std::vector<double> Rotated(const AttentionShape& shape, const RotaryTable& rotary,
                            int64_t position, std::span<const float> x);

// In float32, as the kernels do.
std::vector<float> RotatedFloats(const AttentionShape& shape, const RotaryTable& rotary,
                                 int64_t position, std::span<const float> x);

// A key or value of one head as it is kept. Of kBfloat16 it is rounded, a key after the kernels'
// own float32 rotation. Of kInt8 it is what becomes whole numbers:
// kernels/reference/int8_attention.h.
std::vector<double> StoredKey(const AttentionShape& shape, const RotaryTable& rotary,
                              int64_t position, std::span<const float> x, KvType type);
std::vector<double> StoredValue(std::span<const float> x, KvType type);

struct HeadResult {
  std::vector<double> out;        // [head_size]
  std::vector<double> magnitude;  // Σ weight · |value| of each output
  double score = 0;               // the largest Σ |scale · q_d · k_d| over the keys
};

// Queries of one head at the last positions of a sequence, each over the keys and values up to its
// own. keys, values: as they are kept, of positions 0, 1, …
std::vector<HeadResult> AttendHead(const AttentionShape& shape, const RotaryTable& rotary,
                                   std::span<const std::span<const float>> queries,
                                   std::span<const std::vector<double>> keys,
                                   std::span<const std::vector<double>> values);

struct AttentionResult {
  std::vector<double> out;        // [tokens, heads · head_size]
  std::vector<double> magnitude;  // as HeadResult, of each output
  std::vector<double> score;      // [tokens, heads]
};

// One whole sequence, positions 0 … tokens − 1 in rows 0 … tokens − 1.
AttentionResult Attention(const AttentionShape& shape, const RotaryTable& rotary, int64_t tokens,
                          const QkvRows& qkv, KvType type = KvType::kFloat32);

// To 8 significant bits, ties to even; for normal numbers.
double RoundedToBfloat16(double x);

}  // namespace dyad::kernels::reference
