// Rows of bfloat16, made on each run: the layout is in kernels/cpu/bfloat16.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/bfloat16.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/bfloat16.h"
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/row_order-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
// ToBfloat16Activation, in the high half of each lane.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<FloatTag>> Rounded(const float* x) {
  const hn::RebindToUnsigned<FloatTag> bits_tag;
  const auto bits = hn::BitCast(bits_tag, Load(x));
  const auto magnitude = hn::And(bits, hn::Set(bits_tag, 0x7fffffffu));
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(bits_tag, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(bits_tag, 0x7fffu)));
  const auto quiet = hn::Or(bits, hn::Set(bits_tag, 0x400000u));
  const auto is_nan = hn::Gt(magnitude, hn::Set(bits_tag, 0x7f800000u));
  const auto is_denormal = hn::Lt(magnitude, hn::Set(bits_tag, 0x800000u));
  const auto number = hn::IfThenElse(is_nan, quiet, rounded);
  return hn::IfThenElse(is_denormal, hn::Xor(bits, magnitude), number);
}
#endif

void RoundRow(const float* x, int64_t count, uint16_t* to) {
  int64_t i = 0;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const hn::Repartition<uint16_t, FloatTag> halves;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    const auto low = hn::BitCast(halves, Rounded(x + i));
    const auto high = hn::BitCast(halves, Rounded(x + i + kLanes));
    hn::StoreU(hn::ConcatOdd(halves, high, low), halves, to + i);
  }
#endif
  for (; i < count; ++i) to[i] = ToBfloat16Activation(x[i]);
}

// A block's part of a term; an odd last one gets a zero beside it.
void PutPairs(const uint16_t* numbers, int64_t depth, uint8_t* to) {
  std::memcpy(to, numbers, static_cast<size_t>(depth) * 2);
  if (depth % 2 != 0) std::memset(to + 2 * depth, 0, 2);
}
void PutFloats(const uint16_t* numbers, int64_t depth, uint8_t* to) {
  auto* const floats = reinterpret_cast<float*>(to);
  for (int64_t k = 0; k < depth; ++k) floats[k] = FromBfloat16(numbers[k]);
  if (depth % 2 != 0) floats[depth] = 0;
}

}  // namespace

void PackBfloat16RowOnTarget(const RowToPack& row) {
  const PackedContraction& contraction = *row.contraction;
  const int64_t width = contraction.source_width, depth = contraction.term_depth;
  auto* const rounded = reinterpret_cast<uint16_t*>(row.room);
  if (row.form == RowForm::kPairs) {
    RoundByInstruction(row.x, width, rounded);
  } else {
    RoundRow(row.x, width, rounded);
  }
  const int64_t bytes = PairBytes(row.form);
  const auto put = [&](const uint16_t* from, uint8_t* to) {
    if (row.form == RowForm::kPairs) return PutPairs(from, depth, to);
    PutFloats(from, depth, to);
  };
  PutInOrder(contraction, rounded, rounded + width,
             {.data = row.to,
              .stride = row.stride,
              .block_stride = contraction.pairs() * bytes,
              .term_stride = (depth + 1) / 2 * bytes},
             put);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(PackBfloat16RowOnTarget);

void PackBfloat16Row(const RowToPack& row) { HWY_DYNAMIC_DISPATCH(PackBfloat16RowOnTarget)(row); }

}  // namespace dyad::kernels
#endif  // HWY_ONCE
