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

// One whole sequence, positions 0 … tokens − 1 in rows 0 … tokens − 1.
AttentionResult Attention(const AttentionShape& shape, const RotaryTable& rotary, int64_t tokens,
                          const QkvRows& qkv);

}  // namespace dyad::kernels::reference
