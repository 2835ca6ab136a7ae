// Types, strides, alignment, rounding, and what is not finite.
#include "server/model/convert.h"

#include <cmath>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/float16.h"
#include "tests/server/model/loading.h"
#include "tests/server/model/shared_device.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::Element;
using kernels::FromBfloat16;
using kernels::FromFloat16;
using kernels::ToBfloat16;
using kernels::ToFloat16;
using ::testing::AllOf;
using testing::Eighths;
using ::testing::ElementsAre;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::SharedDevice;
using testing::StatusIs;

NamedTensor Named(FakeCheckpoint& checkpoint, const std::string& name) {
  return {name, &checkpoint.at(name)};
}

TEST(Float16Test, WideningAndNarrowingAreInverse) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float wide = FromFloat16(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(FromFloat16(ToFloat16(wide))));
    } else {
      EXPECT_EQ(ToFloat16(wide), half) << bits;
    }
    const float brain = FromBfloat16(half);
    if (std::isnan(brain)) {
      EXPECT_TRUE(std::isnan(FromBfloat16(ToBfloat16(brain))));
    } else {
      EXPECT_EQ(ToBfloat16(brain), half) << bits;
    }
  }
}

TEST(Float16Test, KnownValues) {
  EXPECT_EQ(FromFloat16(0x3c00), 1.0f);
  EXPECT_EQ(FromFloat16(0xc000), -2.0f);
  EXPECT_EQ(FromFloat16(0x7bff), 65504.0f);
  EXPECT_EQ(FromFloat16(0x0001), 0x1p-24f);
  EXPECT_EQ(FromFloat16(0x03ff), 1023 * 0x1p-24f);
  EXPECT_TRUE(std::isinf(FromFloat16(0xfc00)));
  EXPECT_EQ(FromBfloat16(0x3f80), 1.0f);
}

// Halfway between two neighbours goes to the even one; one unit above or below goes to the nearer.
TEST(Float16Test, TiesGoToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; bits += 1 + bits % 7) {
    const auto low = static_cast<uint16_t>(bits);
    const auto high = static_cast<uint16_t>(bits + 1);
    const float middle = (FromFloat16(low) + FromFloat16(high)) / 2;  // exact in float32
    EXPECT_EQ(ToFloat16(middle), low % 2 == 0 ? low : high) << bits;
    EXPECT_EQ(ToFloat16(std::nextafter(middle, 0.0f)), low) << bits;
    EXPECT_EQ(ToFloat16(std::nextafter(middle, 1e9f)), high) << bits;
    EXPECT_EQ(ToFloat16(-middle) & 0x7fff, ToFloat16(middle)) << bits;
  }
  EXPECT_EQ(ToFloat16(65519.9f), 0x7bff);
  EXPECT_EQ(ToFloat16(65520.0f), 0x7c00);
  EXPECT_EQ(ToBfloat16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(ToBfloat16(1.0f + 0x3p-8f), 0x3f82);
  EXPECT_EQ(ToBfloat16(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(ConvertTest, ReadsEveryFloatingType) {
  FakeCheckpoint checkpoint;
  checkpoint.Add<float>("a", {2}, {1.5f, -2.0f}, StoredType::kFloat32);
  checkpoint.Add<uint16_t>("b", {2}, {ToFloat16(1.5f), ToFloat16(-2.0f)}, StoredType::kFloat16);
  checkpoint.Add<uint16_t>("c", {2}, {ToBfloat16(1.5f), ToBfloat16(-2.0f)}, StoredType::kBfloat16);
  checkpoint.Add<double>("d", {2}, {1.5, -2.0}, StoredType::kFloat64);
  for (const char* name : {"a", "b", "c", "d"}) {
    const auto values = ReadFloats(Named(checkpoint, name), SharedDevice());
    ASSERT_OK(values);
    EXPECT_THAT(*values, ElementsAre(1.5f, -2.0f)) << name;
  }
  checkpoint.Add<int64_t>("e", {2}, {1, 2}, StoredType::kInt64);
  EXPECT_THAT(ReadFloats(Named(checkpoint, "e"), SharedDevice()),
              StatusIs(kInvalid, AllOf(HasSubstr("tensor e is int64"), HasSubstr("expected"))));
  EXPECT_FALSE(ReadWeights(Named(checkpoint, "e"), Element::kFloat32, SharedDevice()).ok());
  EXPECT_FALSE(ChooseWeightType(Named(checkpoint, "e"), WeightDtype::kFloat32).ok());
}

TEST(ConvertTest, FollowsStrides) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("t", {3, 2}, {1, 2, 3, 4, 5, 6});
  checkpoint.at("t").strides = {1, 3};  // a transposed view of [2, 3]
  EXPECT_THAT(*ReadFloats(Named(checkpoint, "t"), SharedDevice()), ElementsAre(1, 4, 2, 5, 3, 6));
  checkpoint.at("t").strides = {0, 1};  // an expanded row
  EXPECT_THAT(*ReadFloats(Named(checkpoint, "t"), SharedDevice()), ElementsAre(1, 2, 1, 2, 1, 2));
}

TEST(ConvertTest, KeepsTheMappedBytesWhereTheyFit) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("t", {20}, Eighths(20, 1));
  const NamedTensor tensor = Named(checkpoint, "t");
  EXPECT_EQ(ReadWeights(tensor, Element::kFloat32, SharedDevice())->data(), tensor.stored->data);
  EXPECT_NE(ReadWeights(tensor, Element::kFloat16, SharedDevice())->data(), tensor.stored->data);
  checkpoint.at("t").shape = {19};
  checkpoint.at("t").data += 1;  // misaligned: must be copied
  const auto copied = ReadWeights(tensor, Element::kFloat32, SharedDevice());
  EXPECT_NE(copied->data(), tensor.stored->data);
  EXPECT_EQ(std::memcmp(copied->data(), tensor.stored->data, 19 * sizeof(float)), 0);
}

TEST(ConvertTest, TakeCopyOwnsItsBytes) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("t", {8}, Eighths(8, 1));
  const NamedTensor tensor = Named(checkpoint, "t");
  auto bytes = std::move(*ReadWeights(tensor, Element::kFloat32, SharedDevice())).TakeCopy(32);
  EXPECT_NE(bytes.get(), tensor.stored->data);
  EXPECT_EQ(std::memcmp(bytes.get(), tensor.stored->data, 32), 0);
}

TEST(ConvertTest, LargeTensorsAreNarrowedElementByElement) {
  FakeCheckpoint checkpoint;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(50'001);
  for (float& value : values) value = normal(random);
  checkpoint.Add("t", {std::ssize(values)}, values);
  const auto halves = ReadWeights(Named(checkpoint, "t"), Element::kFloat16, SharedDevice());
  const auto brains = ReadWeights(Named(checkpoint, "t"), Element::kBfloat16, SharedDevice());
  ASSERT_OK(halves);
  ASSERT_OK(brains);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(reinterpret_cast<const uint16_t*>(halves->data())[i], ToFloat16(values[i]));
    ASSERT_EQ(reinterpret_cast<const uint16_t*>(brains->data())[i], ToBfloat16(values[i]));
  }
}

TEST(ConvertTest, TheFirstBadElementIsNamed) {
  FakeCheckpoint checkpoint;
  std::vector<float> values(30'000, 1.0f);
  values[20'003] = std::numeric_limits<float>::infinity();
  values[29'999] = std::nanf("");
  checkpoint.Add("t", {300, 100}, values);
  for (const Element type : {Element::kFloat32, Element::kFloat16, Element::kBfloat16}) {
    EXPECT_THAT(ReadWeights(Named(checkpoint, "t"), type, SharedDevice()),
                StatusIs(kInvalid, AllOf(HasSubstr("model.safetensors: tensor t"),
                                         HasSubstr("[200, 3] is inf"))));
  }
  EXPECT_FALSE(ReadFloats(Named(checkpoint, "t"), SharedDevice()).ok());
}

TEST(ConvertTest, OverflowIsToldFromInfinity) {
  FakeCheckpoint checkpoint;
  checkpoint.Add<float>("a", {2}, {1, -65520.0f}, StoredType::kFloat32);
  checkpoint.Add<double>("d", {2}, {1, 1e39}, StoredType::kFloat64);
  EXPECT_THAT(ReadWeights(Named(checkpoint, "a"), Element::kFloat16, SharedDevice()),
              StatusIs(kInvalid, HasSubstr("[1] is -65520, which overflows float16")));
  EXPECT_OK(ReadWeights(Named(checkpoint, "a"), Element::kBfloat16, SharedDevice()));
  EXPECT_THAT(ReadFloats(Named(checkpoint, "d"), SharedDevice()),
              StatusIs(kInvalid, HasSubstr("1e+39, which overflows float32")));
}

TEST(ConvertTest, ManyFloatsAreNarrowedUpToTheFirstThatOverflows) {
  std::vector<float> values(20000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 2048);
  std::vector<std::byte> bytes(2 * values.size());
  ASSERT_EQ(NarrowFloats(values, Element::kFloat16, bytes.data()), 20000);
  for (const size_t i : {size_t{0}, size_t{8191}, size_t{8192}, size_t{19999}}) {
    uint16_t half;
    std::memcpy(&half, &bytes[2 * i], 2);
    EXPECT_EQ(FromFloat16(half), values[i]) << i;
  }
  values[9000] = 65520;  // too large for float16, not for bfloat16
  values[17000] = INFINITY;
  EXPECT_EQ(NarrowFloats(values, Element::kFloat16, bytes.data()), 9000);
  EXPECT_EQ(NarrowFloats(values, Element::kBfloat16, bytes.data()), 17000);
  EXPECT_EQ(NarrowFloats({}, Element::kFloat16, nullptr), 0);
}

TEST(ConvertTest, ChoosesTheTypeAskedForOrTheStoredOne) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("a", {1}, StoredType::kFloat16);
  checkpoint.AddShape("d", {1}, StoredType::kFloat64);
  EXPECT_EQ(*ChooseWeightType(Named(checkpoint, "a"), WeightDtype::kAsStored), Element::kFloat16);
  EXPECT_EQ(*ChooseWeightType(Named(checkpoint, "d"), WeightDtype::kAsStored), Element::kFloat32);
  EXPECT_EQ(*ChooseWeightType(Named(checkpoint, "a"), WeightDtype::kBfloat16), Element::kBfloat16);
  EXPECT_EQ(*ChooseWeightType(Named(checkpoint, "a"), WeightDtype::kFloat32), Element::kFloat32);
}

TEST(SameValuesTest, ComparesAcrossTypesAndLayouts) {
  FakeCheckpoint checkpoint;
  const std::vector<float> values = Eighths(10'000, 5);
  std::vector<uint16_t> halves;
  for (float value : values) halves.push_back(ToFloat16(value));
  checkpoint.Add("a", {100, 100}, values);
  checkpoint.Add("b", {100, 100}, halves, StoredType::kFloat16);
  EXPECT_TRUE(SameValues(checkpoint.at("a"), checkpoint.at("a")));
  EXPECT_TRUE(SameValues(checkpoint.at("a"), checkpoint.at("b")));
  halves[9'999] ^= 1;
  checkpoint.Add("c", {100, 100}, halves, StoredType::kFloat16);
  EXPECT_FALSE(SameValues(checkpoint.at("a"), checkpoint.at("c")));
}

}  // namespace
}  // namespace dyad
