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
#include <cstring>
#include <limits>

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_int8-inl.h"
#include "kernels/cpu/attention_state-inl.h"
#include "kernels/cpu/even_parts.h"
#include "kernels/cpu/integer.h"
#include "kernels/cpu/square.h"
#include "kernels/exact_math.h"
#include "kernels/float16.h"

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {
namespace {

void Put(float value, float* to) { *to = value; }
void Put(float value, hwy::bfloat16_t* to) { to->bits = ToBfloat16(value); }
void PutFour(Four four, float* to) { StoreFour(four, to); }
// ToBfloat16 four times.
void PutFour(Four four, hwy::bfloat16_t* to) {
  using Bits = uint32_t __attribute__((vector_size(16)));
  const auto bits = reinterpret_cast<Bits>(four);
  const Bits rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const Bits quiet = bits >> 16 | 0x40u;
  const Bits narrow = (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
  const auto half = __builtin_convertvector(narrow, uint16_t __attribute__((vector_size(8))));
  std::memcpy(to, &half, sizeof(half));
}

// GPT-NeoX rotation of the leading dimensions, pairs (i, i + rotary_size / 2); the rest is copied.
void Rotate(const AttentionWork& work, int64_t position, const float* from, float* to) {
  const int64_t half = work.shape.rotary_size / 2;
  const float* cos = work.rotary.cos.data() + position * half;
  const float* sin = work.rotary.sin.data() + position * half;
  for (int64_t i = 0; i < half; ++i) {
    const exact::Point turned = exact::Rotate({from[i], from[i + half]}, cos[i], sin[i]);
    to[i] = turned.a;
    to[i + half] = turned.b;
  }
  std::copy(from + 2 * half, from + work.shape.head_size, to + 2 * half);
}

// Queries or keys of one head in some rows, rotated to `room` of [rows][head_size], or where they
// are if nothing rotates.
ConstRows Rotated(const AttentionWork& work, ConstRows x, Part rows, int64_t head, float* room) {
  const float* first = x.data + rows.first * x.stride + head * work.qkv.head_stride;
  if (work.shape.rotary_size == 0) return {first, x.stride};
  for (int64_t r = 0; r < rows.count; ++r) {
    Rotate(work, work.step.positions[static_cast<size_t>(rows.first + r)], first + r * x.stride,
           room + r * work.shape.head_size);
  }
  return {room, work.shape.head_size};
}

template <typename Kv>
void ScoreGroup(const AttentionWork& work, const HeadPages<Kv>& pages, int64_t visible,
                const QueryState& state) {
  const int64_t parts = PartCount(state.rows, kRowsAtOnce);
  for (int64_t i = 0; i < parts; ++i) {
    const Part rows = PartAt(state.rows, parts, i);
    const int64_t count = PartCount(SeenKeys(visible, rows.first + rows.count), kPageTokens);
    PrefetchPart(pages.values, pages.pages, HeadValueBytes(work.shape, work.kv.type), i, parts);
    for (int64_t p = 0; p < count; p += kPagesAtOnce) {
      Score<Kv> score = {.queries = state.queries + rows.first * state.query_stride,
                         .query_stride = state.query_stride,
                         .pages = {},
                         .depth = work.shape.head_size,
                         .scores = state.scores + rows.first * kSoftmaxKeys + p * kPageTokens};
      const int64_t together = std::min<int64_t>(kPagesAtOnce, count - p);
      std::copy_n(pages.keys + p, together, score.pages);
      RunTile<kRowsAtOnce, kPagesAtOnce>(score, rows.count, together);
    }
  }
}

// Keys that a row must not see may hold anything, so they are left out rather than multiplied by a
// zero weight: rows go together up to the last key of the first one, and alone from there.
template <typename Kv>
void AddGroup(const AttentionWork& work, const HeadPages<Kv>& pages, int64_t visible,
              const QueryState& state) {
  static constexpr float kKeep = 1;
  const int64_t width = PaddedHeadSize(work.shape);
  const int64_t parts = PartCount(state.rows, kRowsAtOnce);
  const int64_t strips = PartCount(width / kLanes, kVectorsAtOnce);
  for (int64_t i = 0; i < parts; ++i) {
    const Part rows = PartAt(state.rows, parts, i);
    const int64_t common = SeenKeys(visible, rows.first + 1);
    PrefetchPart(pages.next_keys, pages.next_pages, HeadKeyBytes(work.shape, work.kv.type), i,
                 parts);
    for (int64_t s = 0; s < strips; ++s) {
      const Part vectors = PartAt(width / kLanes, strips, s);
      AddValues<Kv> add = {.weights = state.scores + rows.first * kSoftmaxKeys,
                           .pages = pages.values,
                           .column = vectors.first * kLanes,
                           .first_key = 0,
                           .last_key = common,
                           .rescale = state.rescale + rows.first,
                           .sums = state.sums + rows.first * width + vectors.first * kLanes,
                           .width = width};
      RunTile<kRowsAtOnce, kVectorsAtOnce>(add, rows.count, vectors.count);
      add.first_key = common;
      add.rescale = &kKeep;
      for (int64_t r = 1; r < rows.count; ++r) {
        add.weights += kSoftmaxKeys;
        add.sums += width;
        add.last_key = SeenKeys(visible, rows.first + r + 1);
        if (add.last_key > common) RunTile<1, kVectorsAtOnce>(add, 1, vectors.count);
      }
    }
  }
}

// ScoreGroup and AddGroup of int8: kernels/cpu/attention_int8-inl.h.
//
// One group of keys: [first_key, first_key + 64) of the sequence; row r sees those up to
// first_query + r. All keys and then all values, head by head, as they lie in memory.
template <typename Kv>
void AttendGroup(const AttentionWork& work, const AttentionChunk& chunk, int64_t first_key,
                 int64_t first_query, int64_t first_head, std::span<QueryState> heads) {
  const int64_t rows = heads.front().rows;
  const int64_t visible = first_query + 1 - first_key;  // to the first row; may be negative
  const int64_t pages = PartCount(SeenKeys(visible, rows), kPageTokens);
  const int64_t next_pages = PartCount(SeenKeys(visible - kSoftmaxKeys, rows), kPageTokens);
  const int32_t* page =
      &work.step.pages[static_cast<size_t>(chunk.first_page + first_key / kPageTokens)];
  const PageView<Kv> view = {work.shape, work.kv};
  HeadPages<Kv> of_head[kTaskHeads];
  for (size_t i = 0; i < heads.size(); ++i) {
    const int64_t head = first_head + static_cast<int64_t>(i);
    of_head[i].pages = pages;
    of_head[i].next_pages = next_pages;
    for (int64_t p = 0; p < pages; ++p) {
      of_head[i].keys[p] = view.keys(page[p], head);
      of_head[i].values[p] = view.values(page[p], head);
    }
    for (int64_t p = 0; p < next_pages; ++p) {
      of_head[i].next_keys[p] = view.keys(page[kSoftmaxPages + p], head);
    }
    ScoreGroup(work, of_head[i], visible, heads[i]);
  }
  for (QueryState& head : heads) SoftmaxStep(work, visible, head);
  for (size_t h = 0; h < heads.size(); ++h) AddGroup(work, of_head[h], visible, heads[h]);
}

// Consecutive rows whose slots follow each other in one page.
struct StoredRun {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_slot = 0;
};

// Scratch: room for [16][head_size].
template <typename Kv>
void StoreRun(const AttentionWork& work, const StoredRun& run, int64_t head, float* rotated) {
  const PageView<Kv> view = {work.shape, work.kv};
  const int64_t page = run.first_slot / kPageTokens, place = run.first_slot % kPageTokens;
  const int64_t width = PaddedHeadSize(work.shape), head_size = work.shape.head_size;
  const int64_t column = head * work.qkv.head_stride;
  const float* v = work.qkv.v.data + run.first_row * work.qkv.v.stride + column;
  Kv* value = view.values(page, head) + place * width;
  for (int64_t r = 0; r < run.rows; ++r, v += work.qkv.v.stride, value += width) {
    for (int64_t d = 0; d < head_size; ++d) Put(v[d], value + d);
    for (int64_t d = head_size; d < width; ++d) Put(0.0f, value + d);
  }
  const ConstRows k = Rotated(work, work.qkv.k, {run.first_row, run.rows}, head, rotated);
  Kv* keys = view.keys(page, head) + place;
  if (run.rows < kSquare || head_size < kSquare) {
    for (int64_t d = 0; d < head_size; ++d) {
      for (int64_t r = 0; r < run.rows; ++r) {
        Put(k.data[r * k.stride + d], keys + d * kPageTokens + r);
      }
    }
    return;
  }
  for (int64_t i = 0; i < head_size; i += kSquare) {
    const int64_t d = std::min(i, head_size - kSquare);  // the last ones overlap
    for (int64_t j = 0; j < run.rows; j += kSquare) {
      const int64_t r = std::min(j, run.rows - kSquare);
      const Square square = TransposeSquare(EvenRows{k.data, k.stride}, r, d);
      for (int64_t c = 0; c < kSquare; ++c) {
        PutFour(square.columns[c], keys + (d + c) * kPageTokens + r);
      }
    }
  }
}

template <>
void StoreRun<int8_t>(const AttentionWork& work, const StoredRun& run, int64_t head,
                      float* rotated) {
  const PageView<int8_t> view = {work.shape, work.kv};
  const int64_t page = run.first_slot / kPageTokens, place = run.first_slot % kPageTokens;
  const float* v =
      work.qkv.v.data + run.first_row * work.qkv.v.stride + head * work.qkv.head_stride;
  const ConstRows k = Rotated(work, work.qkv.k, {run.first_row, run.rows}, head, rotated);
  for (int64_t r = 0; r < run.rows; ++r) {
    PrefetchRowBehind(k.data + r * k.stride, k.stride, work.shape.head_size);
    PrefetchRowBehind(v + r * work.qkv.v.stride, work.qkv.v.stride, work.shape.head_size);
    StoreWholeKey(work.shape, k.data + r * k.stride, view.keys(page, head), place + r);
    StoreWholeValue(work.shape, v + r * work.qkv.v.stride, view.values(page, head), place + r);
  }
}

template <typename Kv>
void StoreAs(const AttentionWork& work, int64_t head, float* rotated) {
  const std::span<const int64_t> slots = work.step.slots;
  for (size_t row = 0, next; row < slots.size(); row = next) {
    next = row + 1;
    while (next < slots.size() && slots[next] == slots[next - 1] + 1 &&
           slots[next] % kPageTokens != 0) {
      ++next;
    }
    StoreRun<Kv>(work, {static_cast<int64_t>(row), static_cast<int64_t>(next - row), slots[row]},
                 head, rotated);
  }
  for (const ExtraStore& store : work.step.also) {
    StoreRun<Kv>(work, {store.row, 1, store.slot}, head, rotated);
  }
}

}  // namespace

void StoreKeysAndValuesOnTarget(const AttentionWork& work, int64_t head, Scratch& scratch) {
  auto* rotated = scratch.Get<float>(ScratchUse::kRows, kPageTokens * work.shape.head_size);
  switch (work.kv.type) {
    case KvType::kFloat32:
      return StoreAs<float>(work, head, rotated);
    case KvType::kBfloat16:
      return StoreAs<hwy::bfloat16_t>(work, head, rotated);
    case KvType::kInt8:
      return StoreAs<int8_t>(work, head, rotated);
  }
}

void AttendTileOnTarget(const AttentionWork& work, const AttentionChunk& chunk, QueryTile tile,
                        Scratch& scratch) {
  const int64_t head_size = work.shape.head_size;
  const int64_t width = PaddedHeadSize(work.shape);
  const bool whole = work.kv.type == KvType::kInt8;
  const int64_t quad_stride = QueryBytes(work.shape);
  const int64_t whole_floats = whole ? (quad_stride + kWeightBytes) / 4 : 0;
  const int64_t row_floats = 2 * width + kSoftmaxKeys + whole_floats;
  const int64_t head_floats = tile.count * row_floats;
  const QuadForm form = whole && MultipliesBytes() ? QuadForm::kHalves : QuadForm::kWords;
  auto* room =
      scratch.Get<float>(ScratchUse::kPartials, std::max(kTaskHeads, kQueryRows) * row_floats);
  QueryState states[kTaskHeads];
  const std::span<QueryState> heads(states, static_cast<size_t>(tile.heads));
  const int64_t first_query = chunk.first_position + tile.first;
  const int64_t first_row = chunk.first_row + tile.first;
  for (int64_t h = 0; h < tile.heads; ++h, room += head_floats) {
    QueryState& state = heads[static_cast<size_t>(h)];
    state.rows = tile.count;
    state.scores = room;
    state.sums = room + tile.count * kSoftmaxKeys;
    std::fill_n(state.maximum, kQueryRows, -std::numeric_limits<float>::infinity());
    std::fill_n(state.sums, tile.count * width, 0.0f);
    const ConstRows queries = Rotated(work, work.qkv.q, {first_row, tile.count},
                                      tile.first_head + h, state.sums + tile.count * width);
    state.queries = queries.data;
    state.query_stride = queries.stride;
    if (!whole) continue;
    state.form = form;
    state.quad_stride = quad_stride;
    state.quads = reinterpret_cast<uint8_t*>(state.sums + 2 * tile.count * width);
    state.weight_quads = state.quads + tile.count * quad_stride;
    for (int64_t r = 0; r < tile.count; ++r) {
      PrefetchRowBehind(queries.data + r * queries.stride, queries.stride, head_size);
      const QuadRow row = PutQuads(queries.data + r * queries.stride, head_size, form,
                                   state.quads + r * quad_stride);
      state.units[r] = row.unit;
      state.high_sums[r] = row.high_sum;
    }
  }
  for (int64_t key = 0; key < first_query + tile.count; key += kSoftmaxKeys) {
    switch (work.kv.type) {
      case KvType::kFloat32:
        AttendGroup<float>(work, chunk, key, first_query, tile.first_head, heads);
        break;
      case KvType::kBfloat16:
        AttendGroup<hwy::bfloat16_t>(work, chunk, key, first_query, tile.first_head, heads);
        break;
      case KvType::kInt8:
        AttendGroup<int8_t>(work, chunk, key, first_query, tile.first_head, heads);
        break;
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

void StoreKeysAndValues(const AttentionWork& work, int64_t head, Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(StoreKeysAndValuesOnTarget)(work, head, scratch);
}

void AttendTile(const AttentionWork& work, const AttentionChunk& chunk, QueryTile tile,
                Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(AttendTileOnTarget)(work, chunk, tile, scratch);
}

}  // namespace dyad::kernels
#endif  // HWY_ONCE
