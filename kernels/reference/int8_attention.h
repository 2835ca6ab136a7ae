// The definition of attention over keys and values of int8 (KvType::kInt8), bit for bit, as plain
// loops. Never tuned.
#pragma once

#include <span>
#include <vector>

#include "kernels/attention.h"

namespace dyad::kernels::reference {

// Outputs of one query of a head over the keys and values up to its own.
// Shapes: query (rotated) and the result [head_size]; keys (rotated), values: [positions] of that,
// before they are made whole.
std::vector<float> AttendInt8(const AttentionShape& shape, std::span<const float> query,
                              std::span<const std::vector<float>> keys,
                              std::span<const std::vector<float>> values);

}  // namespace dyad::kernels::reference
