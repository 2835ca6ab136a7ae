#include "kernels/cuda/step_upload.h"

#include <gtest/gtest.h>

#include "kernels/step_arrays.h"

namespace dyad::kernels::cuda {
namespace {

// What stands in memory of the device.
template <typename T>
std::vector<T> Values(Runtime& runtime, const T* at, int64_t count) {
  const PinnedPiece<T> host(runtime, count);
  runtime.CopyToHost(host.data(), at, host.bytes());
  runtime.Wait();
  return {host.data(), host.data() + count};
}

TEST(StepUploadTest, BringsEveryArrayOver) {
  const auto runtime = Runtime::Open(0).runtime;
  StepArrays step;
  const std::vector<int32_t> first = {5, 2}, second = {9};
  step.AddChunk({0, 2, 15, first});
  step.AddChunk({2, 1, 3, second});
  step.AddStore({1, 1, 16, std::vector<int32_t>{7, 8}});
  step.ids = {10, 11, 12};
  StepUpload upload;
  for (int turn = 0; turn < 2; ++turn) {
    upload.QueueStep(*runtime, step.view());
    const StepPointers& there = upload.step();
    EXPECT_EQ(Values(*runtime, there.ids, 3), (std::vector<int32_t>{10, 11, 12}));
    EXPECT_EQ(Values(*runtime, there.positions, 3), (std::vector<int32_t>{15, 16, 3}));
    EXPECT_EQ(Values(*runtime, there.first_pages, 3), (std::vector<int32_t>{0, 0, 2}));
    EXPECT_EQ(Values(*runtime, there.pages, 3), (std::vector<int32_t>{5, 2, 9}));
    EXPECT_EQ(there.stores, 4);
    EXPECT_EQ(Values(*runtime, there.store_rows, 4), (std::vector<int32_t>{0, 1, 2, 1}));
    EXPECT_EQ(Values(*runtime, there.store_slots, 4),
              (std::vector<int64_t>{5 * 16 + 15, 2 * 16, 9 * 16 + 3, 8 * 16}));
  }
}

}  // namespace
}  // namespace dyad::kernels::cuda
