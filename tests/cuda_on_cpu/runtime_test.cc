#include "tests/cuda_on_cpu/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda_on_cpu.h"
#include "kernels/cuda/memory.h"

namespace dyad::cuda_on_cpu {
namespace {

using kernels::cuda::Piece;
using kernels::cuda::PinnedPiece;
using kernels::cuda::Runtime;
using ::testing::HasSubstr;

void AddOne(float* values) { values[threadIdx.x] += 1; }

TEST(RuntimeTest, QueuesAndRunsInOrderAtTheWait) {
  const auto runtime = Runtime::Open(0).runtime;
  const PinnedPiece<float> host(*runtime, 4);
  const Piece<float> device(*runtime, 4);
  for (int i = 0; i < 4; ++i) host.data()[i] = static_cast<float>(i);
  runtime->CopyToDevice(device.data(), host.data(), 16);
  runtime->Launch({.grid = {1}, .block = {4}}, AddOne, device.data());
  runtime->CopyToHost(host.data(), device.data(), 16);
  EXPECT_EQ(host.data()[3], 3);
  runtime->Wait();
  EXPECT_EQ(host.data()[3], 4);
  runtime->Launch({.grid = {0}, .block = {4}}, AddOne, device.data());
  runtime->SetZero(device.data(), 8);
  runtime->CopyToHost(host.data(), device.data(), 16);
  runtime->Wait();
  EXPECT_EQ(host.data()[1], 0);
  EXPECT_EQ(host.data()[2], 3);
}

TEST(RuntimeTest, FailsWhereItIsToldTo) {
  for (const Request request : {Request::kCopyToDevice, Request::kLaunch, Request::kWait}) {
    const auto runtime = Runtime::Open(0).runtime;
    const Piece<float> device(*runtime, 4);
    FailAt(request, 2);
    for (int turn = 0; turn < 2; ++turn) {
      EXPECT_EQ(runtime->error(), "");
      runtime->SetZero(device.data(), 16);
      runtime->Launch({.grid = {1}, .block = {1}}, AddOne, device.data());
      runtime->Wait();
    }
    EXPECT_THAT(runtime->error(), HasSubstr("failed to order"));
    EXPECT_EQ(runtime->Allocate(8), nullptr);
  }
}

TEST(RuntimeTest, HasAsManyDevicesAsItIsTold) {
  SetDevices(0);
  EXPECT_EQ(Runtime::Open(0).fault, "there is no device 0: CUDA has 0");
  SetDevices(1);
  EXPECT_EQ(Runtime::Open(0).fault, "");
}

}  // namespace
}  // namespace dyad::cuda_on_cpu
