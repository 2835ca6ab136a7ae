// Records by themselves, and each option of each command changed alone.
#include "client/run_record.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::StatusIs;
using testing::TemporaryFolder;

TEST(RunRecordTest, TheFirstAnswerNamesTheRunAndEachItsLine) {
  const RunRecord record({.run = {{"command", "score"}}});
  EXPECT_EQ(ShortDigest("abc"), "ba7816bf8f01cfea414140de5dae2223");
  const std::string digest = ShortDigest("{\"command\":\"score\"}\nline");
  EXPECT_EQ(record.Of(0, "line"), Json({{"line", digest}, {"run", {{"command", "score"}}}}));
  EXPECT_EQ(record.Of(1, "line"), Json({{"line", digest}}));
}

TEST(RunRecordTest, ChecksTheRunThenTheLine) {
  const RunRecord record({.run = {{"command", "score"}, {"top_n", 3}}});
  const auto check = [&](int64_t number, const Json& found) {
    return record.Check(number, "line", {{"sum", 1}, {kRecordKey, found}});
  };
  const auto fails = [](const std::string& text) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(text));
  };
  EXPECT_OK(check(0, record.Of(0, "line")));
  EXPECT_OK(check(7, record.Of(7, "line")));
  EXPECT_THAT(check(7, record.Of(7, "lime")), fails("line 8 does not answer line 8"));
  const RunRecord other({.run = {{"command", "score"}, {"details", true}}});
  EXPECT_THAT(check(0, other.Of(0, "line")),
              fails("another run: top_n is not given there and 3 now, details is true there and "
                    "not given now"));
  EXPECT_THAT(check(1, other.Of(1, "line")), fails("line 2 does not"));
  for (const Json& broken : {Json(), Json(7), Json("x"), Json::array(), Json::object()}) {
    EXPECT_THAT(check(0, broken), fails("line 1 is no answer of a run"));
  }
  EXPECT_THAT(check(0, {{"run", 7}}), fails("another run"));
  EXPECT_THAT(record.Check(0, "line", Json::object()), fails("line 1 is no answer"));
}

// Whoever serves another model by the same name changes the answers to lines that name it.
TEST(RunRecordTest, TheModelThatALineNamesIsPartOfTheLine) {
  const RunRecord one({.models = {{"m", {{"model_digest", "d1"}}}}});
  const RunRecord two({.models = {{"m", {{"model_digest", "d2"}}}}});
  EXPECT_NE(one.Of(1, R"({"model":"m"})"), two.Of(1, R"({"model":"m"})"));
  for (const char* line :
       {R"({"text":"a"})", R"({"model":"other"})", R"("model")", R"({"model":7})"}) {
    EXPECT_EQ(one.Of(1, line), two.Of(1, line)) << line;
  }
}

// Runs a command into one file again and again.
class OutputOfRunTest : public ::testing::Test {
 protected:
  testing::DyadctlRun Run(const std::string& command, std::vector<std::string> flags = {}) {
    const std::string lines = command == "detokenize" ? "{\"ids\":[97]}\n{\"ids\":[98]}\n"
                              : command == "pairs"
                                  ? "{\"sentence_good\":\"a\",\"sentence_bad\":\"b\"}\n"
                                  : "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    flags.insert(flags.begin(), {command, "--server=" + server_.address(),
                                 "--input=" + folder_.Write("in", lines), "--output=" + out_});
    return testing::RunDyadctl(flags);
  }

  testing::FakeServer server_;
  TemporaryFolder folder_;
  const std::string out_ = folder_.Path("out");
};

TEST_F(OutputOfRunTest, EachOptionChangedAloneIsAnotherRun) {
  const std::map<std::string, std::vector<std::string>> options = {
      {"score", {"convention=BABYLM", "special_tokens=LITERAL", "top_n=1", "details"}},
      {"generate",
       {"max_new_tokens=1", "temperature=0.5", "top_k=3", "top_p=0.5", "min_p=0.1",
        "repetition_penalty=1.1", "presence_penalty=1", "frequency_penalty=1",
        "logit_bias={\"5\":1}", "seed=1", "n=2", "logprobs=1", "special_tokens=LITERAL",
        "stop_ids=5", "ignore_eos", "echo", "stop=x"}},
      {"pairs", {"convention=BABYLM", "special_tokens=LITERAL"}},
      {"tokenize", {"add_special_tokens=false", "special_tokens=LITERAL", "details"}},
      {"detokenize", {"skip_special_tokens"}}};
  for (const auto& [command, flags] : options) {
    std::filesystem::remove(out_);
    ASSERT_EQ(Run(command).status, 0);
    const std::string whole = folder_.Read("out");
    for (const std::string& flag : flags) {
      const std::string name = flag.substr(0, flag.find('='));
      const auto run = Run(command, {"--" + flag});
      EXPECT_EQ(run.status, 1) << command << " " << flag;
      EXPECT_THAT(run.err, HasSubstr("another run: " + name + " is "));
      EXPECT_THAT(run.err, Not(HasSubstr(" now, ")));  // nothing else
      EXPECT_EQ(folder_.Read("out"), whole);
    }
    EXPECT_EQ(Run(command).status, 0);
    EXPECT_EQ(folder_.Read("out"), whole);
  }
}

TEST_F(OutputOfRunTest, AnotherModelByTheSameNameIsAnotherRun) {
  ASSERT_EQ(Run("score").status, 0);
  const std::string whole = folder_.Read("out");
  const v1::Model model = server_.model();
  for (const char* key :
       {"model_digest", "tokenizer_digest", "weight_dtype", "kv_dtype", "arithmetic"}) {
    v1::Model& changed = server_.model() = model;
    (key == std::string("model_digest")       ? changed.mutable_digest()
     : key == std::string("tokenizer_digest") ? changed.mutable_tokenizer_digest()
     : key == std::string("weight_dtype")     ? changed.mutable_weight_dtype()
     : key == std::string("kv_dtype")         ? changed.mutable_kv_dtype()
                                              : changed.mutable_arithmetic())
        ->append("x");
    const auto run = Run("score");
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr(std::string("another run: ") + key + " is \""));
    EXPECT_EQ(folder_.Read("out"), whole);
  }
}

TEST_F(OutputOfRunTest, TheWeightsMayNotChangeInTheMiddle) {
  server_.model().set_digest("d0");  // the server's streams say d1
  const auto run = Run("pairs");
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("other weights than when the run began"));
  EXPECT_EQ(folder_.Read("out"), "");
  EXPECT_EQ(Run("generate").status, 3);
}

TEST_F(OutputOfRunTest, AFinishedRunStillNamesModelAndConvention) {
  ASSERT_EQ(Run("pairs", {"--convention=BABYLM"}).status, 0);
  const auto again = Run("pairs", {"--convention=BABYLM"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("fake, BABYLM: every pair was scored by an earlier run\n"));
  const auto json = ParseLine(Run("pairs", {"--convention=BABYLM", "--json"}).out);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["model"], "fake");
  EXPECT_EQ((*json)["model_digest"], "d1");
  EXPECT_EQ((*json)["convention"], "BABYLM");
}

TEST_F(OutputOfRunTest, AnOfflineTokenizerIsItsFiles) {
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt"}) {
    const auto file = testing::DemoModelDir() / name;
    if (std::filesystem::exists(file)) {
      std::filesystem::create_directories(folder_.Path("t"));
      std::filesystem::copy(file, folder_.Path("t"));
    }
  }
  const auto run = [&] {
    return testing::RunDyadctl({"tokenize", "--tokenizer=" + folder_.Path("t"), "--output=" + out_,
                                "--input=" + folder_.Write("in", "{\"text\":\"a\"}\n")});
  };
  ASSERT_EQ(run().status, 0);
  EXPECT_EQ(run().status, 0);
  folder_.Write("t/added_tokens.json", "{}");
  const auto other = run();
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, AllOf(HasSubstr("tokenizer_files is"), HasSubstr("another run")));
}

}  // namespace
}  // namespace dyad::client
