#include "server/device_choice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;

TEST(MakeDevicesTest, MakesAsManyAsAreAskedFor) {
  for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kReference}) {
    const auto devices = MakeDevices({.choice = {kind}, .count = 2, .threads = 1});
    ASSERT_TRUE(devices.ok());
    EXPECT_EQ(devices->size(), 2u);
  }
}

// No machine has a hundred; a build without CUDA says so instead.
TEST(MakeDevicesTest, SaysWhyThereIsNoSuchDevice) {
  const auto devices = MakeDevices({.choice = {DeviceKind::kCuda, 99}});
  EXPECT_EQ(devices.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(devices.status().message()),
              ::testing::AllOf(HasSubstr("--device is cuda:99; "), HasSubstr("CUDA")));
}

TEST(WishOfTest, LogsWhatAutoComesTo) {
  std::string logged;
  const LogFunction log = [&](LogLevel, const std::string& event,
                              const std::vector<LogField>& fields) {
    logged = event + " " + std::to_string(fields.size());
  };
  EXPECT_EQ(WishOf("cpu", 3, log).threads, 3);
  EXPECT_EQ(logged, "");
  const DeviceKind kind = WishOf("auto", 1, log).choice.kind;
  EXPECT_TRUE(kind == DeviceKind::kCpu || kind == DeviceKind::kCuda);
  EXPECT_EQ(logged, "device chosen 2");
}

}  // namespace
}  // namespace dyad
