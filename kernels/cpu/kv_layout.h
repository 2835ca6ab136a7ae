// Where keys and values of a layer lie in memory.
//
// A page of one layer holds, for each head, keys as [head_size][16] (lanes run over keys) and then,
// for each head, values as [16][padded head_size] (lanes run over dimensions, padding is zeros).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/step.h"

namespace dyad::kernels {

// Elements of a value row of one head.
inline int64_t PaddedHeadSize(const AttentionShape& shape) {
  return (shape.head_size + 15) / 16 * 16;
}

// Bytes that one page of one layer takes, rounded up to a cache line.
inline int64_t KvPageBytes(const AttentionShape& shape, KvType type) {
  constexpr int64_t kCacheLine = 64;
  const int64_t elements = shape.heads * kPageTokens * (shape.head_size + PaddedHeadSize(shape));
  const int64_t bytes = elements * (type == KvType::kBfloat16 ? 2 : 4);
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// One layer's KV memory: page p lies at data + p · KvPageBytes(shape, type). 64-byte aligned.
struct KvLayer {
  std::byte* data = nullptr;
  KvType type = KvType::kFloat32;
};

}  // namespace dyad::kernels
