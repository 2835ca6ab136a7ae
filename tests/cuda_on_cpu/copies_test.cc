// Generations before 9.0 have no bulk copies: each thread copies its share.
#include <gtest/gtest.h>

#include "tests/cuda_on_cpu/runtime.h"
#include "tests/kernels/cuda/every_tile.h"

namespace dyad::cuda_on_cpu {
namespace {

TEST(CopiesTest, EveryTileHasTheBitsOfTheChainWithoutBulkCopies) {
  SetBulkCopies(false);
  kernels::cuda::ExpectTheChainInEveryTile();
  SetBulkCopies(true);
}

}  // namespace
}  // namespace dyad::cuda_on_cpu
