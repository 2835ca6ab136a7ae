// A draw from one row of logits that are adjusted already: kernels/draw.h, from step 3 on.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu/aligned_buffer.h"
#include "kernels/draw.h"

namespace dyad::kernels {

// `largest`: of the logits, tamed. REQUIRES: the draw is not greedy; at most 2^24 logits. Cost: a
// few passes over the row; nothing is sorted. One thread.
int32_t DrawFrom(std::span<const float> adjusted, float largest, const DrawRow& draw,
                 Scratch& scratch);

}  // namespace dyad::kernels
