// dyadctl generate, whole.
#include "client/dyadctl.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::RunDyadctl;

TEST(GenerateCommandTest, StreamsTheTextToPeople) {
  FakeServer server;
  const auto run = RunDyadctl({"generate", "abc", "--server", server.address()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "cba\n");
  EXPECT_THAT(run.err, HasSubstr("tokens"));
}

TEST(GenerateCommandTest, JsonHasIdsTextReasonAndSeed) {
  FakeServer server;
  const auto run = RunDyadctl(
      {"generate", "ab", "--json", "--max_new_tokens=1", "--seed=9", "--server", server.address()});
  EXPECT_EQ(run.out,
            "{\"ids\":[98],\"text\":\"b\",\"finish_reason\":\"EOS\",\"seed\":9,"
            "\"request_id\":\"r1\",\"model\":\"fake\",\"model_digest\":\"d1\",\"arithmetic\":"
            "\"exact\"}\n");
}

TEST(GenerateCommandTest, SeveralChoicesArePrintedOneByOne) {
  FakeServer server;
  EXPECT_EQ(RunDyadctl({"generate", "ab", "--n=2", "--server", server.address()}).out,
            "[0] ba\n[1] ba\n");
}

TEST(GenerateCommandTest, ABatchTakesOptionsFromLinesAndFlags) {
  FakeServer server;
  const auto run = RunDyadctl(
      {"generate", "--server", server.address(), "--input=-", "--max_new_tokens=2", "--ignore_eos"},
      "{\"text\":\"abc\",\"seed\":1}\n"
      "{\"ids\":[65,66],\"max_new_tokens\":1,\"ignore_eos\":false}\n"
      "{\"text\":\"ab\",\"temperature\":101}\n"
      "{\"text\":\"ab\",\"tempratur\":1}\n"
      "{\"text\":\"ab\",\"n\":2}\n");
  EXPECT_EQ(run.status, 1);
  std::istringstream lines(run.out);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, R"({"ids":[99,98],"text":"cb","finish_reason":"LENGTH","seed":1})");
  std::getline(lines, line);
  EXPECT_EQ(line, R"({"ids":[66],"text":"B","finish_reason":"EOS","seed":18446744073709551615})");
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("temperature: must be"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("tempratur"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"({"choices":[{"index":0,"ids":[98,97])"));
}

TEST(GenerateCommandTest, OwnKeysComeBackWithAnswerAndError) {
  FakeServer server;
  const auto run = RunDyadctl({"generate", "--server", server.address(), "--input=-"},
                              "{\"id\":7,\"text\":\"ab\",\"seed\":1}\n"
                              "{\"id\":8,\"text\":\"ab\",\"temperature\":101}\n");
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("{\"id\":7,\"ids\":[98,97],\"text\":\"ba\","));
  EXPECT_THAT(run.out, HasSubstr("\n{\"id\":8,\"error\":{"));
}

TEST(GenerateCommandTest, PromptsMayBeIds) {
  FakeServer server;
  EXPECT_EQ(RunDyadctl({"generate", "--ids=65,66", "--server", server.address()}).out, "BA\n");
}

TEST(GenerateCommandTest, APromptMayComeByFlag) {
  FakeServer server;
  EXPECT_EQ(RunDyadctl({"generate", "--text=--x", "--server", server.address()}).out, "x--\n");
  EXPECT_EQ(RunDyadctl({"generate", "--text=x", "--input=-"}).status, 2);
}

TEST(GenerateCommandTest, LogprobsPrintAsFloats) {
  FakeServer server;
  EXPECT_THAT(
      RunDyadctl({"generate", "a", "--json", "--logprobs=0", "--server", server.address()}).out,
      HasSubstr(R"("logprobs":[{"id":97,"text":"","bytes":[],"logprob":-0.1,"top":[]}])"));
}

TEST(GenerateCommandTest, NamesAModelThatIsNotThere) {
  FakeServer server;
  const auto run =
      RunDyadctl({"generate", "a", "--json", "--model=7", "--server", server.address()});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err, "dyadctl generate: NOT_FOUND: model is 7; this server has fake\n");
}

TEST(GenerateCommandTest, NeedsOnePrompt) {
  EXPECT_EQ(RunDyadctl({"generate"}).status, 2);
  EXPECT_THAT(RunDyadctl({"generate", "a", "b"}).err, HasSubstr("one text"));
  EXPECT_THAT(RunDyadctl({"generate", "a", "--ids=1"}).err, HasSubstr("give one of them"));
}

}  // namespace
}  // namespace dyad::client
