// Sums of attention over keys and values of int8 (KvType::kInt8): rows of whole numbers of 16 bits
// times lines of bytes (kernels/cpu/kv_layout.h).
//
// A row is quads of 8 bytes, in one of two forms, chosen by the instruction set:
//
//   kWords    [4 q] of 16 bits
//   kHalves   [4 of q / 256, rounded down][4 of the rest], for instructions that multiply unsigned
//             bytes with signed ones
#pragma once

#include <cstdint>

namespace dyad::kernels {

enum class QuadForm { kWords, kHalves };

inline constexpr int kLineSums = 16;
inline constexpr int kMostLines = 4;  // side by side; a group of keys has four pages
inline constexpr int kLineRows = 3;   // 3 rows · 4 lines · 2 halves: 24 of AVX-512's registers
inline constexpr int64_t kLineBytes = 64;

// Sums of lines[0][l] and those behind it, then of lines[1][l] …: a row's quads meet all of them in
// this order.
struct LineTile {
  const uint8_t* x = nullptr;  // the first row's first quad
  int64_t x_stride = 0;
  const float* units = nullptr;        // of the rows
  const int32_t* high_sums = nullptr;  // of kHalves: Σ of the upper ones. Null: no q is negative.
  const int8_t* const* lines = nullptr;  // [segments][kMostLines]
  int64_t segments = 1;
  int64_t quads = 0;    // of a segment
  float* to = nullptr;  // [rows][kMostLines · 16]
};

// to[r][l · 16 + n] = float(S) · unit, for `rows` in [1, kLineRows] and `lines` in [1, kMostLines].
// REQUIRES: kHalves, |S| < 2^31, and a processor that MultipliesBytes (kernels/cpu/integer.h).
void SumLinesOfHalves(const LineTile& tile, int64_t rows, int64_t lines);

}  // namespace dyad::kernels
