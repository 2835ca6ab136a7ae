// Causal attention of a flat batch over a paged KV cache, with rotary embedding where asked.
//
// Bits: the result of a query depends on its position and the keys and values up to it; scores are
// accumulated in position order, 64 keys at a time (online softmax), so chunking, batch and threads
// do not show.
#pragma once

#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/step.h"

namespace dyad::kernels {

// Stores k and v of every row of the step in its slots (k rotated), then computes out[row] =
// softmax(scale · q K^T, causal) V for every row and head (q rotated).
// Shapes: out [rows, heads · head_size], head h at column h · head_size.
void PagedAttention(const AttentionShape& shape, const RotaryTable& rotary, const StepInput& step,
                    const QkvRows& qkv, KvLayer kv, Rows out, Workspace& workspace);

}  // namespace dyad::kernels
