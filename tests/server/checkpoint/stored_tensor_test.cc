// Types, shapes and names of stored tensors.
#include "server/checkpoint/stored_tensor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kHuge = int64_t{1} << 40;

StoredTensor WithShape(std::vector<int64_t> shape, std::vector<int64_t> strides) {
  StoredTensor tensor;
  tensor.shape = std::move(shape);
  tensor.strides = std::move(strides);
  return tensor;
}

TEST(StoredTensorTest, EveryTypeHasItsSizeAndName) {
  const struct {
    StoredType type;
    int64_t bytes;
    std::string_view name;
  } kExpected[] = {{StoredType::kFloat32, 4, "float32"},   {StoredType::kFloat16, 2, "float16"},
                   {StoredType::kBfloat16, 2, "bfloat16"}, {StoredType::kFloat64, 8, "float64"},
                   {StoredType::kInt64, 8, "int64"},       {StoredType::kInt32, 4, "int32"},
                   {StoredType::kInt16, 2, "int16"},       {StoredType::kInt8, 1, "int8"},
                   {StoredType::kUint8, 1, "uint8"},       {StoredType::kBool, 1, "bool"}};
  for (const auto& row : kExpected) {
    EXPECT_EQ(StoredBytes(row.type), row.bytes);
    EXPECT_EQ(StoredName(row.type), row.name);
  }
}

TEST(StoredTensorTest, CountsElementsAndRefusesWhatOverflows) {
  EXPECT_EQ(ElementCount({}), 1);
  EXPECT_EQ(ElementCount(std::vector<int64_t>{2, 3, 4}), 24);
  EXPECT_EQ(ElementCount(std::vector<int64_t>{0, kHuge, kHuge}), 0);
  EXPECT_EQ(ElementCount(std::vector<int64_t>{kHuge, kHuge}), std::nullopt);
  EXPECT_EQ(ElementCount(std::vector<int64_t>{kHuge, kHuge, 0}), std::nullopt);
  EXPECT_EQ(ElementCount(std::vector<int64_t>{2, -1}), std::nullopt);
}

TEST(StoredTensorTest, ContiguousStridesAreRowMajor) {
  EXPECT_THAT(ContiguousStrides(std::vector<int64_t>{2, 3, 4}), ElementsAre(12, 4, 1));
  EXPECT_THAT(ContiguousStrides({}), ElementsAre());
  EXPECT_EQ(ContiguousStrides(std::vector<int64_t>{0, kHuge, kHuge}).size(), 3u);
}

TEST(StoredTensorTest, KnowsWhetherItIsContiguous) {
  EXPECT_TRUE(WithShape({2, 3}, {3, 1}).contiguous());
  EXPECT_TRUE(WithShape({}, {}).contiguous());
  EXPECT_FALSE(WithShape({2, 3}, {1, 2}).contiguous());  // transposed
  EXPECT_FALSE(WithShape({2, 3}, {4, 1}).contiguous());  // rows with gaps
  EXPECT_TRUE(WithShape({1, 3}, {99, 1}).contiguous());  // a stride that is never used
  EXPECT_TRUE(WithShape({0, 3}, {7, 7}).contiguous());   // no element
}

TEST(StoredTensorTest, SpanReachesTheLastElement) {
  EXPECT_EQ(WithShape({2, 3}, {3, 1}).span_bytes(), 24);
  EXPECT_EQ(WithShape({2, 3}, {4, 1}).span_bytes(), 28);
  EXPECT_EQ(WithShape({}, {}).span_bytes(), 4);
  EXPECT_EQ(WithShape({0, 3}, {3, 1}).span_bytes(), 0);
}

TEST(StoredTensorTest, NamesArePrintableAndBounded) {
  EXPECT_OK(CheckTensorName("model.decoder.layers.0.fc1.wu"));
  EXPECT_OK(CheckTensorName(std::string(kMaxTensorName, 'a')));
  EXPECT_THAT(CheckTensorName(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(
      CheckTensorName(std::string(kMaxTensorName + 1, 'a')),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("513 bytes, expected at most 512")));
  EXPECT_THAT(CheckTensorName("a\nb"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a\\nb' holds byte 10")));
  EXPECT_THAT(CheckTensorName("\xc3\xa9"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("byte 195")));
}

TEST(StoredTensorTest, ShapesPrintAsLists) {
  EXPECT_EQ(ShapeText(std::vector<int64_t>{2, 3}), "[2, 3]");
  EXPECT_EQ(ShapeText({}), "[]");
}

}  // namespace
}  // namespace dyad
