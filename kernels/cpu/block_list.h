// The step BlockList of a plan (kernels/plan.h): each place is a contraction of one panel. Rows are
// packed once, whole; places copy their ranges from there, since many read the same features.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/plan.h"

namespace dyad::kernels {

struct PackedPlace {
  PackedContraction contraction;
  std::vector<Range> ranges;
};
struct PackedBlockList {
  std::vector<PackedPlace> places;
  int64_t source_width = 0;

  void SetCombine(Combine combine);
  int64_t weight_bytes() const;
  int64_t multiply_adds() const;  // of a row, panels padded
};
PackedBlockList PackBlockList(const BlockList& step, const Plan& plan);

// y[t, …] = or += the list's sums of x[t, …]. Scratch: kRows and, of the workspace, kWhole.
void RunBlockList(const PackedBlockList& list, int64_t tokens, ConstRows x, Rows y,
                  Workspace& workspace);

}  // namespace dyad::kernels
