// The texts are those of Python 3: json.dumps(value, sort_keys=True, separators=(",", ":"),
// ensure_ascii=False).
#include "client/canonical_json.h"

#include "gtest/gtest.h"

namespace dyad::client {
namespace {

TEST(CanonicalJsonTest, SortsKeysAtEveryDepthAndHasNoBlanks) {
  EXPECT_EQ(CanonicalJson(*ParseJson(R"({"b": [1, {"z": null, "a": true}], "a": {}, "B": []})")),
            R"({"B":[],"a":{},"b":[1,{"a":true,"z":null}]})");
}

TEST(CanonicalJsonTest, TextsAreUtf8AndEscapedAsLittleAsCanBe) {
  EXPECT_EQ(
      CanonicalJson(*ParseJson(R"("\u00e9\u4e2d\ud83d\ude00\u007f\"\\\/\b\f\n\r\t\u0001\u001f")")),
      "\"é中😀\x7f\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\"");
}

TEST(CanonicalJsonTest, KeysAreInTheOrderOfCodePoints) {
  EXPECT_EQ(CanonicalJson(*ParseJson(R"({"😀": 1, "é": 2, "z": 3, "": 4})")),
            R"({"":4,"z":3,"é":2,"😀":1})");
}

TEST(CanonicalJsonTest, NumbersAreThoseOfPython) {
  const std::pair<const char*, const char*> texts[] = {
      {"0", "0"},
      {"-7", "-7"},
      {"18446744073709551615", "18446744073709551615"},
      {"0.0", "0.0"},
      {"-0.0", "-0.0"},
      {"1.0", "1.0"},
      {"-1.5", "-1.5"},
      {"0.1", "0.1"},
      {"1e-4", "0.0001"},
      {"1.25e-4", "0.000125"},
      {"1e-5", "1e-05"},
      {"1.5e-7", "1.5e-07"},
      {"123456789012345.6", "123456789012345.6"},
      {"1e15", "1000000000000000.0"},
      {"1.5e15", "1500000000000000.0"},
      {"9007199254740993.0", "9007199254740992.0"},
      {"1e16", "1e+16"},
      {"1e22", "1e+22"},
      {"1.7976931348623157e308", "1.7976931348623157e+308"},
      {"5e-324", "5e-324"},
      {"0.30000000000000004", "0.30000000000000004"},
      {"100.0", "100.0"},
      {"9.5e-1", "0.95"}};
  for (const auto& [text, canonical] : texts) {
    EXPECT_EQ(CanonicalJson(*ParseJson(text)), canonical);
  }
}

}  // namespace
}  // namespace dyad::client
