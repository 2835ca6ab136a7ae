// Batches: order under random delays, errors in their place, going on, requests in flight.
#include "client/batch.h"

#include <atomic>
#include <chrono>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "client/input_digest.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

std::string Numbers(int first, int last, const char* key) {
  std::string lines;
  for (int i = first; i < last; ++i) {
    lines += "{\"" + std::string(key) + "\":" + std::to_string(i) + "}\n";
  }
  return lines;
}

// {"n": k} -> {"twice": 2k}, an error if k is 13.
absl::StatusOr<Json> Twice(const Json& line) {
  const int n = line.at("n").get<int>();
  if (n == 13) return absl::InvalidArgumentError("n is 13");
  return Json{{"twice", 2 * n}};
}

// What stands behind the header.
std::string AnswersIn(const std::string& output) { return output.substr(output.find('\n') + 1); }

// The run of this input, with its digest.
Describe DescribeFileRun(const std::string& path, const std::string& convention = "LM_EVAL") {
  return [=]() -> absl::StatusOr<RunDescription> {
    return RunDescription{.header = {{"convention", convention}, {"input", *DescribeFile(path)}}};
  };
}

struct Streams {
  std::istringstream in;
  std::ostringstream out, err;
  Console console() { return {.in = in, .out = out, .err = err}; }
};

TEST(BatchTest, KeepsTheOrderUnderRandomDelays) {
  Streams streams;
  streams.in.str(Numbers(0, 200, "n"));
  const auto slow = [](const Json& line) -> absl::StatusOr<Json> {
    thread_local std::mt19937 random(std::hash<std::thread::id>()(std::this_thread::get_id()));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    return Json{{"n", line["n"]}};
  };
  const auto result = RunBatch({.concurrency = 16}, streams.console(), slow);
  ASSERT_OK(result);
  EXPECT_EQ(streams.out.str(), Numbers(0, 200, "n"));
  EXPECT_EQ(result->lines, 200);
  EXPECT_EQ(result->failed, 0);
}

TEST(BatchTest, ErrorsStandInTheirPlaceAndEndInStatusOne) {
  Streams streams;
  streams.in.str("{\"n\":1}\nnot json\n{\"n\":13}\n{\"n\":2}\n");
  const auto result = RunBatch({}, streams.console(), &Twice);
  ASSERT_OK(result);
  std::istringstream lines(streams.out.str());
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "{\"twice\":2}");
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"({"error":{"code":"INVALID_ARGUMENT","message":"not JSON)"));
  std::getline(lines, line);
  EXPECT_EQ(line, R"({"error":{"code":"INVALID_ARGUMENT","message":"n is 13"}})");
  std::getline(lines, line);
  EXPECT_EQ(line, "{\"twice\":4}");
  EXPECT_EQ(result->failed, 2);
  EXPECT_EQ(ReportBatch(*result, streams.console()), 1);
  EXPECT_THAT(streams.err.str(), HasSubstr("2 of 4 lines failed"));
}

TEST(BatchTest, ARerunAnswersOnlyWhatIsMissing) {
  const TemporaryFolder folder;
  const std::string input = folder.Write("in", Numbers(0, 10, "n"));
  const std::string output = folder.Path("out");
  std::atomic<int> asked = 0;
  Streams streams;
  const BatchOptions options = {
      .input = input, .output = output, .describe = DescribeFileRun(input)};
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  size_t third = 0;
  for (int i = 0; i < 3; ++i) third = whole.find('\n', third) + 1;
  folder.Write("out", whole.substr(0, third) + "{\"dya");
  const auto result = RunBatch(options, streams.console(), [&](const Json& line) {
    ++asked;
    return Twice(line);
  });
  ASSERT_OK(result);
  EXPECT_EQ(asked, 8);
  EXPECT_EQ(result->skipped, 2);
  EXPECT_EQ(result->lines, 10);
  EXPECT_EQ(folder.Read("out"), whole);
  EXPECT_EQ(ReportBatch(*result, streams.console()), 0);
  EXPECT_THAT(streams.err.str(), HasSubstr("2 of 10 lines were in the output already"));
}

TEST(BatchTest, ARerunOverACompleteOutputWithErrorsStillEndsInStatusOne) {
  const TemporaryFolder folder;
  const BatchOptions options = {.input = folder.Write("in", "{\"n\":13}\n"),
                                .output = folder.Path("out"),
                                .describe = DescribeFileRun(folder.Path("in"))};
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const auto again = RunBatch(options, streams.console(), &Twice);
  ASSERT_OK(again);
  EXPECT_EQ(again->skipped, 1);
  EXPECT_EQ(ReportBatch(*again, streams.console()), 1);
}

// As when a header was copied to answers of another file.
TEST(BatchTest, AnOutputLongerThanTheInputBelongsToAnotherInput) {
  const TemporaryFolder folder;
  Streams streams;
  const BatchOptions options = {.input = folder.Write("in", Numbers(0, 2, "n")),
                                .output = folder.Path("out"),
                                .describe = DescribeFileRun(folder.Path("in"))};
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  folder.Write("out", whole + AnswersIn(whole));
  EXPECT_THAT(
      RunBatch(options, streams.console(), &Twice),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("more answers than the 2 lines")));
}

TEST(BatchTest, NeverHasMoreRequestsInFlightThanAsked) {
  Streams streams;
  streams.in.str(Numbers(0, 60, "n"));
  std::atomic<int> now = 0, most = 0;
  const auto counted = [&](const Json& line) -> absl::StatusOr<Json> {
    const int running = ++now;
    for (int seen = most; running > seen && !most.compare_exchange_weak(seen, running);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --now;
    return Json{{"n", line["n"]}};
  };
  ASSERT_OK(RunBatch({.concurrency = 3}, streams.console(), counted));
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 2);
}

TEST(BatchTest, TheWindowBoundsHowFarOthersRunAheadOfASlowLine) {
  Streams streams;
  const auto batch = *Batch::Open(LineInput::Of(std::vector<std::string>(10, "{}")), {.window = 4},
                                  streams.console());
  ASSERT_EQ(batch->Next()->number, 0);
  std::atomic<int> answered = 0;
  std::thread others([&] {
    while (const auto line = batch->Next()) {
      batch->Answer(line->number, line->head, line->json);
      ++answered;
    }
  });
  EXPECT_TRUE(testing::Eventually([&] { return answered >= 3; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time to go wrong, none to go right
  EXPECT_EQ(answered, 3);
  batch->Answer(0, Json::object(), Json::object());
  others.join();
  EXPECT_EQ(answered, 9);
  EXPECT_EQ(batch->Finish()->lines, 10);
}

TEST(BatchTest, AFailureEndsTheBatchAndSaysHowToGoOn) {
  Streams streams;
  const auto batch = *Batch::Open(LineInput::Of({"{}", "{}", "{}"}), {}, streams.console());
  batch->Answer(batch->Next()->number, Json::object(), Json::object());
  batch->Fail(absl::OkStatus());
  EXPECT_TRUE(batch->Next().has_value());
  batch->Fail(absl::UnavailableError("gone"));
  EXPECT_FALSE(batch->Next().has_value());
  EXPECT_THAT(batch->Finish(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("gone (after 1 lines)")));
}

// Else a thread would wait for room for ever: the line before it gets no answer any more.
TEST(BatchTest, AFailureWakesWhoeverWaitsForRoom) {
  Streams streams;
  const auto batch =
      *Batch::Open(LineInput::Of({"{}", "{}", "{}"}), {.window = 1}, streams.console());
  ASSERT_EQ(batch->Next()->number, 0);
  std::thread waits([&] { EXPECT_FALSE(batch->Next().has_value()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time to go wrong, none to go right
  batch->Fail(absl::UnavailableError("gone"));
  waits.join();
}

TEST(BatchTest, AskedAgainAreTheErrorsAloneAndNewLinesFollow) {
  const TemporaryFolder folder;
  BatchOptions options = {.input = folder.Write("in", Numbers(12, 20, "n")),
                          .output = folder.Path("out"),
                          .describe = DescribeFileRun(folder.Path("in"))};
  std::filesystem::create_symlink(folder.Path("file"), options.output);
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  folder.Write("file", whole.substr(0, whole.find("{\"run\"", whole.find("32}"))));  // 12 to 16
  std::atomic<int> asked = 0;
  options.old_errors = OldErrors::kAskAgain;
  const auto result = RunBatch(options, streams.console(), [&](const Json& line) {
    ++asked;
    return absl::StatusOr<Json>(Json{{"twice", 2 * line.at("n").get<int>()}});
  });
  ASSERT_OK(result);
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(result->skipped, 4);
  EXPECT_EQ(result->failed, 0);
  std::istringstream lines(AnswersIn(folder.Read("out")));
  std::string line;
  for (int i = 12; i < 20; ++i) {
    std::getline(lines, line);
    EXPECT_EQ((*ParseLine(line))["twice"], 2 * i);
  }
  EXPECT_FALSE(std::getline(lines, line));
  EXPECT_TRUE(std::filesystem::is_symlink(options.output));
}

// Whatever byte a kill leaves as the last one.
TEST(BatchTest, ARunThatWasKilledAnywhereGoesOnByteForByte) {
  const TemporaryFolder folder;
  const BatchOptions options = {.input = folder.Write("in", "{\"n\":1}\n{\"n\":13}\nno\n"),
                                .output = folder.Path("out"),
                                .describe = DescribeFileRun(folder.Path("in"))};
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    folder.Write("out", whole.substr(0, bytes));
    ASSERT_OK(RunBatch(options, streams.console(), &Twice)) << bytes;
    EXPECT_EQ(folder.Read("out"), whole);
  }
}

TEST(BatchTest, AnswersOfAnotherRunAreLeftAlone) {
  const TemporaryFolder folder;
  const std::string input = folder.Write("in", Numbers(0, 3, "n"));
  const BatchOptions options = {
      .input = input, .output = folder.Path("out"), .describe = DescribeFileRun(input)};
  BatchOptions other = options;
  other.describe = DescribeFileRun(input, "BABYLM");
  const auto fails = [](const std::string& text) {
    return StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(text));
  };
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  const std::string header = whole.substr(0, whole.find('\n'));
  for (const auto& part : {whole, header + "\n", header}) {
    folder.Write("out", part);
    EXPECT_THAT(RunBatch(other, streams.console(), &Twice),
                fails("convention is \"LM_EVAL\" there and \"BABYLM\" now"));
    EXPECT_EQ(folder.Read("out"), part);
  }
  for (const std::string& foreign : {AnswersIn(whole), std::string("{\"twice\":0}\n"),
                                     std::string("notes"), std::string("\n")}) {
    folder.Write("out", foreign);
    EXPECT_THAT(RunBatch(options, streams.console(), &Twice), fails("it has no header of a run"));
    EXPECT_EQ(folder.Read("out"), foreign);
  }
  for (const char* foreign :
       {"{\"twice\":0}\n", "{\"run\":\"000000000000\",\"twice\":0}\n", "notes\n", "\n"}) {
    folder.Write("out", header + "\n" + foreign);
    EXPECT_THAT(RunBatch(options, streams.console(), &Twice),
                fails("answer 1 is none of this run"));
    EXPECT_EQ(folder.Read("out"), header + "\n" + foreign);
  }
  folder.Write("in", "{\"n\":0}\n{\"n\":2}\n{\"n\":2}\n");
  folder.Write("out", whole);
  EXPECT_THAT(RunBatch(options, streams.console(), &Twice), fails("input.sha256 is"));
  EXPECT_EQ(folder.Read("out"), whole);
}

TEST(BatchTest, ASampleIsComparedAndNothingIsWritten) {
  const TemporaryFolder folder;
  BatchOptions options = {.input = folder.Write("in", Numbers(0, 9, "n")),
                          .output = folder.Path("out"),
                          .describe = DescribeFileRun(folder.Path("in"))};
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  Sample sample = {.header = *ReadHeader(whole.substr(0, whole.find('\n'))),
                   .answers = {{2, {{"twice", 4}}}, {7, {{"twice", 15}}}}};
  options.sample = &sample;
  options.output = "-";
  std::atomic<int> asked = 0;
  const auto counted = [&](const Json& line) {
    ++asked;
    return Twice(line);
  };
  ASSERT_OK(RunBatch(options, streams.console(), counted));
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(sample.compared, 2);
  EXPECT_EQ(sample.differences, std::vector<std::string>{"answer 8: twice is 15 there and 14 now"});
  EXPECT_EQ(streams.out.str(), "");
  sample.header["convention"] = "BABYLM";
  EXPECT_THAT(RunBatch(options, streams.console(), counted),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("convention is")));
}

TEST(BatchTest, AnEmptyInputIsDoneAtOnce) {
  Streams streams;
  const auto result = RunBatch({}, streams.console(), &Twice);
  ASSERT_OK(result);
  EXPECT_EQ(result->lines, 0);
  EXPECT_EQ(streams.out.str(), "");
}

TEST(BatchTest, NamesAnInputThatIsNotThere) {
  Streams streams;
  EXPECT_THAT(RunBatch({.input = "/nowhere/in"}, streams.console(), &Twice),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/in")));
}

}  // namespace
}  // namespace dyad::client
