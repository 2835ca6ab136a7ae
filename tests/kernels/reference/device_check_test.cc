// The check passes what is right, and says which operator is wrong.
#include "kernels/reference/device_check.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "kernels/isa.h"
#include "kernels/reference/device.h"
#include "tests/support/sanitized.h"
#include "tests/support/spoiled_device.h"

namespace dyad::kernels::reference {
namespace {

using ::testing::HasSubstr;

constexpr KvType kTypes[] = {KvType::kFloat32, KvType::kBfloat16, KvType::kInt8};

TEST(CheckDeviceTest, PassesTheReferenceItself) {
  for (const KvType type : kTypes) {
    ReferenceDevice device;
    EXPECT_EQ(CheckDevice(device, type), "");
  }
}

TEST(CheckDeviceTest, PassesTheCpuUnderEveryInstructionSet) {
  const auto counts = testing::kSanitized ? std::vector{2} : std::vector{1, 2, 3};
  for (const std::string_view isa : SupportedIsas()) {
    ASSERT_TRUE(ForceIsa(isa));
    for (const int threads : counts) {
      for (const KvType type : kTypes) {
        EXPECT_EQ(CheckDevice(*MakeCpuDevice({.threads = threads}), type), "") << isa;
      }
    }
  }
  ForceIsa(SupportedIsas().front());
}

TEST(CheckDeviceTest, PassesTheCpuInItsOwnArithmetics) {
  for (const Arithmetic arithmetic : {Arithmetic::kInteger24, Arithmetic::kInteger16,
                                      Arithmetic::kInteger8, Arithmetic::kBfloat16}) {
    for (const std::string_view isa : SupportedIsas()) {
      ASSERT_TRUE(ForceIsa(isa));
      const auto device = MakeCpuDevice({.threads = 2, .arithmetic = arithmetic});
      EXPECT_EQ(device->info().arithmetic, NameOf(arithmetic));
      EXPECT_EQ(CheckDevice(*device, KvType::kFloat32), "") << isa << ", " << NameOf(arithmetic);
    }
  }
  ForceIsa(SupportedIsas().front());
}

TEST(CheckDeviceTest, NamesTheOperatorThatIsWrong) {
  const std::vector<std::pair<Operator, const char*>> kOperators = {
      {Operator::kEmbed, "embedding"},
      {Operator::kNormalize, "LayerNorm"},
      {Operator::kApply, "layer dense"},
      {Operator::kAttend, "attention"},
      {Operator::kFinish, "scoring"}};
  for (const auto& [spoiled, name] : kOperators) {
    for (const KvType type : kTypes) {
      SpoiledDevice device(MakeCpuDevice({}), spoiled);
      const Fault fault = CheckDevice(device, type);
      EXPECT_THAT(fault, HasSubstr(name));
      EXPECT_THAT(fault, HasSubstr("expected"));
    }
  }
}

}  // namespace
}  // namespace dyad::kernels::reference
