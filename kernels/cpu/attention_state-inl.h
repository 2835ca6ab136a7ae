// What attention gathers for a tile of queries, and its softmax over a group of 64 keys. Compiled
// once per target.
#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/reduce-inl.h"

#if defined(DYAD_KERNELS_CPU_ATTENTION_STATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_ATTENTION_STATE_INL_H_
#undef DYAD_KERNELS_CPU_ATTENTION_STATE_INL_H_
#else
#define DYAD_KERNELS_CPU_ATTENTION_STATE_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/attention_work.h"
#include "kernels/cpu/even_parts.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

static_assert(kQueryRows % kLanes == 0);

// What a tile of queries of one head has gathered so far, and room to work in.
struct QueryState {
  const float* queries = nullptr;  // [rows][head_size], rotated
  int64_t query_stride = 0;
  float* scores = nullptr;  // [rows][64]; then the weights e^(score - maximum)
  float* sums = nullptr;    // [rows][padded head_size], Σ weight · value
  int64_t rows = 0;
  // By row. The last: what the sums must still be multiplied with.
  float maximum[kQueryRows];
  float weight_sum[kQueryRows] = {};
  float rescale[kQueryRows];
  // Of int8: queries, and the weights of a group times their values' scales, as whole numbers.
  QuadForm form = QuadForm::kWords;
  uint8_t* quads = nullptr;  // [rows][quad_stride]
  int64_t quad_stride = 0;
  uint8_t* weight_quads = nullptr;  // [rows][64 · 2]
  float units[kQueryRows];          // by row, as the following ones
  int32_t high_sums[kQueryRows];    // Σ of the upper halves of a query
  float weight_units[kQueryRows];
};

// The keys of the group that row `rows` − 1 sees; the one before it sees one key less.
inline int64_t SeenKeys(int64_t visible, int64_t rows) {
  return std::clamp<int64_t>(visible + rows - 1, 0, kSoftmaxKeys);
}

// What one head has in the pages of a group of 64 keys.
template <typename Kv>
struct HeadPages {
  const Kv* keys[kSoftmaxPages];
  const Kv* values[kSoftmaxPages];
  const Kv* next_keys[kSoftmaxPages];  // of the next group
  int64_t pages = 0, next_pages = 0;
};

// While a part of the rows is multiplied, a part of what they all need next comes to the first
// cache. One row alone is done before that would help.
template <typename Kv>
void PrefetchPart(const Kv* const* pages, int64_t count, int64_t page_bytes, int64_t part,
                  int64_t parts) {
  if (parts == 1) return;
  const Part bytes = PartAt(page_bytes, parts, part);
  for (int64_t p = 0; p < count; ++p) {
    const char* first = reinterpret_cast<const char*>(pages[p]) + bytes.first;
    for (int64_t byte = 0; byte < bytes.count; byte += 64) __builtin_prefetch(first + byte);
  }
}

// Scales the scores of a row; -infinity for keys after the first `keys`. Returns the largest.
inline float ScaleRow(const AttentionWork& work, float* scores, int64_t keys) {
  const Vec scale = Set(work.shape.scale);
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  Group largest = SetGroup(kNothing);
  for (int64_t i = 0; i < keys; i += kGroup) {
    Group scaled = LoadGroup(scores + i);
#pragma GCC unroll 16
    for (Vec& part : scaled.part) part = hn::Mul(part, scale);
    StoreGroup(scaled, scores + i);
    if (i + kGroup > keys) {
      std::fill(scores + keys, scores + i + kGroup, kNothing);
      scaled = LoadGroup(scores + i);
    }
    MaxInto(largest, scaled);
  }
  return MaxOf(largest);
}

// Turns scores into weights, e^(score - maximum). Returns their sum.
inline float WeighRow(float* scores, int64_t keys, float maximum) {
  const Vec shift = Set(maximum);
  Group total = SetGroup(0.0f);
  for (int64_t i = 0; i < keys; i += kGroup) {
    const Group weights = ExpMinus(LoadGroup(scores + i), shift);
    AddInto(total, weights);
    StoreGroup(weights, scores + i);
  }
  return SumOf(total);
}

// Turns the scores of all rows into weights and says how what came before is rescaled: by 1 for a
// row that sees no key of the group.
inline void SoftmaxStep(const AttentionWork& work, int64_t visible, QueryState& state) {
  float maximum[kQueryRows], total[kQueryRows] = {};
  std::copy_n(state.maximum, kQueryRows, maximum);
  const int64_t first = std::max<int64_t>(0, 1 - visible);  // row that sees a key
  for (int64_t r = first; r < state.rows; ++r) {
    float* scores = state.scores + r * kSoftmaxKeys;
    maximum[r] = std::max(maximum[r], ScaleRow(work, scores, SeenKeys(visible, r + 1)));
  }
  for (int64_t r = first; r < state.rows; ++r) {
    float* scores = state.scores + r * kSoftmaxKeys;
    total[r] = WeighRow(scores, SeenKeys(visible, r + 1), maximum[r]);
  }
  for (int64_t r = 0; r < state.rows; r += kLanes) {
    const Vec now = Load(maximum + r);
    const Vec rescale = ExpOfNegative(hn::Sub(Load(state.maximum + r), now));
    Store(rescale, state.rescale + r);
    Store(Fma(Load(state.weight_sum + r), rescale, Load(total + r)), state.weight_sum + r);
    Store(now, state.maximum + r);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_ATTENTION_STATE_INL_H_
