// The integer arithmetic (kernels/integer.h) on packed operands.
//
// Weights: panels of 32 outputs, [block][panel][quad][32][4], where a quad is four k; every term
// ends with zeros to a whole quad. Beside them each output's Σ p. One layout for all instruction
// sets. Rows: [row][block][quad], a quad in one of two forms, chosen by the instruction set:
//
//   kBytes   q + 128 (8 bits), + 2^15, + 2^23: [4 highest bytes][4 next] … of the four k; for
//            instructions that multiply unsigned bytes with signed ones
//   kWords   [4 q] of 16 bits; 24 bits: [4 of q / 256, rounded down][4 of the rest]
//
// Where a step has row groups, a row of the batch is several rows here, as in
// kernels/cpu/operands.h.
#pragma once

#include <cstdint>

#include "kernels/arithmetic.h"
#include "kernels/cpu/operands.h"

namespace dyad::kernels {

// A panel and some rows of a block.
struct IntegerTile {
  const uint8_t* x = nullptr;  // the first row's first quad
  int64_t x_stride = 0;
  const float* units = nullptr;  // of the rows
  const int8_t* weights = nullptr;
  const int32_t* weight_sums = nullptr;
  int64_t quads = 0;
  // What is on its way from memory meanwhile, and how much of it for each quad. Few rows: the
  // weights a little further on. Many: this tile's part of the next panel.
  const char* ahead = nullptr;
  int64_t ahead_step = 0;
  bool many = false;
};

// Pieces of 8 bits that a q is cut into.
constexpr int PiecesOf(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kInteger24 ? 3 : arithmetic == Arithmetic::kInteger16 ? 2 : 1;
}
// Of a quad in kBytes; three pieces take the room of four.
constexpr int QuadBytes(int pieces) { return pieces == 3 ? 16 : 4 * pieces; }
constexpr int64_t QuadBytes(Arithmetic arithmetic, RowForm form) {
  const int pieces = PiecesOf(arithmetic);
  return QuadBytes(form == RowForm::kWords && pieces == 1 ? 2 : pieces);
}

// Rows that a kernel takes at once: as many as its registers have sums for.
constexpr int64_t IntegerRowsAtOnce(const NarrowRows& rows) {
  return rows.form == RowForm::kWords ? 4 : 12 / PiecesOf(rows.arithmetic);
}

// to[r][n] = float(S) · unit for `count` rows and the panel's 32 outputs. REQUIRES: kBytes, and a
// processor that MultipliesBytes.
void SumBytes(const IntegerTile& tile, Arithmetic arithmetic, int64_t count, float* to);

// Whether the instruction set in use multiplies bytes and adds them up four at a time (VNNI).
bool MultipliesBytes();

// Makes the whole numbers of a row; their unit. REQUIRES: row.contraction->is_integer().
float PackIntegerRow(const RowToPack& row);

}  // namespace dyad::kernels
