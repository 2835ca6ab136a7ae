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

// The same of a row tile for `blocks`, packed as a contraction reads them whose blocks are the
// mix's (kernels/cpu/operands.h): `packed` is the whole batch's buffer for the blocks `all`. y is
// not used. Those of kMixedBlocks are mixed at once. REQUIRES: combine is kAssign.
inline constexpr int64_t kMixedBlocks = 4;
void PackMixedRows(const MixJob& job, BlockRange all, BlockRange blocks, RowTile rows,
                   float* packed);

}  // namespace dyad::kernels
