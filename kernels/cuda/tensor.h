// One step of a plan on tensor cores, in `accurate` or `fast` arithmetic:
// kernels/reference/tensor.h says which numbers an output is made of. Weights are the operand of 16
// rows, rows of x that of 8 columns; k ascends, and no sum depends on the other rows.
//
// Both operands lie in memory as the instruction wants them in registers, 32 k at a time (a unit),
// so that a warp reads 512 bytes in a row and nothing is turned around in shared memory. Of lane l:
//
//   weights  [block][panel of 16 outputs][term][unit][2 of 16 k][32 lanes][8], for int8
//            [block][panel of 16 outputs][term][unit][32 lanes][2 of 16 k][8]; the i-th of 8 is
//            output l / 4 + 8 · (i / 2 % 2), k 2 · (l % 4) + i % 2 + 8 · (i / 4). int8: plus 128
//   planes   [tile of 8 rows][block][term][unit][piece: high, low][32 lanes][8]; the i-th of 8 is
//            row l / 4, k 2 · (l % 4) + i % 2 + 8 · (i / 2)
//   unscale  [tile of 8 rows][block][term][segment][8 rows]: 1 / scale
//
// Rows are row groups. Zeros fill up rows, outputs and the last unit of a term; they change no bit.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/arithmetic.h"
#include "kernels/cuda/contract.h"

namespace dyad::kernels::cuda {

inline constexpr int kTensorPanel = 16;
inline constexpr int kUnitDepth = 32;
inline constexpr int kTileRows = 8;
inline constexpr int kSegmentUnits = 16;

// REQUIRES: the weights of a step, and its planes, take less than 2^31 vectors of 16 bytes.
//
// In `step`, weights are laid out as above, with scales [blocks][panels · 16]; a panel has 16
// outputs, and a term `vectors` units.
struct TensorArgs {
  ContractArgs step;
  void* planes = nullptr;
  float* unscale = nullptr;
  int pieces = 2;  // 1: fast

  constexpr int64_t tiles() const { return (step.row_groups() + kTileRows - 1) / kTileRows; }
  constexpr int term_segments() const { return (step.vectors + kSegmentUnits - 1) / kSegmentUnits; }
  constexpr int units() const { return step.terms * step.vectors; }
  constexpr int segments() const { return step.terms * term_segments(); }

  // In floats.
  constexpr int64_t plane_floats() const {
    return tiles() * step.blocks * units() * pieces * 32 * 4;
  }
  constexpr int64_t unscale_floats() const {
    return tiles() * step.blocks * segments() * kTileRows;
  }
};

// x of every row and term, split into planes and unscale.
void LaunchSplit(Runtime& runtime, Element type, const TensorArgs& args);

// Whether two steps that read the same x have the same planes.
inline bool SplitAlike(const ContractArgs& a, const ContractArgs& b) {
  return a.terms <= kNearTerms && a.terms == b.terms && a.depth == b.depth &&
         a.blocks == b.blocks && a.groups == b.groups && a.rows == b.rows &&
         std::equal(a.near_sources, a.near_sources + a.terms, b.near_sources);
}

// The step, from its planes, for few rows and for many. Both have the same bits.
void LaunchTensorStream(Runtime& runtime, Element type, const TensorArgs& args);
void LaunchTensorTile(Runtime& runtime, Element type, const TensorArgs& args);

inline void LaunchTensor(Runtime& runtime, Element type, const TensorArgs& args) {
  if (args.step.row_groups() <= 64) {
    LaunchTensorStream(runtime, type, args);
  } else {
    LaunchTensorTile(runtime, type, args);
  }
}

}  // namespace dyad::kernels::cuda
