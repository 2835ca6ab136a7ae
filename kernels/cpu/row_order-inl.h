// The numbers of a row of a buffer in the order in which a contraction reads them: row group by row
// group, block by block, term by term, k by k. Compiled once per target.
#include "kernels/cpu/vector-inl.h"

#if defined(DYAD_KERNELS_CPU_ROW_ORDER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_ROW_ORDER_INL_H_
#undef DYAD_KERNELS_CPU_ROW_ORDER_INL_H_
#else
#define DYAD_KERNELS_CPU_ROW_ORDER_INL_H_
#endif

#include <type_traits>

#include "kernels/cpu/operands.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// Where they go: strides in bytes.
struct OrderedPlace {
  uint8_t* data;   // of the first row group's first block
  int64_t stride;  // from row group to row group
  int64_t block_stride;
  int64_t term_stride;
};

// to[b][k] = q[k · blocks + b], of numbers of 16 or 32 bits.
template <typename Number>
void Deinterleave(const Number* q, int64_t blocks, int64_t depth, Number* to) {
  int64_t k = 0;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const hn::Repartition<Number, FloatTag> tag;
  constexpr auto kCount = static_cast<int64_t>(64 / (16 / kLanes) / sizeof(Number));
  if (blocks == 4) {
    for (; k + kCount <= depth; k += kCount) {
      auto a = hn::Zero(tag), b = a, c = a, d = a;
      hn::LoadInterleaved4(tag, q + 4 * k, a, b, c, d);
      hn::StoreU(a, tag, to + k);
      hn::StoreU(b, tag, to + depth + k);
      hn::StoreU(c, tag, to + 2 * depth + k);
      hn::StoreU(d, tag, to + 3 * depth + k);
    }
  } else if (blocks == 8) {
    // Pairs of neighbouring blocks first, then the two of a pair.
    using Pair = std::conditional_t<sizeof(Number) == 2, uint32_t, uint64_t>;
    const hn::Repartition<Pair, FloatTag> pairs;
    for (; k + kCount <= depth; k += kCount) {
      auto low0 = hn::Zero(pairs), low1 = low0, low2 = low0, low3 = low0;
      auto high0 = low0, high1 = low0, high2 = low0, high3 = low0;
      const auto* from = reinterpret_cast<const Pair*>(q + 8 * k);
      hn::LoadInterleaved4(pairs, from, low0, low1, low2, low3);
      hn::LoadInterleaved4(pairs, from + 2 * kCount, high0, high1, high2, high3);
      const auto put = [&](int64_t block, auto low, auto high) HWY_ATTR {
        const auto first = hn::BitCast(tag, low), second = hn::BitCast(tag, high);
        hn::StoreU(hn::ConcatEven(tag, second, first), tag, to + block * depth + k);
        hn::StoreU(hn::ConcatOdd(tag, second, first), tag, to + (block + 1) * depth + k);
      };
      put(0, low0, high0);
      put(2, low1, high1);
      put(4, low2, high2);
      put(6, low3, high3);
    }
  }
#endif
  for (; k < depth; ++k) {
    for (int64_t b = 0; b < blocks; ++b) to[b * depth + k] = q[k * blocks + b];
  }
}

// put(numbers, to) for each row group, block and term: its `term_depth` numbers, 0 where they are
// ragged, in the order of k. `room`: for the larger of a row and a term.
template <typename Number, typename Put>
void PutInOrder(const PackedContraction& contraction, const Number* row, Number* room,
                const OrderedPlace& place, Put put) {
  const int64_t width = contraction.source_width, depth = contraction.term_depth;
  uint8_t* of_term = place.data;
  for (const View& view : contraction.sources) {
    const bool all_blocks =
        view == View{.offset = 0, .block = 1, .group = view.group, .stride = contraction.blocks} &&
        contraction.groups == 1 && contraction.blocks * depth <= width;
    if (all_blocks) Deinterleave(row, contraction.blocks, depth, room);
    for (int64_t group = 0; group < contraction.groups; ++group) {
      for (int64_t b = 0; b < contraction.blocks; ++b) {
        const int64_t first = view.At(b, group, 0), last = first + (depth - 1) * view.stride;
        const Number* from = room;
        if (all_blocks) {
          from = room + b * depth;
        } else if (view.stride == 1 && last < width) {
          from = row + first;
        } else {
          for (int64_t k = 0; k < depth; ++k) {
            const int64_t feature = first + k * view.stride;
            room[k] = feature < width ? row[feature] : Number{0};
          }
        }
        put(from, of_term + group * place.stride + b * place.block_stride);
      }
    }
    of_term += place.term_stride;
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_ROW_ORDER_INL_H_
