// Both forms of a line, with values that try to break out of it.
#include "server/base/log_line.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace dyad {
namespace {

TEST(LogLineTest, TextIsKeyValue) {
  EXPECT_EQ(LogLine(LogFormat::kText, "rpc",
                    {{"code", "OK"}, {"tokens", int64_t{7}}, {"total_seconds", 0.25}}),
            "rpc code=OK tokens=7 total_seconds=0.250000");
}

TEST(LogLineTest, TextQuotesWhatHasBlanksQuotesOrEqualSigns) {
  EXPECT_EQ(
      LogLine(LogFormat::kText, "e",
              {{"a", "x y"}, {"b", "x\"y"}, {"c", "x=y"}, {"d", ""}, {"e", "ipv4:1.2.3.4:5"}}),
      R"(e a="x y" b="x\"y" c="x=y" d="" e=ipv4:1.2.3.4:5)");
}

TEST(LogLineTest, NoValueBreaksTheLine) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line = LogLine(format, "e", {{"a", "one\ntwo\r\x1b[31m\x7f"}});
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    EXPECT_EQ(line.find('\r'), std::string::npos) << line;
    EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
  }
}

TEST(LogLineTest, JsonMembersParse) {
  const std::string line = LogLine(
      LogFormat::kJson, "rpc", {{"a", "x\"\n"}, {"n", int64_t{-3}}, {"s", 1.5}, {"bad", "\xff!"}});
  const nlohmann::json json = nlohmann::json::parse("{" + line + "}");
  EXPECT_EQ(json["event"], "rpc");
  EXPECT_EQ(json["a"], "x\"\n");
  EXPECT_EQ(json["n"], -3);
  EXPECT_EQ(json["s"], 1.5);
  EXPECT_EQ(json["bad"], "\xEF\xBF\xBD!");
}

}  // namespace
}  // namespace dyad
