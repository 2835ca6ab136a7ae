// What attention is given: the shape of its heads, its rotation, its keys and values.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
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
//
// kInt8: whole numbers K and V in [−127, 127] and a float32 scale each, of every token and head,
// as integer8 makes them of a row (kernels/integer.h): k ≈ scale_k · K, v ≈ scale_v · V. A query of
// a head, rotated, is Q · unit_q as in integer16. Every operation rounds to float32, but sums over
// whole numbers are exact:
//
//   score = ((float(Σ Q · K) · unit_q) · scale_k) · scale
//
// Then, as with other types, of every 64 keys, at multiples of 64 positions: maximum, weights
// e^(score − maximum), rescale. Weights times scale_v, of all keys of the 64 that the query sees,
// are W · unit_w as in integer16, and
//
//   sums = float(Σ W · V) · unit_w + sums · rescale
//
// A key, value or query with a number that is infinite or none gives no numbers to all who see it.
enum class KvType { kFloat32, kBfloat16, kInt8 };

constexpr std::string_view NameOf(KvType type) {
  switch (type) {
    case KvType::kFloat32:
      return "float32";
    case KvType::kBfloat16:
      return "bfloat16";
    case KvType::kInt8:
      return "int8";
  }
  return {};
}

// Features of a head with kInt8: its sums stay below 2^31.
inline constexpr int64_t kMostInt8HeadSize = 512;

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
