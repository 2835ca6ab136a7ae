// dyadctl tokenize and detokenize, whole: with a server and without one.
#include "client/dyadctl.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::DemoModelDir;
using testing::FakeServer;
using ::testing::HasSubstr;
using testing::RunDyadctl;

TEST(TokenizeCommandTest, ABatchGivesIds) {
  FakeServer server;
  const auto run = RunDyadctl({"tokenize", "--input=-", "--server", server.address()},
                              "{\"text\":\"ab\"}\n{\"text\":\"ab\",\"add_special_tokens\":false}\n"
                              "{\"ids\":[1]}\n");
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out,
              HasSubstr("{\"ids\":[2,97,98]}\n{\"ids\":[97,98]}\n{\"ids\":[1],\"error\":"));
}

TEST(TokenizeCommandTest, FlagsHoldForLinesThatSayNothing) {
  FakeServer server;
  EXPECT_EQ(
      RunDyadctl({"tokenize", "ab", "--add_special_tokens=false", "--server", server.address()})
          .out,
      "97 98\n");
  EXPECT_EQ(RunDyadctl({"tokenize", "ab", "--json", "--server", server.address()}).out,
            "{\"ids\":[2,97,98]}\n");
}

TEST(TokenizeCommandTest, DetokenizeIsTheWayBack) {
  FakeServer server;
  const auto run = RunDyadctl({"detokenize", "--input=-", "--server", server.address()},
                              "{\"ids\":[2,97]}\n{\"ids\":[2,97],\"skip_special_tokens\":true}\n");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "{\"text\":\"</s>a\"}\n{\"text\":\"a\"}\n");
  EXPECT_EQ(RunDyadctl({"detokenize", "97", "98", "--server", server.address()}).out, "ab\n");
  EXPECT_EQ(RunDyadctl({"detokenize", "97,98", "--json", "--server", server.address()}).out,
            "{\"text\":\"ab\"}\n");
}

TEST(TokenizeCommandTest, WorksOfflineWithAFolder) {
  const std::string folder = "--tokenizer=" + DemoModelDir().string();
  const auto ids = RunDyadctl({"tokenize", "Once upon a time", "--json", folder});
  ASSERT_EQ(ids.status, 0) << ids.err;
  EXPECT_THAT(ids.out, HasSubstr("{\"ids\":[2,"));  // the tokenizer's own </s>
  const auto text =
      RunDyadctl({"detokenize", "--input=-", "--skip_special_tokens", folder}, ids.out);
  EXPECT_EQ(text.out, "{\"text\":\"Once upon a time\"}\n");
}

TEST(TokenizeCommandTest, NamesAFolderWithoutTokenizer) {
  const auto run = RunDyadctl({"tokenize", "a", "--tokenizer=" + testing::FixturesDir().string()});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("has no tokenizer files"));
}

TEST(TokenizeCommandTest, NeedsSomethingToDo) {
  EXPECT_EQ(RunDyadctl({"tokenize"}).status, 2);
  EXPECT_EQ(RunDyadctl({"detokenize"}).status, 2);
  EXPECT_THAT(RunDyadctl({"detokenize", "x"}).err, HasSubstr("\"x\" is no token id"));
}

}  // namespace
}  // namespace dyad::client
