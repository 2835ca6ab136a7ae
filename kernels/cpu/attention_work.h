// What attention over pages works on: the rows of a step, and where keys and values of a head lie.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/step.h"

namespace dyad::kernels {

// Queries that share a group of keys in the first cache; whole vectors on every target.
inline constexpr int64_t kQueryRows = 48;
inline constexpr int64_t kTaskHeads = 16;  // heads that a task of one query goes through at most

// T: what the layer's KvType says; int8_t: lines, and scales behind them.
template <typename T>
struct PageView {
  const AttentionShape& shape;
  KvLayer kv;

  T* keys(int64_t page, int64_t head) const {
    return reinterpret_cast<T*>(kv.data + page * KvPageBytes(shape, kv.type) +
                                head * HeadKeyBytes(shape, kv.type));
  }
  T* values(int64_t page, int64_t head) const {
    return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(keys(page, shape.heads)) +
                                head * HeadValueBytes(shape, kv.type));
  }
};

// What one run of PagedAttention is about.
struct AttentionWork {
  const AttentionShape& shape;
  const RotaryTable& rotary;
  const StepInput& step;
  const QkvRows& qkv;
  KvLayer kv;
  Rows out;
};

}  // namespace dyad::kernels
