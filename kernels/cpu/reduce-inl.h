// Sums and maxima whose order does not depend on the target: 16 lanes side by side, then a fixed
// tree. Compiled once per target.
#include "kernels/cpu/math-inl.h"

#if defined(DYAD_KERNELS_CPU_REDUCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_REDUCE_INL_H_
#undef DYAD_KERNELS_CPU_REDUCE_INL_H_
#else
#define DYAD_KERNELS_CPU_REDUCE_INL_H_
#endif

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
// e^(x − shift) of each. REQUIRES: no x above shift.
HWY_INLINE Group ExpMinus(const Group& group, Vec shift) {
  Group result;
#pragma GCC unroll 16
  for (int v = 0; v < kGroupVectors; ++v) {
    result.part[v] = ExpOfNegative(hn::Sub(group.part[v], shift));
  }
  return result;
}

struct Larger {
  template <typename V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Max(a, b);
  }
};
struct Plus {
  template <typename V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Add(a, b);
  }
};

// Halves folded onto each other until one number is left: ((0 ∘ 8) ∘ (4 ∘ 12)) ∘ ...
template <typename Join, typename Tag>
HWY_INLINE float FoldVector([[maybe_unused]] Tag tag, hn::Vec<Tag> v) {
  [[maybe_unused]] const Join join;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(tag) > 4) {
    const hn::Half<Tag> half;
    return FoldVector<Join>(half, join(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    v = join(v, hn::Shuffle1032(v));
    v = join(v, hn::Shuffle2301(v));
  }
#endif
  return hn::GetLane(v);
}
template <typename Join>
HWY_INLINE float Fold(Group group) {
  const Join join;
  for (int parts = kGroupVectors / 2; parts > 0; parts /= 2) {
#pragma GCC unroll 16
    for (int v = 0; v < parts; ++v) group.part[v] = join(group.part[v], group.part[v + parts]);
  }
  return FoldVector<Join>(FloatTag(), group.part[0]);
}
HWY_INLINE float MaxOf(const Group& group) { return Fold<Larger>(group); }
HWY_INLINE float SumOf(const Group& group) { return Fold<Plus>(group); }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_REDUCE_INL_H_
