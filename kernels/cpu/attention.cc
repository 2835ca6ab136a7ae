// Attention of a tile of queries over the pages of their sequence: online softmax in position
// order.
//
// Every 64 keys, at multiples of 64 positions whatever the chunk: scores, their maximum, rescale
// what was gathered before, add p · V key by key. A query's chain of operations is the same in a
// tile as alone.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cc"
#include "kernels/cpu/targets.h"
// Targets first, then the file that compiles this one for each of them.
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include <algorithm>
#include <limits>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/contraction-inl.h"
#include "kernels/cpu/reduce-inl.h"
#include "kernels/exact_math.h"
#include "kernels/float16.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

constexpr int kRowsAtOnce = kLanes == 1 ? 1 : static_cast<int>(kQueryRows);
constexpr int kValueVectors = kLanes >= 16 ? 4 : 2;  // of a value row, at once

void Put(float value, float* to) { *to = value; }
void Put(float value, hwy::bfloat16_t* to) { to->bits = ToBfloat16(value); }

// GPT-NeoX rotation of the leading dimensions, pairs (i, i + rotary_size / 2); the rest is copied.
template <typename To>
void Rotate(const AttentionWork& work, int64_t position, const float* from, To* to,
            int64_t to_stride) {
  const int64_t half = work.shape.rotary_size / 2;
  const float* cos = work.rotary.cos.data() + position * half;
  const float* sin = work.rotary.sin.data() + position * half;
  for (int64_t i = 0; i < half; ++i) {
    const exact::Point turned = exact::Rotate({from[i], from[i + half]}, cos[i], sin[i]);
    Put(turned.a, to + i * to_stride);
    Put(turned.b, to + (i + half) * to_stride);
  }
  for (int64_t i = 2 * half; i < work.shape.head_size; ++i) Put(from[i], to + i * to_stride);
}

// What a tile of queries of one head has gathered so far, and room to work in.
struct QueryState {
  float* queries = nullptr;  // [head_size][rows], rotated
  float* scores = nullptr;   // [rows][64]; then the weights e^(score - maximum)
  float* sums = nullptr;     // [rows][padded head_size], Σ weight · value
  int64_t rows = 0;
  float maximum[kQueryRows];
  float weight_sum[kQueryRows] = {};
};

// scores[r, key] = q_r · k_key for one page of keys.
template <typename Kv>
void Score(const AttentionWork& work, const Kv* keys, float* scores, const QueryState& state) {
  ContractRows<kRowsAtOnce, kGroupVectors, 1>(TileOperands<Kv>{.a = state.queries,
                                                               .a_step = state.rows,
                                                               .b = keys,
                                                               .b_step = kPageTokens,
                                                               .depth = work.shape.head_size,
                                                               .tile = scores,
                                                               .tile_stride = kSoftmaxKeys},
                                              state.rows);
}

// Turns the scores of row r into weights; only the first `keys` count. Rescales what came before.
void SoftmaxStep(const AttentionWork& work, int64_t r, int64_t keys, QueryState& state) {
  float* scores = state.scores + r * kSoftmaxKeys;
  const Vec scale = Set(work.shape.scale);
  for (int64_t i = 0; i < kSoftmaxKeys; i += kLanes) {
    Store(hn::Mul(Load(scores + i), scale), scores + i);
  }
  std::fill(scores + keys, scores + kSoftmaxKeys, -std::numeric_limits<float>::infinity());
  Group largest = LoadGroup(scores);
  for (int64_t i = kGroup; i < kSoftmaxKeys; i += kGroup) MaxInto(largest, LoadGroup(scores + i));
  const float maximum = std::max(state.maximum[r], MaxOf(largest));
  const Vec shift = Set(maximum);
  Group total = SetGroup(0.0f);
  for (int64_t i = 0; i < kSoftmaxKeys; i += kGroup) {
    const Group weights = ExpMinus(LoadGroup(scores + i), shift);
    AddInto(total, weights);
    StoreGroup(weights, scores + i);
  }
  const Vec rescale = Exp(hn::Sub(Set(state.maximum[r]), shift));
  state.weight_sum[r] = std::fma(state.weight_sum[r], hn::GetLane(rescale), SumOf(total));
  state.maximum[r] = maximum;
  float* sums = state.sums + r * PaddedHeadSize(work.shape);
  for (int64_t d = 0; d < PaddedHeadSize(work.shape); d += kLanes) {
    Store(hn::Mul(Load(sums + d), rescale), sums + d);
  }
}

// sums[r] += Σ_key weights[r, key] · values[key] for rows [first_row, first_row + rows) and `keys`
// keys of the group from first_key on, all in one page. Keys that a row must not see may hold
// anything, so they are left out rather than multiplied by a zero weight.
template <typename Kv>
void AddValues(const AttentionWork& work, const Kv* values, int64_t first_key, int64_t keys,
               int64_t first_row, int64_t rows, QueryState& state) {
  const int64_t width = PaddedHeadSize(work.shape);
  TileOperands<Kv> operands = {.a = state.scores + first_row * kSoftmaxKeys + first_key,
                               .a_step = 1,
                               .b = values + first_key % kPageTokens * width,
                               .b_step = width,
                               .depth = keys,
                               .tile = state.sums + first_row * width,
                               .tile_stride = width};
  int64_t done = 0;
  for (; done + kValueVectors * kLanes <= width; done += kValueVectors * kLanes) {
    ContractRows<kRowsAtOnce, kValueVectors, kSoftmaxKeys>(operands, rows);
    operands.b += kValueVectors * kLanes;
    operands.tile += kValueVectors * kLanes;
  }
  for (; done < width; done += kLanes) {
    ContractRows<kRowsAtOnce, 1, kSoftmaxKeys>(operands, rows);
    operands.b += kLanes;
    operands.tile += kLanes;
  }
}

// sums += weights · values of one page: keys [first_key, first_key + 16) of the group. Row r sees
// the first `visible` + r keys of the group.
template <typename Kv>
void AddPage(const AttentionWork& work, const Kv* values, int64_t first_key, int64_t visible,
             QueryState& state) {
  // All rows see the keys up to the first row's own; the few after that go row by row.
  const int64_t common = std::clamp<int64_t>(visible - first_key, 0, kPageTokens);
  if (common > 0) AddValues(work, values, first_key, common, 0, state.rows, state);
  if (common == kPageTokens) return;
  for (int64_t r = 1; r < state.rows; ++r) {
    const int64_t keys = std::clamp<int64_t>(visible + r - first_key, 0, kPageTokens) - common;
    if (keys > 0) AddValues(work, values, first_key + common, keys, r, 1, state);
  }
}

// One group of keys: [first_key, first_key + 64) of the sequence; row r sees those up to
// first_query + r. Page by page and head by head, the order in which they lie in memory.
template <typename Kv>
void AttendGroup(const AttentionWork& work, const AttentionChunk& chunk, int64_t first_key,
                 int64_t first_query, int64_t first_head, std::span<QueryState> heads) {
  const int64_t rows = heads.front().rows;
  const int64_t visible = first_query + 1 - first_key;  // to the first row; may be negative
  const int64_t keys = std::min(visible + rows - 1, kSoftmaxKeys);
  const int64_t pages = (keys + kPageTokens - 1) / kPageTokens;
  const auto of_group = work.step.pages.subspan(
      static_cast<size_t>(chunk.first_page + first_key / kPageTokens), static_cast<size_t>(pages));
  const PageView<Kv> view = {work.shape, work.kv};
  for (QueryState& head : heads) std::fill_n(head.scores, rows * kSoftmaxKeys, 0.0f);
  for (int64_t p = 0; p < pages; ++p) {
    for (size_t h = 0; h < heads.size(); ++h) {
      Score(work, view.keys(of_group[static_cast<size_t>(p)], first_head + static_cast<int64_t>(h)),
            heads[h].scores + p * kPageTokens, heads[h]);
    }
  }
  for (QueryState& head : heads) {
    for (int64_t r = std::max<int64_t>(0, 1 - visible); r < rows; ++r) {
      SoftmaxStep(work, r, std::min(visible + r, kSoftmaxKeys), head);
    }
  }
  for (int64_t p = 0; p < pages; ++p) {
    for (size_t h = 0; h < heads.size(); ++h) {
      AddPage(work,
              view.values(of_group[static_cast<size_t>(p)], first_head + static_cast<int64_t>(h)),
              p * kPageTokens, visible, heads[h]);
    }
  }
}

template <typename Kv>
void StoreRow(const AttentionWork& work, int64_t row, int64_t slot, int64_t head) {
  const PageView<Kv> view = {work.shape, work.kv};
  const int64_t page = slot / kPageTokens, place = slot % kPageTokens;
  const int64_t width = PaddedHeadSize(work.shape);
  const int64_t column = head * work.qkv.head_stride;
  Rotate(work, work.step.positions[static_cast<size_t>(row)],
         work.qkv.k.data + row * work.qkv.k.stride + column, view.keys(page, head) + place,
         kPageTokens);
  const float* v = work.qkv.v.data + row * work.qkv.v.stride + column;
  Kv* value = view.values(page, head) + place * width;
  for (int64_t d = 0; d < width; ++d) Put(d < work.shape.head_size ? v[d] : 0.0f, value + d);
}

template <typename Kv>
void StoreAs(const AttentionWork& work, int64_t head) {
  const std::span<const int64_t> slots = work.step.slots;
  for (size_t row = 0; row < slots.size(); ++row) {
    StoreRow<Kv>(work, static_cast<int64_t>(row), slots[row], head);
  }
  for (const ExtraStore& store : work.step.also) StoreRow<Kv>(work, store.row, store.slot, head);
}

}  // namespace

void StoreKeysAndValuesOnTarget(const AttentionWork& work, int64_t head) {
  switch (work.kv.type) {
    case KvType::kFloat32:
      return StoreAs<float>(work, head);
    case KvType::kBfloat16:
      return StoreAs<hwy::bfloat16_t>(work, head);
  }
}

void AttendTileOnTarget(const AttentionWork& work, const AttentionChunk& chunk, QueryTile tile,
                        Scratch& scratch) {
  const int64_t head_size = work.shape.head_size;
  const int64_t width = PaddedHeadSize(work.shape);
  const int64_t head_floats = tile.count * (2 * width + kSoftmaxKeys);
  auto* room = scratch.Get<float>(ScratchUse::kPartials,
                                  kTaskHeads * kQueryRows * (2 * width + kSoftmaxKeys));
  QueryState states[kTaskHeads];
  const std::span<QueryState> heads(states, static_cast<size_t>(tile.heads));
  const int64_t first_query = chunk.first_position + tile.first;
  const int64_t first_row = chunk.first_row + tile.first;
  for (int64_t h = 0; h < tile.heads; ++h, room += head_floats) {
    QueryState& state = heads[static_cast<size_t>(h)];
    state.rows = tile.count;
    state.scores = room;
    state.sums = room + tile.count * kSoftmaxKeys;
    state.queries = state.sums + tile.count * width;
    std::fill_n(state.maximum, kQueryRows, -std::numeric_limits<float>::infinity());
    std::fill_n(state.sums, tile.count * width, 0.0f);
    const int64_t column = (tile.first_head + h) * work.qkv.head_stride;
    for (int64_t r = 0; r < tile.count; ++r) {
      Rotate(work, first_query + r, work.qkv.q.data + (first_row + r) * work.qkv.q.stride + column,
             state.queries + r, tile.count);
    }
  }
  for (int64_t key = 0; key < first_query + tile.count; key += kSoftmaxKeys) {
    if (work.kv.type == KvType::kBfloat16) {
      AttendGroup<hwy::bfloat16_t>(work, chunk, key, first_query, tile.first_head, heads);
    } else {
      AttendGroup<float>(work, chunk, key, first_query, tile.first_head, heads);
    }
  }
  for (int64_t h = 0; h < tile.heads; ++h) {
    const QueryState& state = heads[static_cast<size_t>(h)];
    for (int64_t r = 0; r < tile.count; ++r) {
      float* out =
          work.out.data + (first_row + r) * work.out.stride + (tile.first_head + h) * head_size;
      for (int64_t d = 0; d < head_size; ++d) {
        out[d] = state.sums[r * width + d] / state.weight_sum[r];
      }
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dyad::kernels {

HWY_EXPORT(StoreKeysAndValuesOnTarget);
HWY_EXPORT(AttendTileOnTarget);

void StoreKeysAndValues(const AttentionWork& work, int64_t head) {
  HWY_DYNAMIC_DISPATCH(StoreKeysAndValuesOnTarget)(work, head);
}

void AttendTile(const AttentionWork& work, const AttentionChunk& chunk, QueryTile tile,
                Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(AttendTileOnTarget)(work, chunk, tile, scratch);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
