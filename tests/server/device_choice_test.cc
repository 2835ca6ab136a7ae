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

TEST(MakeDevicesTest, RefusesAnArithmeticThatTheDeviceHasNot) {
  for (const DeviceKind kind : {DeviceKind::kCpu, DeviceKind::kReference}) {
    const auto devices =
        MakeDevices({.choice = {kind}, .arithmetic = kernels::Arithmetic::kAccurate});
    EXPECT_EQ(devices.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(devices.status().message()), HasSubstr("--arithmetic is accurate; "));
    EXPECT_TRUE(MakeDevices({.choice = {kind}, .arithmetic = kernels::Arithmetic::kExact}).ok());
  }
}

TEST(MakeDevicesTest, SomeArithmeticsAreTheCpus) {
  for (const auto& [arithmetic, word] :
       {std::pair{kernels::Arithmetic::kInteger16, std::string("integer16")},
        {kernels::Arithmetic::kBfloat16, "bfloat16"}}) {
    const auto devices = MakeDevices({.choice = {DeviceKind::kCpu}, .arithmetic = arithmetic});
    ASSERT_TRUE(devices.ok());
    EXPECT_EQ(devices->front()->info().arithmetic, word);
    for (const DeviceKind kind : {DeviceKind::kCuda, DeviceKind::kReference}) {
      EXPECT_EQ(MakeDevices({.choice = {kind}, .arithmetic = arithmetic}).status().message(),
                "--arithmetic is " + word + "; it needs --device=cpu");
    }
  }
}

TEST(ChooseDeviceTest, LogsWhatAutoComesTo) {
  std::string logged;
  const LogFunction log = [&](LogLevel, const std::string& event,
                              const std::vector<LogField>& fields) {
    logged = event + " " + std::to_string(fields.size());
  };
  EXPECT_EQ(ChooseDevice("cuda:3", log).ordinal, 3);
  EXPECT_EQ(logged, "");
  const DeviceKind kind = ChooseDevice("auto", log).kind;
  EXPECT_TRUE(kind == DeviceKind::kCpu || kind == DeviceKind::kCuda);
  EXPECT_EQ(logged, "device chosen 2");
}

}  // namespace
}  // namespace dyad
