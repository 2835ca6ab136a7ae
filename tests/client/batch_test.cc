// Batches: order under random delays, errors in their place, going on, requests in flight.
#include "client/batch.h"

#include <atomic>
#include <chrono>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "client/error_owner.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
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
  ASSERT_OK(RunBatch({.input = input, .output = output}, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  const size_t second = whole.find('\n', whole.find('\n') + 1) + 1;
  folder.Write("out", whole.substr(0, second) + "{\"dya");
  const auto result =
      RunBatch({.input = input, .output = output}, streams.console(), [&](const Json& line) {
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
                                .output = folder.Path("out")};
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const auto again = RunBatch(options, streams.console(), &Twice);
  ASSERT_OK(again);
  EXPECT_EQ(again->skipped, 1);
  EXPECT_EQ(ReportBatch(*again, streams.console()), 1);
}

TEST(BatchTest, AnOutputLongerThanTheInputBelongsToAnotherInput) {
  const TemporaryFolder folder;
  Streams streams;
  ASSERT_OK(
      RunBatch({.input = folder.Write("in", Numbers(0, 2, "n")), .output = folder.Path("out")},
               streams.console(), &Twice));
  EXPECT_THAT(
      RunBatch({.input = folder.Write("in", Numbers(0, 1, "n")), .output = folder.Path("out")},
               streams.console(), &Twice),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("more answers than the 1 lines")));
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
  while (answered < 3) std::this_thread::yield();
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

// Commands against a server whose third call ends with some code.
class BatchErrorTest : public ::testing::TestWithParam<const char*> {
 protected:
  // The exit status; the output is in Read().
  int Run(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {GetParam(), "--server=" + address_, "--concurrency=1",
                                 "--input=" + folder_.Write("in", Lines()),
                                 "--output=" + folder_.Path("out"), "--timeout=0.3"});
    const auto run = testing::RunDyadctl(flags);
    errors_ = run.err;
    return run.status;
  }
  std::string Read() const { return folder_.Read("out"); }
  int64_t ReadLines() const {
    const std::string out = Read();
    return std::count(out.begin(), out.end(), '\n');
  }

  static std::string Lines() {
    return std::string(GetParam()) == "detokenize"
               ? "{\"ids\":[97]}\n{\"ids\":[98]}\n{\"ids\":[99]}\n{\"ids\":[100]}\n"
               : "{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n{\"text\":\"d\"}\n";
  }

  testing::FakeServer server_;
  TemporaryFolder folder_;
  std::string address_ = server_.address();
  std::string errors_;
};

INSTANTIATE_TEST_SUITE_P(Commands, BatchErrorTest,
                         ::testing::Values("score", "generate", "tokenize", "detokenize"),
                         [](const auto& command) { return std::string(command.param); });

TEST_P(BatchErrorTest, OnlyALinesOwnErrorIsAnAnswer) {
  ASSERT_EQ(Run(), 0) << errors_;
  const std::string whole = Read();
  for (int code = 1; code <= 16; ++code) {
    SCOPED_TRACE(absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
    std::filesystem::remove(folder_.Path("out"));
    server_.traffic.SetFaults(
        {.spare_first = 2, .fail_first = 1000, .code = static_cast<grpc::StatusCode>(code)});
    const ErrorOwner owner = OwnerOf(absl::Status(static_cast<absl::StatusCode>(code), ""));
    const int status = Run();
    server_.traffic.SetFaults({});
    if (owner == ErrorOwner::kLine) {
      EXPECT_EQ(status, 1);
      EXPECT_EQ(ReadLines(), 4);
      EXPECT_THAT(Read(), HasSubstr("purpose"));
      EXPECT_EQ(Run(), 1);  // an error is an answer, until somebody asks again
      EXPECT_EQ(Run({"--retry_errors"}), 0) << errors_;
    } else {
      EXPECT_EQ(status, owner == ErrorOwner::kServer ? 3 : 1);
      EXPECT_EQ(Read(), whole.substr(0, Read().size()));
      EXPECT_EQ(ReadLines(), 2);
      EXPECT_THAT(errors_, HasSubstr("purpose (after 2 lines)"));
      EXPECT_EQ(
          errors_.find("this goes on: dyadctl " + std::string(GetParam())) != std::string::npos,
          owner == ErrorOwner::kServer);
      EXPECT_EQ(Run(), 0) << errors_;
    }
    EXPECT_EQ(Read(), whole);
  }
}

TEST_P(BatchErrorTest, AFullQueueIsWaitedForPastTheTimeoutOfARequest) {
  server_.traffic.SetFaults({.spare_first = 2,
                             .fail_first = 40,
                             .code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                             .reason = "QUEUE_FULL"});
  EXPECT_EQ(Run(), 0) << errors_;
  EXPECT_EQ(server_.traffic.calls(), 44);
}

TEST_P(BatchErrorTest, NoServerAtAllLeavesNothingBehind) {
  address_ = "127.0.0.1:1";
  EXPECT_EQ(Run(), 3);
  EXPECT_EQ(Read(), "");
}

TEST_P(BatchErrorTest, AWrongFlagIsNoAnswer) {
  EXPECT_EQ(Run({"--model=typo"}), 1);
  EXPECT_THAT(errors_, HasSubstr("NOT_FOUND: model is typo"));
  EXPECT_EQ(Read(), "");
}

TEST(BatchTest, AskedAgainAreTheErrorsAloneAndNewLinesFollow) {
  const TemporaryFolder folder;
  const std::string input = folder.Write("in", Numbers(12, 20, "n"));
  const std::string output = folder.Path("out");
  std::filesystem::create_symlink(folder.Path("file"), output);
  Streams streams;
  ASSERT_OK(RunBatch({.input = folder.Write("half", Numbers(12, 16, "n")), .output = output},
                     streams.console(), &Twice));
  std::atomic<int> asked = 0;
  const auto result =
      RunBatch({.input = input, .output = output, .old_errors = OldErrors::kAskAgain},
               streams.console(), [&](const Json& line) {
                 ++asked;
                 return absl::StatusOr<Json>(Json{{"twice", 2 * line.at("n").get<int>()}});
               });
  ASSERT_OK(result);
  EXPECT_EQ(asked, 5);
  EXPECT_EQ(result->skipped, 3);
  EXPECT_EQ(result->failed, 0);
  std::istringstream lines(folder.Read("out"));
  std::string line;
  for (int i = 12; i < 20; ++i) {
    std::getline(lines, line);
    EXPECT_EQ((*ParseLine(line))["twice"], 2 * i);
  }
  EXPECT_FALSE(std::getline(lines, line));
  EXPECT_TRUE(std::filesystem::is_symlink(output));
}

// Whatever byte a kill leaves as the last one.
TEST(BatchTest, ARunThatWasKilledAnywhereGoesOnByteForByte) {
  const TemporaryFolder folder;
  const BatchOptions options = {.input = folder.Write("in", "{\"n\":1}\n{\"n\":13}\nno\n"),
                                .output = folder.Path("out")};
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    folder.Write("out", whole.substr(0, bytes));
    ASSERT_OK(RunBatch(options, streams.console(), &Twice)) << bytes;
    EXPECT_EQ(folder.Read("out"), whole);
  }
}

TEST(BatchTest, AnswersOfAnotherRunOrAnotherLineAreLeftAlone) {
  const TemporaryFolder folder;
  BatchOptions options = {.input = folder.Write("in", Numbers(0, 3, "n")),
                          .output = folder.Path("out")};
  options.describe = [] { return RunDescription{.run = {{"convention", "LM_EVAL"}}}; };
  Streams streams;
  ASSERT_OK(RunBatch(options, streams.console(), &Twice));
  const std::string whole = folder.Read("out");
  for (const auto& part : {whole, whole.substr(0, whole.find('\n') + 1)}) {
    folder.Write("out", part);
    BatchOptions other = options;
    other.describe = [] { return RunDescription{.run = {{"convention", "BABYLM"}}}; };
    EXPECT_THAT(RunBatch(other, streams.console(), &Twice),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("convention is \"LM_EVAL\" there and \"BABYLM\" now")));
    EXPECT_EQ(folder.Read("out"), part);
  }
  folder.Write("out", whole);
  folder.Write("in", "{\"n\":0}\n{\"n\":2}\n{\"n\":2}\n");
  EXPECT_THAT(RunBatch(options, streams.console(), &Twice),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("line 2 does not answer line 2 of the input")));
  folder.Write("out", "{\"twice\":0}\n");
  EXPECT_THAT(RunBatch(options, streams.console(), &Twice),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("earlier version")));
  EXPECT_EQ(folder.Read("out"), "{\"twice\":0}\n");
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
