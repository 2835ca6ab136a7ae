#include "kernels/cuda/open.h"

#include <gtest/gtest.h>

namespace dyad::kernels::cuda {
namespace {

TEST(OpenCudaTest, OpensOneDeviceForEachModel) {
  const OpenedDevices opened = OpenDevices(2, {});
  EXPECT_EQ(opened.fault, "");
  ASSERT_EQ(opened.devices.size(), 2u);
  EXPECT_EQ(opened.devices[1]->info().threads, 1);
}

TEST(OpenCudaTest, SaysThatThereIsNoSuchDevice) {
  EXPECT_EQ(OpenDevices(1, {.ordinal = 99}).fault.substr(0, 21), "there is no device 99");
}

}  // namespace
}  // namespace dyad::kernels::cuda
