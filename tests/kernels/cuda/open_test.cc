#include "kernels/cuda/open.h"

#include <gtest/gtest.h>

#include "tests/cuda_on_cpu/runtime.h"

namespace dyad::kernels::cuda {
namespace {

TEST(OpenCudaTest, OpensOneDeviceForEachModel) {
  const OpenedDevices opened = OpenDevices(0, 2, 1);
  EXPECT_EQ(opened.fault, "");
  ASSERT_EQ(opened.devices.size(), 2u);
  EXPECT_EQ(opened.devices[1]->info().threads, 1);
}

TEST(OpenCudaTest, SaysWhatThereIs) {
  EXPECT_EQ(OpenDevices(7, 1, 1).fault, "there is no device 7: CUDA has 1");
  EXPECT_TRUE(OpenDevices(7, 1, 1).devices.empty());
}

}  // namespace
}  // namespace dyad::kernels::cuda
