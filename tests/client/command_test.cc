// What commands share: flags, defaults, lists of ids.
#include "client/command.h"

#include <algorithm>

#include "client/commands.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

Arguments Parse(const std::vector<std::string>& words) {
  return *Arguments::Parse(words, AllFlags(ScoreCommand()));
}

TEST(CommandTest, NoCommandHasAFlagTwice) {
  for (const Command& command :
       {GenerateCommand(), ScoreCommand(), PairsCommand(), BlimpCommand(), TokenizeCommand(),
        DetokenizeCommand(), ModelsCommand(), HealthCommand()}) {
    std::vector<std::string> names;
    for (const Flag& flag : AllFlags(command)) names.emplace_back(flag.name);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end()) << command.name;
    for (const std::string& name : names) EXPECT_EQ(name.find('-'), std::string::npos) << name;
  }
}

TEST(CommandTest, ConnectionsComeFromFlags) {
  const ConnectionOptions options =
      ConnectionFrom(Parse({"--server=h:1", "--tls_ca=a", "--tls_cert=b", "--tls_key=c"}));
  EXPECT_EQ(options.server, "h:1");
  EXPECT_EQ(options.tls_ca, "a");
  EXPECT_EQ(options.tls_cert, "b");
  EXPECT_EQ(options.tls_key, "c");
  EXPECT_EQ(ConnectionFrom(Parse({})).server, "127.0.0.1:50051");
}

TEST(CommandTest, TimeoutsAreSecondsAboveZero) {
  EXPECT_OK(ClientFrom(Parse({"--timeout=0.5"})));
  for (const char* wrong : {"--timeout=0", "--timeout=-1", "--timeout=x", "--timeout=nan"}) {
    EXPECT_THAT(ClientFrom(Parse({wrong})),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--timeout is")))
        << wrong;
  }
}

TEST(CommandTest, BatchesComeFromFlags) {
  const auto options = BatchFrom(Parse({"--input=i", "--output=o", "--concurrency=256"}));
  ASSERT_OK(options);
  EXPECT_EQ(options->input, "i");
  EXPECT_EQ(options->output, "o");
  EXPECT_EQ(options->concurrency, 256);
  EXPECT_EQ(BatchFrom(Parse({"--input=i"}))->concurrency, 16);
  EXPECT_FALSE(BatchFrom(Parse({"--input=i", "--concurrency=257"})).ok());
  EXPECT_THAT(BatchFrom(Parse({"--input=i", "text"})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"text\"")));
}

TEST(CommandTest, FieldsAreNumbersWhereTheyReadAsNumbers) {
  const Json fields =
      FieldsFrom(Parse({"--top_n=3", "--convention=BABYLM"}), {"top_n", "convention", "context"});
  EXPECT_EQ(FormatLine(fields), R"({"top_n":3,"convention":"BABYLM"})");
}

TEST(CommandTest, ALineWinsOverDefaults) {
  EXPECT_EQ(FormatLine(WithDefaults({{"a", 1}, {"b", 2}}, {{"b", 3}, {"c", 4}})),
            R"({"a":1,"b":3,"c":4})");
}

TEST(CommandTest, IdsComeInSeveralSpellings) {
  for (const char* text : {"1,2,3", "[1, 2, 3]", "1 2 3", " 1, 2,3 "}) {
    EXPECT_EQ(FormatLine(*IdList("--ids", text)), "[1,2,3]") << text;
  }
  EXPECT_EQ(FormatLine(*IdList("--ids", "")), "[]");
  EXPECT_THAT(IdList("--ids", "1,x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--ids: \"x\"")));
  EXPECT_FALSE(IdList("--ids", "4294967296").ok());
}

}  // namespace
}  // namespace dyad::client
