// The step Mix of a plan (kernels/plan.h) on packed weights.
#pragma once

#include <cstdint>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/cpu/contraction.h"
#include "kernels/epilogue.h"
#include "kernels/plan.h"

namespace dyad::kernels {

struct PackedMix {
  int64_t from = 0;
  int64_t to = 0;
  int64_t width = 0;
  Combine combine = Combine::kAssign;
  AlignedBuffer weights;  // [i][j][k]

  int64_t multiply_adds() const { return from * to * width; }
};
PackedMix PackMix(const Mix& step);

// Output block i for all rows: y[t, i · width + k] = or += Σ_j w[i, j, k] · x[t, j · width + k].
struct MixJob {
  const PackedMix* mix = nullptr;
  int64_t tokens = 0;
  ConstRows x;
  Rows y;
};
void MixBlock(const MixJob& job, int64_t i);

}  // namespace dyad::kernels
