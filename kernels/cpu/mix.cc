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

}  // namespace

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

void MixBlock(const MixJob& job, int64_t i) { HWY_DYNAMIC_DISPATCH(MixBlockOnTarget)(job, i); }

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
