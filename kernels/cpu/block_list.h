// The step BlockList of a plan (kernels/plan.h): each place is a contraction of one panel, whose
// rows are packed by ranges.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/plan.h"

namespace dyad::kernels {

struct PackedPlace {
  PackedContraction contraction;
  std::vector<Range> ranges;
};
struct PackedBlockList {
  std::vector<PackedPlace> places;

  void SetCombine(Combine combine);
  int64_t weight_bytes() const;
  int64_t multiply_adds() const;  // of a row, panels padded
};
PackedBlockList PackBlockList(const BlockList& step, const Plan& plan);

// All rows for one place. Scratch: kRows, kPanel.
void RunPlace(const PackedPlace& place, int64_t tokens, ConstRows x, Rows y, Scratch& scratch);

}  // namespace dyad::kernels
