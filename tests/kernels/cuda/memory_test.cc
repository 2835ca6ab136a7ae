#include "kernels/cuda/memory.h"

#include <gtest/gtest.h>

#include <numeric>

namespace dyad::kernels::cuda {
namespace {

TEST(CudaMemoryTest, UploadsMoreThanFitsInTheBufferBetween) {
  const auto runtime = Runtime::Open(0).runtime;
  std::vector<int32_t> values((20 << 20) / 4 + 3);
  std::iota(values.begin(), values.end(), 0);
  const Piece<int32_t> piece = UploadedPiece<int32_t>(*runtime, values);
  EXPECT_EQ(piece.bytes(), std::ssize(values) * 4);
  const PinnedPiece<int32_t> back(*runtime, piece.count());
  runtime->CopyToHost(back.data(), piece.data(), piece.bytes());
  runtime->Wait();
  EXPECT_TRUE(std::equal(values.begin(), values.end(), back.data()));
}

TEST(CudaMemoryTest, RoomStaysWhereItIsUntilItGrows) {
  const auto runtime = Runtime::Open(0).runtime;
  Room<float> room;
  EXPECT_EQ(room.Get(*runtime, 0), nullptr);
  float* const first = room.Get(*runtime, 100);
  EXPECT_EQ(room.Get(*runtime, 10), first);
  EXPECT_EQ(room.Get(*runtime, 100), first);
  room.Get(*runtime, 1000);
  const float* const second = room.Get(*runtime, 1000);
  EXPECT_EQ(room.Get(*runtime, 1), second);
}

}  // namespace
}  // namespace dyad::kernels::cuda
