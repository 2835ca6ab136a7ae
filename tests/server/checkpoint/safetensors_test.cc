// Safetensors: well-formed headers, and one bent in each way.
#include "server/checkpoint/safetensors.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::HeapBytes;
using ::dyad::testing::Little;
using ::dyad::testing::MakeSafetensors;
using ::dyad::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::Status ReadBytes(const std::string& bytes) {
  return ReadSafetensors(HeapBytes(bytes).view(), "m.safetensors").status();
}
// 8 bytes of data.
absl::Status Read(std::string_view header) {
  return ReadBytes(MakeSafetensors(header, "12345678"));
}

TEST(SafetensorsTest, FindsTensorsInAnyOrder) {
  const HeapBytes bytes(MakeSafetensors(
      R"({"b": {"dtype":"F16","shape":[2,1],"data_offsets":[4,8]}, "__metadata__": {"format":"pt"},
          "a": {"shape":[],"data_offsets":[0,4],"dtype":"F32"},
          "none": {"dtype":"I64","shape":[3,0],"data_offsets":[4,4]}}    )",
      "aaaabbbb"));
  const auto tensors = ReadSafetensors(bytes.view(), "m.safetensors");
  ASSERT_OK(tensors);
  ASSERT_EQ(tensors->size(), 3u);
  const StoredTensor& b = tensors->at("b");
  EXPECT_EQ(b.type, StoredType::kFloat16);
  EXPECT_THAT(b.shape, ElementsAre(2, 1));
  EXPECT_TRUE(b.contiguous());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(b.data), 4), "bbbb");
  EXPECT_EQ(b.file, "m.safetensors");
  EXPECT_EQ(tensors->at("a").elements(), 1);
  EXPECT_EQ(tensors->at("none").elements(), 0);
}

TEST(SafetensorsTest, KnowsEveryType) {
  const std::tuple<const char*, StoredType, int> kTypes[] = {
      {"F32", StoredType::kFloat32, 2},   {"F16", StoredType::kFloat16, 4},
      {"BF16", StoredType::kBfloat16, 4}, {"F64", StoredType::kFloat64, 1},
      {"I64", StoredType::kInt64, 1},     {"I32", StoredType::kInt32, 2},
      {"I16", StoredType::kInt16, 4},     {"I8", StoredType::kInt8, 8},
      {"U8", StoredType::kUint8, 8},      {"BOOL", StoredType::kBool, 8}};
  for (const auto& [name, type, count] : kTypes) {
    const HeapBytes bytes(MakeSafetensors(absl::StrCat(R"({"a":{"dtype":")", name, R"(","shape":[)",
                                                       count, R"(],"data_offsets":[0,8]}})"),
                                          "12345678"));
    const auto tensors = ReadSafetensors(bytes.view(), "m");
    ASSERT_OK(tensors);
    EXPECT_EQ(tensors->at("a").type, type);
  }
  EXPECT_THAT(
      Read(R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})"),
      StatusIs(kInvalid, HasSubstr("'m.safetensors': header: tensor 'a': dtype is 'F8_E4M3'")));
}

TEST(SafetensorsTest, RefusesEveryTruncation) {
  const std::string whole =
      MakeSafetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_OK(ReadBytes(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(ReadBytes(whole.substr(0, size)), StatusIs(kDataLoss, HasSubstr("expected at")))
        << size;
  }
  EXPECT_THAT(
      ReadBytes(whole + "x"),
      StatusIs(kInvalid, HasSubstr("9 bytes of data, expected the 8 that its tensors cover")));
}

TEST(SafetensorsTest, HeaderLengthsAreCheckedBeforeUse) {
  for (const uint64_t length :
       {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{kMaxSafetensorsHeader} + 1}) {
    EXPECT_THAT(ReadBytes(Little(length, 8) + "{}"),
                StatusIs(kInvalid, HasSubstr("expected at most 100000000")));
  }
  EXPECT_THAT(ReadBytes(Little(3, 8) + "{}"), StatusIs(kDataLoss, HasSubstr("expected at most 2")));
}

TEST(SafetensorsTest, RefusesSpansThatDoNotFit) {
  EXPECT_THAT(Read(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})"),
              StatusIs(kInvalid, HasSubstr("[8, 0], expected begin <= end")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("span 8 bytes, expected 12 for shape [3] of float32")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})"),
              StatusIs(kDataLoss, HasSubstr("end at 12, expected at most 8")));
  EXPECT_THAT(
      Read(R"({"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},
                       "b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})"),
      StatusIs(kInvalid, HasSubstr("'b' overlaps 'a': data_offsets begin at 4, expected 6")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                       "b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})"),
              StatusIs(kInvalid, HasSubstr("'b' leaves a gap after 'a'")));
}

TEST(SafetensorsTest, RefusesShapesThatOverflow) {
  // (2^62 + 2) * 4 bytes is 8 in 64 bits.
  EXPECT_THAT(Read(R"({"a":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("more than 2^63 - 1 bytes")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"),
              StatusIs(kInvalid, HasSubstr("more than 2^63 - 1 bytes")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("a number above 2^63 - 1")));
  EXPECT_THAT(
      Read(
          R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,8],"data_offsets":[0,8]}})"),
      StatusIs(kInvalid, HasSubstr("shape has more than 16 numbers")));
}

TEST(SafetensorsTest, RefusesFieldsOfAnotherKind) {
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[-8],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid,
                       HasSubstr("tensor 'a': shape holds the number -8, expected integers >= 0")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[8.0],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("no integer")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[[8]],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("shape holds an array")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":8,"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("shape is a number, expected an array")));
  EXPECT_THAT(Read(R"({"a":{"dtype":["U8"],"shape":[8],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("dtype is an array, expected a string")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":{},"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("shape is an object")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0]}})"),
              StatusIs(kInvalid, HasSubstr("data_offsets has 1 numbers, expected 2")));
  EXPECT_THAT(Read(R"({"a":7})"), StatusIs(kInvalid, HasSubstr("key 'a' is a number")));
  EXPECT_THAT(Read(R"({"__metadata__":{"a":7}})"),
              StatusIs(kInvalid, HasSubstr("expected strings")));
  EXPECT_THAT(Read(R"({"__metadata__":"x"})"),
              StatusIs(kInvalid, HasSubstr("'__metadata__' is a string")));
  EXPECT_THAT(Read("[]"), StatusIs(kInvalid, HasSubstr("header is an array, expected an object")));
}

TEST(SafetensorsTest, RefusesFieldsThatAreAbsentUnknownOrTwice) {
  EXPECT_THAT(Read(R"({"a":{"shape":[8],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("has no dtype")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("has no shape")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[8]}})"),
              StatusIs(kInvalid, HasSubstr("has no data_offsets")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[8],"shape":[8],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("'shape' is unknown or given twice")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[8],"strides":[8],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("'strides' is unknown")));
  EXPECT_THAT(Read(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},
                       "a":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}})"),
              StatusIs(kInvalid, HasSubstr("'a' is listed twice")));
  EXPECT_THAT(Read(R"({"a\u0007":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})"),
              StatusIs(kInvalid, HasSubstr("printable ASCII")));
}

TEST(SafetensorsTest, NumberOfTensorsIsBounded) {
  std::string header = "{";
  for (size_t i = 0; i <= kMaxTensors; ++i) {
    header += absl::StrCat(i == 0 ? "" : ",", "\"", i,
                           R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  }
  EXPECT_THAT(ReadBytes(MakeSafetensors(header + "}", "")),
              StatusIs(kInvalid, HasSubstr("more than 32768 tensors")));
}

TEST(SafetensorsTest, RefusesWhatIsNotJson) {
  EXPECT_THAT(Read("{\"a\":"),
              StatusIs(kInvalid, HasSubstr("'m.safetensors': header: is not JSON at line 1")));
  EXPECT_THAT(Read(std::string(100'000, '{')), StatusIs(kInvalid, HasSubstr("nested 9 deep")));
}

}  // namespace
}  // namespace dyad
