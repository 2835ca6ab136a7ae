// The bfloat16 arithmetic (kernels/bfloat16.h) on packed operands.
//
// Weights: panels of 32 outputs, [block][panel][pair][32][2], where a pair is two k; every term
// ends with a whole pair, the last of an odd depth with a zero. One layout for all instruction
// sets. Rows: [row][block][pair], a pair in one of two forms, chosen by the instruction set:
//
//   kPairs    two bfloat16; for an instruction that multiplies such pairs
//   kFloats   the same numbers in float32
//
// Where a step has row groups, a row of the batch is several rows here, as in
// kernels/cpu/operands.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/operands.h"

namespace dyad::kernels {

// What a sum of AddPairs continues.
enum class Start { kSums, kZeros };

// A panel and some rows of a block.
struct PairTile {
  const uint8_t* x = nullptr;  // the first row's first pair
  int64_t x_stride = 0;        // bytes
  const uint16_t* weights = nullptr;
  int64_t pairs = 0;
  Start start = Start::kSums;
  // What is on its way from memory meanwhile, and how much of it for each pair. Few rows: the
  // weights a little further on. Many: this tile's part of the next panel.
  const char* ahead = nullptr;
  int64_t ahead_step = 0;
  bool many = false;
};

constexpr int64_t PairBytes(RowForm form) { return form == RowForm::kPairs ? 4 : 8; }

// sums[r][n] for 1 to kRowTile rows and the panel's 32 outputs. REQUIRES: kPairs, and a
// processor that MultipliesPairs.
void AddPairs(const PairTile& tile, int64_t count, float* sums);

// to[i] = ToBfloat16Activation(x[i]). REQUIRES: a processor that MultipliesPairs.
void RoundByInstruction(const float* x, int64_t count, uint16_t* to);

// Whether the instruction set in use multiplies pairs of bfloat16 and adds them up (AVX512_BF16).
bool MultipliesPairs();

// Rounds a row. REQUIRES: its contraction is of bfloat16 arithmetic.
void PackBfloat16Row(const RowToPack& row);

}  // namespace dyad::kernels
