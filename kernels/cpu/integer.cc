// Rows of whole numbers, made on each run: the layout is in kernels/cpu/integer.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/integer.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>
#include <cstring>

#include "kernels/cpu/integer.h"
#include "kernels/cpu/row_order-inl.h"
#include "kernels/cpu/whole_row-inl.h"
#include "kernels/integer.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

// One quad in its form.
template <typename Whole>
void PutQuad(const Whole* q, Arithmetic arithmetic, RowForm form, uint8_t* to) {
  if (form == RowForm::kWords) {
    if constexpr (sizeof(Whole) == 2) {
      std::memcpy(to, q, 8);
    } else {
      int16_t words[8];
      for (int k = 0; k < 4; ++k) {
        words[k] = static_cast<int16_t>(q[k] >> 8);
        words[4 + k] = static_cast<int16_t>(q[k] & 255);
      }
      std::memcpy(to, words, 16);
    }
    return;
  }
  const int pieces = PiecesOf(arithmetic);
  for (int k = 0; k < 4; ++k) {
    const auto shifted = static_cast<uint32_t>(q[k] + (128 << (8 * (pieces - 1))));
    for (int piece = 0; piece < pieces; ++piece) {
      to[4 * piece + k] = static_cast<uint8_t>(shifted >> (8 * (pieces - 1 - piece)));
    }
  }
}

// Whole quads in vectors; how many numbers that were.
template <typename Whole>
int64_t PutVectors(const Whole* q, int64_t count, [[maybe_unused]] Arithmetic arithmetic,
                   RowForm form, uint8_t* to) {
  const int64_t whole_quads = count / 4 * 4;
  if (form == RowForm::kWords) {
    if constexpr (sizeof(Whole) == 4) return 0;
    std::memcpy(to, q, static_cast<size_t>(whole_quads) * 2);
    return whole_quads;
  }
  int64_t i = 0;
#if HWY_TARGET == HWY_AVX3
  if constexpr (sizeof(Whole) == 4) {
    alignas(16) static constexpr uint8_t kOrder[16] = {2, 6, 10, 14, 1, 5, 9,  13,
                                                       0, 4, 8,  12, 3, 7, 11, 15};
    const hn::Repartition<uint8_t, FloatTag> bytes;
    const auto order = hn::LoadDup128(bytes, kOrder);
    for (; i + kLanes <= count; i += kLanes) {
      const IntVec shifted = hn::Add(hn::LoadU(IntTag(), q + i), hn::Set(IntTag(), 1 << 23));
      hn::StoreU(hn::TableLookupBytes(hn::BitCast(bytes, shifted), order), bytes, to + 4 * i);
    }
    return i;
  } else {
    const hn::Repartition<int16_t, FloatTag> words;
    constexpr int64_t kWords = 2 * kLanes;
    if (arithmetic == Arithmetic::kInteger8) {
      const hn::Rebind<uint8_t, decltype(words)> bytes;
      for (; i + kWords <= count; i += kWords) {
        const auto shifted = hn::Add(hn::LoadU(words, q + i), hn::Set(words, 128));
        hn::StoreU(hn::DemoteTo(bytes, shifted), bytes, to + i);
      }
      return i;
    }
    alignas(16) static constexpr uint8_t kOrder[16] = {1, 3,  5,  7,  0, 2,  4,  6,
                                                       9, 11, 13, 15, 8, 10, 12, 14};
    const hn::Repartition<uint8_t, FloatTag> bytes;
    const auto order = hn::LoadDup128(bytes, kOrder);
    for (; i + kWords <= count; i += kWords) {
      const auto shifted = hn::Xor(hn::LoadU(words, q + i), hn::Set(words, -32768));
      hn::StoreU(hn::TableLookupBytes(hn::BitCast(bytes, shifted), order), bytes, to + 2 * i);
    }
  }
#endif
  return i;
}

// A block's part of a term, k by k; the last quad ends with zeros.
template <typename Whole>
void PutTerm(const Whole* q, int64_t depth, Arithmetic arithmetic, RowForm form, uint8_t* to) {
  const int64_t bytes = QuadBytes(arithmetic, form);
  int64_t k = PutVectors(q, depth, arithmetic, form, to);
  for (; k + 4 <= depth; k += 4) PutQuad(q + k, arithmetic, form, to + k / 4 * bytes);
  if (k == depth) return;
  Whole rest[4] = {};
  std::copy(q + k, q + depth, rest);
  PutQuad(rest, arithmetic, form, to + k / 4 * bytes);
}

template <typename Whole>
float PackRowAs(const RowToPack& row) {
  const PackedContraction& contraction = *row.contraction;
  const int64_t width = contraction.source_width, depth = contraction.term_depth;
  const RowUnit unit = UnitOf(row.arithmetic, LargestBits(row.x, width));
  auto* const q = reinterpret_cast<Whole*>(row.room);
  Whole* const room = q + width;
  MakeWhole(row.arithmetic, row.x, width, unit.multiplier, q);
  const int64_t bytes = QuadBytes(row.arithmetic, row.form);
  const auto put = [&](const Whole* from, uint8_t* to) {
    PutTerm(from, depth, row.arithmetic, row.form, to);
  };
  PutInOrder(contraction, q, room,
             {.data = row.to,
              .stride = row.stride,
              .block_stride = contraction.quads() * bytes,
              .term_stride = (depth + 3) / 4 * bytes},
             put);
  return unit.unit;
}

}  // namespace

float PackIntegerRowOnTarget(const RowToPack& row) {
  return row.arithmetic == Arithmetic::kInteger24 ? PackRowAs<int32_t>(row)
                                                  : PackRowAs<int16_t>(row);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(PackIntegerRowOnTarget);

float PackIntegerRow(const RowToPack& row) {
  return HWY_DYNAMIC_DISPATCH(PackIntegerRowOnTarget)(row);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
