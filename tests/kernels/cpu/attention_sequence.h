// Sequences for tests of attention, and how they are fed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/cpu/paged_attention.h"
#include "kernels/step_arrays.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {

enum class Packing { kApart, kInterleaved };

// A sequence with random q, k, v. Interleaved as NeoX packs them (q, k, v of a head side by side),
// or apart.
struct Sequence {
  Sequence(const AttentionShape& shape, int64_t tokens, Packing packing, uint32_t seed = 1)
      : shape(shape),
        tokens(tokens),
        values(RandomFloats(tokens * Width(), seed)),
        head_stride(packing == Packing::kInterleaved ? 3 * shape.head_size : shape.head_size) {
    const int64_t step =
        packing == Packing::kInterleaved ? shape.head_size : shape.heads * shape.head_size;
    const int64_t half = shape.rotary_size / 2;
    for (int64_t i = 0; i < tokens * half; ++i) {
      const double angle = static_cast<double>(i / half) *
                           std::pow(100.0, -2.0 * static_cast<double>(i % half) /
                                               static_cast<double>(shape.rotary_size));
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
    qkv = {{values.data(), Width()},
           {values.data() + step, Width()},
           {values.data() + 2 * step, Width()},
           head_stride};
  }
  Sequence(const Sequence&) = delete;

  int64_t Width() const { return 3 * shape.heads * shape.head_size; }
  int64_t OutWidth() const { return shape.heads * shape.head_size; }
  RotaryTable rotary() const { return {cos, sin}; }
  QkvRows RowsFrom(int64_t first) const {
    QkvRows rows = qkv;
    rows.q.data += first * Width();
    rows.k.data += first * Width();
    rows.v.data += first * Width();
    return rows;
  }

  AttentionShape shape;
  int64_t tokens;
  std::vector<float> values;
  int64_t head_stride;
  std::vector<float> cos, sin;
  QkvRows qkv;
};

// KV memory full of NaN of either type: whatever is read before it was written shows.
struct Pages {
  Pages(const AttentionShape& shape, int64_t count, KvType type = KvType::kFloat32)
      : memory(static_cast<size_t>(count * KvPageBytes(shape, type) + 64), std::byte{0xff}) {
    void* start = memory.data();
    size_t space = memory.size();
    layer = {static_cast<std::byte*>(std::align(64, 64, start, space)), type};
  }
  std::vector<std::byte> memory;
  KvLayer layer;
};

// Attention of a whole sequence, fed in chunks of the given sizes through pages in falling order.
inline std::vector<float> InChunks(const Sequence& sequence, const std::vector<int64_t>& sizes,
                                   int threads = 1, KvType type = KvType::kFloat32) {
  const int64_t count = (sequence.tokens + kPageTokens - 1) / kPageTokens;
  std::vector<int32_t> table(static_cast<size_t>(count));
  std::iota(table.rbegin(), table.rend(), 0);
  Pages pages(sequence.shape, count, type);
  ThreadPool pool(threads);
  Workspace workspace(pool);
  std::vector<float> out(static_cast<size_t>(sequence.tokens * sequence.OutWidth()), NAN);
  int64_t first = 0;
  for (const int64_t size : sizes) {
    StepArrays step;
    step.AddChunk({0, static_cast<int32_t>(size), static_cast<int32_t>(first), table});
    PagedAttention(sequence.shape, sequence.rotary(), step.view(), sequence.RowsFrom(first),
                   pages.layer, {out.data() + first * sequence.OutWidth(), sequence.OutWidth()},
                   workspace);
    first += size;
  }
  return out;
}

inline AttentionShape Shape(int64_t heads, int64_t head_size, int64_t rotary_size) {
  return {heads, head_size, 1 / std::sqrt(static_cast<float>(head_size)), rotary_size};
}

inline const AttentionShape kShapes[] = {
    Shape(1, 1, 0),   Shape(3, 7, 2),  Shape(2, 15, 0),  Shape(2, 16, 16), Shape(5, 17, 4),
    Shape(2, 33, 10), Shape(2, 64, 0), Shape(2, 64, 16), Shape(1, 80, 20), Shape(1, 112, 0)};

}  // namespace dyad::kernels
