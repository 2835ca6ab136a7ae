// The definition of attention: kernels/attention.h in double, without pages. Never tuned.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"

namespace dyad::kernels::reference {

struct AttentionResult {
  std::vector<double> out;        // [tokens, heads · head_size]
  std::vector<double> magnitude;  // Σ weight · |value| of each output
  std::vector<double> score;  // [tokens, heads]: the largest Σ |scale · q_d · k_d| over the keys
};

// One whole sequence, positions 0 … tokens − 1 in rows 0 … tokens − 1. kBfloat16: of keys and
// values rounded as kernels/attention.h says, which for a key that rotates begins with the kernels'
// own float32 rotation.
AttentionResult Attention(const AttentionShape& shape, const RotaryTable& rotary, int64_t tokens,
                          const QkvRows& qkv, KvType type = KvType::kFloat32);

// To 8 significant bits, ties to even; for normal numbers.
double RoundedToBfloat16(double x);

}  // namespace dyad::kernels::reference
