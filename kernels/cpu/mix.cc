// Mix: lanes over k, some rows at once so that weights are read once for them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/mix.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>
#include <cmath>

#include "kernels/cpu/mix.h"
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

// The sums at `k` of some rows, and of the lanes after it.
template <int kRows>
HWY_INLINE void MixLanes(const MixJob& job, const float* weights, int64_t first_row, int64_t k,
                         float* y) {
  const int64_t width = job.mix->width;
  const bool assign = job.mix->combine == Combine::kAssign;
  Vec sum[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sum[r] = assign ? Zero() : Load(y + r * job.y.stride + k);
  const float* x = job.x.data + first_row * job.x.stride + k;
  for (int64_t j = 0; j < job.mix->from; ++j) {
    const Vec weight = Load(weights + j * width + k);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sum[r] = Fma(Load(x + r * job.x.stride + j * width), weight, sum[r]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) Store(sum[r], y + r * job.y.stride + k);
}

// One sum after the other, for what does not fill a vector.
template <int kRows>
void MixRest(const MixJob& job, const float* weights, int64_t first_row, int64_t first_k,
             float* y) {
  const int64_t width = job.mix->width;
  for (int r = 0; r < kRows; ++r) {
    const float* x = job.x.data + (first_row + r) * job.x.stride;
    for (int64_t k = first_k; k < width; ++k) {
      float sum = job.mix->combine == Combine::kAssign ? 0.0f : y[r * job.y.stride + k];
      for (int64_t j = 0; j < job.mix->from; ++j) {
        sum = std::fma(x[j * width + k], weights[j * width + k], sum);
      }
      y[r * job.y.stride + k] = sum;
    }
  }
}

template <int kRows>
void MixRows(const MixJob& job, int64_t i, int64_t first_row) {
  const PackedMix& mix = *job.mix;
  const float* weights = mix.weights.as<const float>() + i * mix.from * mix.width;
  float* y = job.y.data + first_row * job.y.stride + i * mix.width;
  const int64_t whole = mix.width / kLanes * kLanes;
  for (int64_t k = 0; k < whole; k += kLanes) MixLanes<kRows>(job, weights, first_row, k, y);
  if (whole == mix.width) return;
  if (whole > 0 && mix.combine == Combine::kAssign) {
    // The last vector overlaps, and writes the same sums once more.
    return MixLanes<kRows>(job, weights, first_row, mix.width - kLanes, y);
  }
  MixRest<kRows>(job, weights, first_row, whole, y);
}

// --- Mixed while they are packed ---

// Features [first, first + count) of some neighbouring blocks, for a tile of rows:
// z[block][row][count].
struct MixPart {
  const MixJob* job;
  int64_t block;
  RowTile rows;
  int64_t first;
  int64_t count;
  float* z;

  const float* x(int64_t row) const {
    return job->x.data + (rows.first + row) * job->x.stride + first;
  }
  // Of block b of these and source block j.
  const float* weights(int64_t b, int64_t j) const {
    const PackedMix& mix = *job->mix;
    return mix.weights.as<const float>() + ((block + b) * mix.from + j) * mix.width + first;
  }
  float* sums(int64_t b, int64_t row) const { return z + (b * kRowTile + row) * count; }
};

template <int kRows, int kBlocks>
HWY_INLINE void MixTogether(const MixPart& part, int64_t row, int64_t k) {
  Vec sum[kBlocks][kRows];
#pragma GCC unroll 16
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sum[b][r] = Zero();
  }
  const int64_t width = part.job->mix->width, block_step = part.job->mix->from * width;
  const int64_t stride = part.job->x.stride;
  const float* x = part.x(row) + k;
  const float* weights = part.weights(0, 0) + k;
  for (int64_t j = 0; j < part.job->mix->from; ++j, x += width, weights += width) {
    Vec value[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) value[r] = Load(x + r * stride);
#pragma GCC unroll 16
    for (int b = 0; b < kBlocks; ++b) {
      const Vec weight = Load(weights + b * block_step);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sum[b][r] = Fma(value[r], weight, sum[b][r]);
    }
  }
#pragma GCC unroll 16
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) Store(sum[b][r], part.sums(b, row + r) + k);
  }
}

template <int kMaxRows, int kBlocks>
HWY_INLINE void MixExactly(const MixPart& part, RowTile rows) {
  if (rows.count == kMaxRows) {
    const int64_t whole = part.count / kLanes * kLanes;
    for (int64_t k = 0; k < whole; k += kLanes) {
      MixTogether<kMaxRows, kBlocks>(part, rows.first, k);
    }
    if (whole > 0 && whole < part.count) {  // the last vector overlaps
      MixTogether<kMaxRows, kBlocks>(part, rows.first, part.count - kLanes);
    }
  } else if constexpr (kMaxRows > 1) {
    MixExactly<kMaxRows - 1, kBlocks>(part, rows);
  }
}

// One sum after the other, for blocks that do not fill a vector.
void MixOneByOne(const MixPart& part, int64_t blocks) {
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < part.rows.count; ++r) {
      for (int64_t k = 0; k < part.count; ++k) {
        float sum = 0;
        for (int64_t j = 0; j < part.job->mix->from; ++j) {
          sum = std::fma(part.x(r)[j * part.job->mix->width + k], part.weights(b, j)[k], sum);
        }
        part.sums(b, r)[k] = sum;
      }
    }
  }
}

// As many rows at once as registers allow, with four blocks.
constexpr int kMixedRows = kLanes == 16 ? 6 : kLanes == 1 ? 1 : 2;

template <int kBlocks>
void MixTile(const MixPart& part) {
  if (part.count < kLanes) return MixOneByOne(part, kBlocks);
  const int64_t parts = RowTileCount(part.rows.count, kMixedRows);
  for (int64_t i = 0; i < parts; ++i) {
    MixExactly<kMixedRows, kBlocks>(part, RowTileAt(part.rows.count, i, kMixedRows));
  }
}

}  // namespace

void PackMixedRowsOnTarget(const MixJob& job, BlockRange all, BlockRange blocks, RowTile rows,
                           float* packed) {
  constexpr int64_t kFeatures = 64;  // so that z stays in the first cache
  alignas(64) float z[kMixedBlocks * kRowTile * kFeatures];
  const int64_t width = job.mix->width;
  // Of few rows the weights come from memory, and are read as they lie there: block by block.
  const bool few = rows.count * width <= std::ssize(z) && rows.count <= kMixedBlocks;
  const Range range = {0, few ? width : std::min(kFeatures, width)};
  packed += (rows.first * all.count + rows.count * (blocks.first - all.first)) * width;
  for (int64_t b = 0; b < blocks.count;) {
    const int64_t together = !few && blocks.count - b >= kMixedBlocks ? kMixedBlocks : 1;
    for (int64_t next = 0; next < width; next += range.count) {
      const int64_t first = std::min(next, width - range.count);  // the last ones overlap
      const MixPart part = {&job, blocks.first + b, rows, first, range.count, z};
      together == kMixedBlocks ? MixTile<kMixedBlocks>(part) : MixTile<1>(part);
      for (int64_t i = 0; i < together; ++i) {
        PackRanges({&range, 1}, {part.sums(i, 0), range.count}, rows.count,
                   packed + ((b + i) * width + first) * rows.count);
      }
    }
    b += together;
  }
}

void MixBlockOnTarget(const MixJob& job, int64_t i) {
  constexpr int kTogether = 8;
  int64_t row = 0;
  for (; row + kTogether <= job.tokens; row += kTogether) MixRows<kTogether>(job, i, row);
  for (; row < job.tokens; ++row) MixRows<1>(job, i, row);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(MixBlockOnTarget);
HWY_EXPORT(PackMixedRowsOnTarget);

void MixBlock(const MixJob& job, int64_t i) { HWY_DYNAMIC_DISPATCH(MixBlockOnTarget)(job, i); }

void PackMixedRows(const MixJob& job, BlockRange all, BlockRange blocks, RowTile rows,
                   float* packed) {
  HWY_DYNAMIC_DISPATCH(PackMixedRowsOnTarget)(job, all, blocks, rows, packed);
}

PackedMix PackMix(const Mix& step) {
  PackedMix mix;
  mix.from = step.from;
  mix.to = step.to;
  mix.width = step.width;
  mix.weights = AlignedBuffer::Kept(mix.multiply_adds() * static_cast<int64_t>(sizeof(float)));
  auto* to = mix.weights.as<float>();
  const auto* from = static_cast<const float*>(step.weights.data);
  for (int64_t i = 0; i < step.to; ++i) {
    for (int64_t j = 0; j < step.from; ++j) {
      for (int64_t k = 0; k < step.width; ++k) {
        *to++ = from[k * step.weights.block + i * step.weights.output + j * step.weights.depth];
      }
    }
  }
  return mix;
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
