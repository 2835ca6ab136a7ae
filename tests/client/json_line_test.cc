// JSON lines: numbers that read back to the same bits, and bad text as errors.
#include "client/json_line.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(JsonLineTest, FloatsPrintAsTheirOwnShortestDecimal) {
  EXPECT_EQ(FormatLine(FloatJson(0.1f)), "0.1");
  EXPECT_EQ(FormatLine(FloatJson(-1.25f)), "-1.25");
  EXPECT_EQ(FormatLine(FloatJson(16777216.0f)), "16777216.0");
  EXPECT_EQ(FormatLine(FloatJson(1e-30f)), "1e-30");
  EXPECT_EQ(FormatLine(FloatJson(-INFINITY)), "null");
  EXPECT_EQ(FormatLine(FloatJson(NAN)), "null");
}

TEST(JsonLineTest, AnyFloatReadsBackToItsBits) {
  std::mt19937 random(1);
  int all = 0, short_ones = 0;
  for (int i = 0; i < 20000; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random());
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    const std::string text = FormatLine(FloatJson(value));
    EXPECT_EQ(std::strtof(text.c_str(), nullptr), value) << text;
    short_ones += text.size() <= 16 ? 1 : 0;  // 9 digits, sign, point, exponent
    ++all;
  }
  // The library's printing is not the shortest for all; as doubles, hardly any float would be
  // short.
  EXPECT_GT(short_ones, all * 9 / 10);
}

TEST(JsonLineTest, AnyDoubleReadsBackToItsBits) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    EXPECT_EQ(std::strtod(FormatLine(Json(value)).c_str(), nullptr), value);
  }
}

// So does Python: files of both are compared byte by byte.
TEST(JsonLineTest, NoDoubleHasMoreDigitsThanItNeeds) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> sums(-200, 0);
  for (int i = 0; i < 100'000; ++i) {
    const double value = sums(random);
    std::array<char, 32> shorter;
    std::snprintf(shorter.data(), shorter.size(), "%.16g", value);
    if (std::strtod(shorter.data(), nullptr) != value) continue;
    EXPECT_LE(FormatLine(Json(value)).size(), std::strlen(shorter.data())) << value;
  }
}

TEST(JsonLineTest, DoublesThatAreWholeStayDoubles) {
  EXPECT_EQ(FormatLine(Json(-3.0)), "-3.0");
  EXPECT_EQ(FormatLine(Json(1e22)), "1e+22");
}

TEST(JsonLineTest, KeepsKeysInOrderAndIntegersWhole) {
  const Json json = {{"z", 1}, {"a", {1, nullptr, true}}, {"seed", 18446744073709551615u}};
  EXPECT_EQ(FormatLine(json), R"({"z":1,"a":[1,null,true],"seed":18446744073709551615})");
}

TEST(JsonLineTest, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(FormatLine({{"text", "a\xff"}}), "{\"text\":\"a\xef\xbf\xbd\"}");
}

TEST(JsonLineTest, ReadsAnObject) {
  const auto json = ParseLine(" {\"a\": 0.1}\r");
  ASSERT_OK(json);
  EXPECT_EQ(FormatLine(*json), R"({"a":0.1})");
}

TEST(JsonLineTest, RefusesWhatIsNoObject) {
  for (const char* line : {"", "{", "[1]", "7", "{\"a\":1} x", "{\"a\":\"\xff\"}", "nul"}) {
    EXPECT_EQ(ParseLine(line).status().code(), absl::StatusCode::kInvalidArgument) << line;
  }
  EXPECT_THAT(ParseLine("[1]"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("array")));
}

TEST(JsonLineTest, SaysWhereALineStopsBeingJson) {
  const struct {
    const char* line;
    const char* message;
  } rows[] = {
      {"{\"a\": \"caf\xe9\"}", "no UTF-8 at byte 10"},
      {"{\"a\": nul}", "not JSON at byte 9"},
      {"{\"a\": 1", "not JSON at byte 7, the end"},
      {"", "not JSON at byte 0, the end"},
      {"{\"a\": NaN}", "not JSON at byte 6; NaN and Infinity are Python's: JSON has null"},
      {"{\"a\": -Infinity}", "not JSON at byte 7; NaN and Infinity are Python's: JSON has null"},
      {"{\"a\": 1e999}", "not JSON: a number is too large"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(ParseLine(row.line), StatusIs(absl::StatusCode::kInvalidArgument, row.message))
        << row.line;
  }
}

TEST(JsonLineTest, RefusesDeepNestingWithoutRecursion) {
  const std::string deep = "{\"a\":" + std::string(200000, '[') + std::string(200000, ']') + "}";
  EXPECT_THAT(ParseLine(deep), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nested")));
  EXPECT_OK(ParseLine("{\"a\":" + std::string(60, '[') + std::string(60, ']') + "}"));
}

TEST(JsonLineTest, ErrorsNameTheCode) {
  const std::string line = FormatLine(ErrorJson(absl::ResourceExhaustedError("queue \"full\"")));
  EXPECT_EQ(line, R"({"error":{"code":"RESOURCE_EXHAUSTED","message":"queue \"full\""}})");
}

}  // namespace
}  // namespace dyad::client
