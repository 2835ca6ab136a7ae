// A float vector of the current target, with the one operation that every kernel is made of: a
// fused multiply-add that rounds once on every target. Compiled once per target; see linear-inl.h
// for use.
#include "kernels/cpu/targets.h"

#if defined(DYAD_KERNELS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_VECTOR_INL_H_
#undef DYAD_KERNELS_CPU_VECTOR_INL_H_
#else
#define DYAD_KERNELS_CPU_VECTOR_INL_H_
#endif

#include <cmath>
#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

#if HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4
#error \
    "kernels/cpu/targets.h must come before the headers of Highway: SSE has no fused multiply-add"
#endif

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using Vec = hn::Vec<FloatTag>;
using IntVec = hn::Vec<IntTag>;

inline constexpr int64_t kLanes = hn::MaxLanes(FloatTag());

// How many floats a kernel handles side by side whatever the target, so that sums over them have
// one order: 16 is one vector of AVX-512.
inline constexpr int64_t kGroup = 16;
inline constexpr int kGroupVectors = static_cast<int>(kGroup / kLanes);

HWY_INLINE Vec Load(const float* p) { return hn::LoadU(FloatTag(), p); }
HWY_INLINE void Store(Vec v, float* p) { hn::StoreU(v, FloatTag(), p); }
HWY_INLINE Vec Set(float value) { return hn::Set(FloatTag(), value); }
HWY_INLINE Vec Zero() { return hn::Zero(FloatTag()); }

// a · b + c, rounded once. Highway's emulated targets round twice, hence the branches.
HWY_INLINE Vec Fma(Vec a, Vec b, Vec c) {
#if HWY_TARGET == HWY_SCALAR
  return Vec(std::fma(a.raw, b.raw, c.raw));
#elif HWY_TARGET == HWY_EMU128
  for (int64_t i = 0; i < kLanes; ++i) c.raw[i] = std::fma(a.raw[i], b.raw[i], c.raw[i]);
  return c;
#else
  return hn::MulAdd(a, b, c);
#endif
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_VECTOR_INL_H_
