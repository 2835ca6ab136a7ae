// Sums and maxima whose order does not depend on the target: 16 lanes side by side, then a fixed
// tree. Compiled once per target.
#include "kernels/cpu/math-inl.h"

#if defined(DYAD_KERNELS_CPU_REDUCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_REDUCE_INL_H_
#undef DYAD_KERNELS_CPU_REDUCE_INL_H_
#else
#define DYAD_KERNELS_CPU_REDUCE_INL_H_
#endif

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// 16 floats, as many vectors as that takes.
struct Group {
  Vec part[kGroupVectors];
};

HWY_INLINE Group LoadGroup(const float* p) {
  Group group;
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) group.part[v] = Load(p + v * kLanes);
  return group;
}
HWY_INLINE void StoreGroup(const Group& group, float* p) {
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) Store(group.part[v], p + v * kLanes);
}
HWY_INLINE Group SetGroup(float value) {
  Group group;
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) group.part[v] = Set(value);
  return group;
}
HWY_INLINE void MaxInto(Group& group, const Group& other) {
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) group.part[v] = hn::Max(group.part[v], other.part[v]);
}
HWY_INLINE void AddInto(Group& group, const Group& other) {
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) group.part[v] = hn::Add(group.part[v], other.part[v]);
}
HWY_INLINE Group ExpMinus(const Group& group, Vec shift) {
  Group result;
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) result.part[v] = Exp(hn::Sub(group.part[v], shift));
  return result;
}

HWY_INLINE float MaxOf(const Group& group) {
  alignas(64) float lanes[kGroup];
  StoreGroup(group, lanes);
  return *std::max_element(lanes, lanes + kGroup);
}
// ((0+8)+(4+12)) + ... : halves folded onto each other.
HWY_INLINE float SumOf(const Group& group) {
  alignas(64) float lanes[kGroup];
  StoreGroup(group, lanes);
#pragma GCC unroll 4
  for (int64_t width = kGroup / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_REDUCE_INL_H_
