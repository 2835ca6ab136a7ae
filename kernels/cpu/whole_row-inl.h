// Rows of floats as whole numbers (kernels/integer.h). Compiled once per target.
#include "kernels/cpu/vector-inl.h"

#if defined(DYAD_KERNELS_CPU_WHOLE_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_WHOLE_ROW_INL_H_
#undef DYAD_KERNELS_CPU_WHOLE_ROW_INL_H_
#else
#define DYAD_KERNELS_CPU_WHOLE_ROW_INL_H_
#endif

#include <algorithm>
#include <bit>

#include "kernels/integer.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// The bits of max |x|, compared as whole numbers.
inline uint32_t LargestBits(const float* x, int64_t count) {
  uint32_t most = 0;
  int64_t i = 0;
  if constexpr (kLanes > 1) {
    constexpr int kChains = 4;  // hide the latency of a maximum
    const IntVec magnitude = hn::Set(IntTag(), 0x7fffffff);
    IntVec largest[kChains];
    for (IntVec& chain : largest) chain = hn::Zero(IntTag());
    for (; i + kChains * kLanes <= count; i += kChains * kLanes) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) {
        const IntVec bits = hn::BitCast(IntTag(), Load(x + i + c * kLanes));
        largest[c] = hn::Max(largest[c], hn::And(bits, magnitude));
      }
    }
    for (; i + kLanes <= count; i += kLanes) {
      largest[0] = hn::Max(largest[0], hn::And(hn::BitCast(IntTag(), Load(x + i)), magnitude));
    }
    const IntVec joined = hn::Max(hn::Max(largest[0], largest[1]), hn::Max(largest[2], largest[3]));
    most = static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(IntTag(), joined)));
  }
  for (; i < count; ++i) most = std::max(most, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  return most;
}

// q of a row. Whole: int16_t, or int32_t for 24 bits.
template <typename Whole>
void MakeWhole(Arithmetic arithmetic, const float* x, int64_t count, float multiplier, Whole* q) {
  if (multiplier == 0) {
    std::fill_n(q, count, Whole{0});
    return;
  }
  int64_t i = 0;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(Whole) == 4) {
    const IntVec largest = hn::Set(IntTag(), LargestWhole(arithmetic));
    for (; i + kLanes <= count; i += kLanes) {
      const IntVec whole = hn::NearestInt(hn::Mul(Load(x + i), Set(multiplier)));
      hn::StoreU(hn::Min(whole, largest), IntTag(), q + i);
    }
  } else {
    // What is added leaves the nearest whole number in the low 16 bits, ties to even. Cutting
    // before rounding gives the same as after it.
    const hn::Repartition<int16_t, FloatTag> words;
    const Vec largest = Set(static_cast<float>(LargestWhole(arithmetic)));
    const auto rounded = [&](const float* from) HWY_ATTR {
      const Vec cut = hn::Min(hn::Mul(Load(from), Set(multiplier)), largest);
      return hn::BitCast(words, hn::Add(cut, Set(0x1.8p23f)));
    };
    for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
      const auto low = rounded(x + i), high = rounded(x + i + kLanes);
      hn::StoreU(hn::ConcatEven(words, high, low), words, q + i);
    }
  }
#endif
  for (; i < count; ++i) {
    q[i] = static_cast<Whole>(ToWhole(arithmetic, x[i], multiplier));
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_WHOLE_ROW_INL_H_
