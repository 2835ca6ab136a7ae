// Devices that share threads are apart in all else.
#include "kernels/devices.h"

#include <atomic>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;

TEST(DevicesTest, TellsWhatItIs) {
  const DeviceInfo info = MakeCpuDevice({.threads = 3})->info();
  EXPECT_EQ(info.name, "cpu");
  EXPECT_EQ(info.arithmetic, "exact");
  EXPECT_EQ(info.threads, 3);
}

TEST(DevicesTest, HaveMemoryOfTheirOwn) {
  const auto devices = MakeCpuDevices(2, {.threads = 2});
  ASSERT_EQ(devices.size(), 2u);
  const Matrix first = devices[0]->Allocate(1, 2), second = devices[1]->Allocate(1, 2);
  devices[0]->Write(first, std::vector<float>{1, 2});
  devices[1]->Write(second, std::vector<float>{3, 4});
  EXPECT_THAT(devices[0]->Read(first), ElementsAre(1, 2));
  EXPECT_THAT(devices[1]->Read(second), ElementsAre(3, 4));
}

TEST(DevicesTest, RunEveryTaskOfHostWork) {
  std::atomic<int64_t> sum = 0;
  MakeCpuDevice({.threads = 2})->RunOnHost(100, [&](int64_t task) { sum += task; });
  EXPECT_EQ(sum, 99 * 100 / 2);
}

}  // namespace
}  // namespace dyad::kernels
