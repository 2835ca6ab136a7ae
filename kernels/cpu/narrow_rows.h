// Rows of an arithmetic of narrower numbers: made once for all blocks, on each run. The layouts are
// in kernels/cpu/integer.h and kernels/cpu/bfloat16.h: [row][block][…], so that kernels read rows
// as they lie. For that a row's stride is an odd number of cache lines.
#pragma once

#include <cstdint>

#include "kernels/arithmetic.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/epilogue.h"

namespace dyad::kernels {

// Makes rows of x, on the pool if it pays. They stay until ScratchUse::kRows of the workspace is
// asked for again. REQUIRES: the contraction is not exact; of integer ones any arithmetic will do.
NarrowRows PackNarrowRows(const PackedContraction& contraction, Arithmetic arithmetic,
                          int64_t tokens, ConstRows x, Workspace& workspace);

}  // namespace dyad::kernels
