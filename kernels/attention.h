// What attention is given: the shape of its heads, its rotation, its keys and values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/epilogue.h"

namespace dyad::kernels {

struct AttentionShape {
  int64_t heads = 0;
  int64_t head_size = 0;
  float scale = 0;          // multiplies q·k; OPT and NeoX: 1/sqrt(head_size)
  int64_t rotary_size = 0;  // leading dimensions of a head that rotate (NeoX); 0: none; even
};

// Cosine and sine per position and rotary dimension pair, as the reference computes them in
// float32: angle = position · base^(−2i/rotary_size), i in [0, rotary_size/2).
struct RotaryTable {
  std::span<const float> cos;  // [positions, rotary_size / 2]
  std::span<const float> sin;
};

// What keys and values are kept as. kBfloat16: keys (rotated, in float32) and values are rounded to
// nearest, ties to even, where they are stored, and widened where they are read; all else is
// float32.
enum class KvType { kFloat32, kBfloat16 };

// The keys and values of all layers, and what rotates them.
struct KvSpec {
  AttentionShape shape;
  int64_t layers = 0;
  KvType type = KvType::kFloat32;
  int32_t pages = 0;
  std::vector<float> cos, sin;  // as RotaryTable; empty where nothing rotates
};

// Queries, keys and values of every row: [rows, heads · head_size], head h at column
// h · head_stride. NeoX packs q, k, v of a head together: a stride of 3 · head_size.
struct QkvRows {
  ConstRows q, k, v;
  int64_t head_stride = 0;
};

}  // namespace dyad::kernels
