// Causal attention of a flat batch over a paged KV cache, with rotary embedding where asked.
//
// Bits: the result of a query depends on its position and the keys and values up to it; scores are
// accumulated in position order, 64 keys at a time (online softmax), so chunking, batch and threads
// do not show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/linear.h"
#include "kernels/step.h"
#include "kernels/thread_pool.h"

namespace dyad::kernels {

struct AttentionShape {
  int64_t heads = 0;
  int64_t head_size = 0;
  float scale = 0;          // multiplies q·k; OPT and NeoX: 1/sqrt(head_size)
  int64_t rotary_size = 0;  // leading dimensions of a head that rotate (NeoX); 0: none; even
};

// Cosine and sine per position and rotary dimension pair, as the reference computes them in
// float32: angle = position · base^(−2i/rotary_size), i in [0, rotary_size/2).
struct RotaryTable {
  std::span<const float> cos;  // [positions, rotary_size / 2]
  std::span<const float> sin;
};

// What keys and values are kept as. kBfloat16: keys (rotated, in float32) and values are rounded to
// nearest, ties to even, where they are stored, and widened where they are read; all else is
// float32.
enum class KvType { kFloat32, kBfloat16 };

// Bytes that one page of one layer takes: of 2 · heads · 16 · head_size elements (rounded up for
// alignment).
int64_t KvPageBytes(const AttentionShape& shape, KvType type);

// One layer's KV memory: page p lies at data + p · KvPageBytes(shape, type). 64-byte aligned.
struct KvLayer {
  std::byte* data = nullptr;
  KvType type = KvType::kFloat32;
};

// Stores k and v of every row of the step in its slots (k rotated), then computes out[row] =
// softmax(scale · q K^T, causal) V for every row and head (q rotated).
// Shapes: q, k, v, out [rows, heads · head_size], head h at column h · head_size, except that
// `head_stride` tells the distance between heads in q, k and v (NeoX packs q, k, v of a head
// together: 3 · head_size).
struct QkvRows {
  ConstRows q, k, v;
  int64_t head_stride = 0;
};
void PagedAttention(const AttentionShape& shape, const RotaryTable& rotary, const StepInput& step,
                    const QkvRows& qkv, KvLayer kv, Rows out, Workspace& workspace);

}  // namespace dyad::kernels
