// Whole numbers: weights of int8 as kernels/int8.h defines them, and steps in the arithmetic of
// kernels/integer.h, by plain loops in 64 bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/arithmetic.h"
#include "kernels/plan.h"

namespace dyad::kernels::reference {

// w ≈ whole · scale.
struct Quantized {
  std::vector<double> whole;
  float scale = 0;
};
Quantized Quantize(const std::vector<double>& row);

// A row of weights as int8 stands for it: scale · whole.
std::vector<double> ThroughInt8(std::vector<double> row);

// x ≈ unit · whole.
struct WholeRow {
  std::vector<int32_t> whole;
  float unit = 0;
};
// REQUIRES: an integer arithmetic.
WholeRow ToWholeRow(Arithmetic arithmetic, std::span<const float> x);

// Rows of a buffer, one after the other.
struct BufferRows {
  std::span<float> values;
  int64_t width = 0;
};
// Adds a step's sums and its bias to the destination, row by row.
void AddWholeSums(Arithmetic arithmetic, const Contract& step, const BufferRows& source,
                  const BufferRows& destination);

}  // namespace dyad::kernels::reference
