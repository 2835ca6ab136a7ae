// Where keys and values of a layer lie in memory.
//
// A page of one layer holds, for each head, keys as [head_size][16] (lanes run over keys) and then,
// for each head, values as [16][padded head_size] (lanes run over dimensions, padding is zeros).
//
// int8: lines of 64 bytes, four numbers of each of 16 sums. Keys of a head are [quad of
// features][16 tokens][4], then 16 scales; values [strip of 16 features][quad of tokens][16
// features][4], then 16 scales. Features past the end are zeros.
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

inline constexpr int64_t kCacheLine = 64;

// Four features each.
inline int64_t KeyQuads(const AttentionShape& shape) { return (shape.head_size + 3) / 4; }

// Bytes that keys, or values, of one head take in a page.
inline int64_t HeadKeyBytes(const AttentionShape& shape, KvType type) {
  if (type == KvType::kInt8) return (KeyQuads(shape) + 1) * kCacheLine;
  return kPageTokens * shape.head_size * (type == KvType::kBfloat16 ? 2 : 4);
}
inline int64_t HeadValueBytes(const AttentionShape& shape, KvType type) {
  const int64_t elements = kPageTokens * PaddedHeadSize(shape);
  if (type == KvType::kInt8) return elements + kCacheLine;
  return elements * (type == KvType::kBfloat16 ? 2 : 4);
}

// Bytes that one page of one layer takes, rounded up to a cache line.
inline int64_t KvPageBytes(const AttentionShape& shape, KvType type) {
  const int64_t bytes = shape.heads * (HeadKeyBytes(shape, type) + HeadValueBytes(shape, type));
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// One layer's KV memory: page p lies at data + p · KvPageBytes(shape, type). 64-byte aligned.
struct KvLayer {
  std::byte* data = nullptr;
  KvType type = KvType::kFloat32;
};

}  // namespace dyad::kernels
