#include "server/device_word.h"

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(ParseDeviceTest, KnowsItsWords) {
  EXPECT_EQ(ParseDevice("cpu")->kind, DeviceKind::kCpu);
  EXPECT_EQ(ParseDevice("auto")->kind, DeviceKind::kAuto);
  EXPECT_EQ(ParseDevice("reference")->kind, DeviceKind::kReference);
  EXPECT_EQ(ParseDevice("cuda")->kind, DeviceKind::kCuda);
  EXPECT_EQ(ParseDevice("cuda")->ordinal, 0);
  EXPECT_EQ(ParseDevice("cuda:17")->ordinal, 17);
}

TEST(ParseDeviceTest, RefusesAllOthers) {
  for (const char* word : {"", "CPU", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:100", "cuda:1x",
                           "cuda: 1", "cuda1", "cpu:0"}) {
    EXPECT_FALSE(ParseDevice(word).has_value()) << word;
  }
}

}  // namespace
}  // namespace dyad
