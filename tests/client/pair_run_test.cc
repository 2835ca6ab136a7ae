// Runs of pairs into ordered lines: against a server that shuffles, breaks and refuses, with bad
// lines, going on, and giving up.
#include "client/pair_run.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

// The good sentence of pair i has i % 7 bytes, the bad one i % 5.
std::string PairLine(int i) {
  return FormatLine({{"n", i},
                     {"sentence_good", std::string(static_cast<size_t>(i % 7), 'g')},
                     {"sentence_bad", std::string(static_cast<size_t>(i % 5), 'b')}});
}

LineInput PairLines(int count) {
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) lines.push_back(PairLine(i));
  return LineInput::Of(std::move(lines));
}

class PairRunTest : public ::testing::Test {
 protected:
  absl::StatusOr<PairRunResult> Run(PairRunOptions options, LineInput lines) {
    options.connection.server = server_.address();
    options.first_backoff = absl::Milliseconds(20);
    options.output = folder_.Path("out");
    options.describe = []() -> absl::StatusOr<RunDescription> {
      return RunDescription{.header = {{"input", {{"sha256", "of the lines"}}}}};
    };
    answered_.clear();
    return RunPairs(options, {.in = in_, .out = out_, .err = out_}, std::move(lines),
                    [&](int64_t number, const Json& answer) {
                      EXPECT_TRUE(answered_.emplace(number, answer).second);
                    });
  }

  // Scores `count` pairs and checks that each has its own result once.
  absl::StatusOr<PairRunResult> Score(int count, const PairRunOptions& options) {
    auto result = Run(options, PairLines(count));
    if (!result.ok()) return result;
    EXPECT_EQ(result->scored, count);
    EXPECT_EQ(answered_.size(), static_cast<size_t>(count));
    for (const auto& [number, answer] : answered_) {
      EXPECT_NEAR(answer["margin"].get<double>(),
                  static_cast<double>(number % 5) - static_cast<double>(number % 7), 1e-9);
    }
    return result;
  }

  FakeServer server_;
  TemporaryFolder folder_;
  std::istringstream in_;
  std::ostringstream out_;
  std::map<int64_t, Json> answered_;
};

TEST_F(PairRunTest, EveryPairGetsItsResult) {
  const auto result = Score(1000, {.convention = v1::CONVENTION_BABYLM});
  ASSERT_OK(result);
  EXPECT_EQ(result->model, "fake");
  EXPECT_EQ(result->model_digest, "d1");
  EXPECT_EQ(result->convention, v1::CONVENTION_BABYLM);
}

TEST_F(PairRunTest, ResultsMayComeInAnyOrder) {
  server_.traffic.SetFaults({.shuffle_results = true});
  EXPECT_OK(Score(500, {.pairs_per_message = 64}));
}

TEST_F(PairRunTest, ABrokenStreamIsOpenedAgainWithWhatHadNoResult) {
  server_.traffic.SetFaults({.break_stream_after = 100, .stream_breaks = 5});
  EXPECT_OK(Score(2000, {}));
  EXPECT_GE(server_.traffic.calls(), 6);
}

TEST_F(PairRunTest, ManyStreamsGiveTheBytesOfOne) {
  ASSERT_OK(Run({}, PairLines(700)));
  const std::string one = folder_.Read("out");
  std::filesystem::remove(folder_.Path("out"));
  server_.traffic.SetFaults(
      {.break_stream_after = 40, .stream_breaks = 3, .shuffle_results = true});
  const auto result = Run({.streams = 4}, PairLines(700));
  ASSERT_OK(result);
  EXPECT_EQ(folder_.Read("out"), one);  // created is not given
  EXPECT_EQ(result->scored, 700);
  EXPECT_EQ(result->model, "fake");
  EXPECT_EQ(answered_.size(), 700u);
  EXPECT_EQ(std::count(one.begin(), one.end(), '\n'), 701);
}

// Connecting is tried with the same patience, so the server may see fewer calls than attempts.
TEST_F(PairRunTest, GivesUpWhenNothingGetsBetter) {
  server_.traffic.SetFaults({.fail_first = 1000});
  EXPECT_THAT(Score(10, {.max_reopenings = 1}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("on purpose")));
  EXPECT_LE(server_.traffic.calls(), 2);
}

TEST_F(PairRunTest, AFullQueueIsWaitedForHoweverOften) {
  server_.traffic.SetFaults(
      {.fail_first = 20, .code = grpc::StatusCode::RESOURCE_EXHAUSTED, .reason = "QUEUE_FULL"});
  EXPECT_OK(Score(10, {.max_reopenings = 1}));
  EXPECT_EQ(server_.traffic.calls(), 21);
}

TEST_F(PairRunTest, OtherErrorsAreFinal) {
  EXPECT_THAT(Score(10, {.model = "other"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("model is other")));
  EXPECT_EQ(server_.traffic.calls(), 1);
}

TEST_F(PairRunTest, NoPairsAreDone) { EXPECT_OK(Score(0, {})); }

TEST_F(PairRunTest, TheWindowBoundsHowFarAStreamRunsAhead) {
  int taken = 0;
  std::atomic<int> most = 0;
  const auto answers = [this] {
    const std::string out = folder_.Read("out");
    return static_cast<int>(std::count(out.begin(), out.end(), '\n')) - 1;  // the header
  };
  const auto result =
      Run({.window = 5, .pairs_per_message = 3}, {[&]() -> std::optional<std::string> {
            if (taken == 300) return std::nullopt;
            most = std::max(most.load(), taken + 1 - answers());
            return PairLine(taken++);
          }});
  ASSERT_OK(result);
  EXPECT_EQ(answered_.size(), 300u);
  EXPECT_GE(most, 3);
  EXPECT_LE(most, 6);  // the window, and one result on its way from there to here
}

// Answers all pairs but the first and breaks the stream; then answers all that it gets.
class LateFirst final : public v1::ScoringService::Service {
 public:
  grpc::Status ScoreMinimalPairs(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ScoreMinimalPairsResponse, v1::ScoreMinimalPairsRequest>* stream)
      override {
    const bool first_stream = ++streams_ == 1;
    v1::ScoreMinimalPairsRequest request;
    int pairs = 0;
    while (stream->Read(&request)) {
      v1::ScoreMinimalPairsResponse response;
      for (const v1::MinimalPair& pair : request.pairs()) {
        ++pairs;
        if (!first_stream) ++resent_;
        if (pair.index() > 0 || !first_stream) response.add_results()->set_index(pair.index());
      }
      stream->Write(response);
      if (first_stream && pairs == 20) return {grpc::StatusCode::UNAVAILABLE, "on purpose"};
    }
    return grpc::Status::OK;
  }
  int resent() const { return resent_; }

 private:
  std::atomic<int> streams_ = 0, resent_ = 0;
};

// A ready server with this service alone, which cannot say its limits.
class SmallServer {
 public:
  explicit SmallServer(grpc::Service& service) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service);
    server_ = builder.BuildAndStart();
    server_->GetHealthCheckService()->SetServingStatus("readiness", true);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(PairRunTest, OnlyPairsWithoutAResultAreSentAgain) {
  LateFirst service;
  const SmallServer server(service);
  std::set<int64_t> answered;
  PairRunOptions options = {.output = "/dev/null", .first_backoff = absl::Milliseconds(20)};
  options.connection.server = server.address();
  const auto result =
      RunPairs(options, {.in = in_, .out = out_, .err = out_}, PairLines(20),
               [&](int64_t number, const Json&) { EXPECT_TRUE(answered.insert(number).second); });
  ASSERT_OK(result);
  EXPECT_EQ(answered.size(), 20u);
  EXPECT_EQ(result->scored, 20);
  EXPECT_EQ(service.resent(), 1);
}

TEST_F(PairRunTest, AnsweredPairsBehindTheOneThatIsSentAgainDoNotStopTheStream) {
  LateFirst service;
  const SmallServer server(service);
  PairRunOptions options = {.output = "/dev/null",
                            .window = 20,
                            .pairs_per_message = 1,
                            .first_backoff = absl::Milliseconds(20)};
  options.connection.server = server.address();
  const auto result = RunPairs(options, {.in = in_, .out = out_, .err = out_}, PairLines(60),
                               [](int64_t, const Json&) {});
  ASSERT_OK(result);
  EXPECT_EQ(result->scored, 60);
}

// The server takes messages of 1 MiB and ends a stream with a larger one.
TEST_F(PairRunTest, MessagesStayBelowTheServersLimit) {
  const auto line = [](size_t bytes) {
    return FormatLine({{"sentence_good", std::string(bytes, 'g')}, {"sentence_bad", "b"}});
  };
  std::vector<std::string> lines(20, line(300'000));
  lines[3] = line((1 << 20) - 1100);  // fills a message alone
  lines[7] = line(1 << 20);
  const auto result = Run({}, LineInput::Of(lines));
  ASSERT_OK(result);
  EXPECT_EQ(result->scored, 19);
  EXPECT_EQ(server_.traffic.calls(), 1);
  for (const auto& [number, answer] : answered_) {
    EXPECT_EQ(answer.contains("error"), number == 7) << number;
  }
  EXPECT_EQ(answered_.size(), 20u);
  EXPECT_THAT(FormatLine(answered_[7]["error"]),
              HasSubstr(R"({"code":"RESOURCE_EXHAUSTED","message":"the pair has 1048)"));
}

TEST_F(PairRunTest, BadLinesAndBadPairsStandInTheirPlace) {
  const auto result =
      Run({}, LineInput::Of({PairLine(1), "broken", R"({"sentence_good":"a"})",
                             R"({"sentence_good":"refused","sentence_bad":"b"})", PairLine(2)}));
  ASSERT_OK(result);
  EXPECT_EQ(result->batch.failed, 3);
  EXPECT_EQ(result->batch.lines, 5);
  EXPECT_EQ(result->scored, 3);
  std::istringstream lines(folder_.Read("out"));
  std::string line;
  std::getline(lines, line);
  EXPECT_TRUE(IsHeaderLine(line));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"("n":1,)"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("not JSON"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("sentence_bad must be a string"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"({"sentence_good":"refused","sentence_bad":"b","run":")"));
  EXPECT_THAT(
      line,
      HasSubstr(R"("error":{"code":"INVALID_ARGUMENT","message":"pair refused on purpose"}})"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"("n":2,)"));
}

TEST_F(PairRunTest, ARerunGoesOnAndStillSeesEveryAnswer) {
  ASSERT_OK(Run({}, PairLines(50)));
  const std::string whole = folder_.Read("out");
  folder_.Write("out", whole.substr(0, whole.size() / 2));
  const auto result = Run({}, PairLines(50));
  ASSERT_OK(result);
  EXPECT_GT(result->batch.skipped, 10);
  EXPECT_EQ(result->scored, 50 - result->batch.skipped);
  EXPECT_EQ(answered_.size(), 50u);  // the table counts old answers too
  EXPECT_EQ(folder_.Read("out"), whole);
}

TEST_F(PairRunTest, AStreamThatCannotGoOnLeavesWhatItHas) {
  server_.traffic.SetFaults(
      {.code = grpc::StatusCode::INTERNAL, .break_stream_after = 32, .stream_breaks = 1});
  const auto failed = Run({}, PairLines(5000));
  EXPECT_THAT(failed, StatusIs(absl::StatusCode::kInternal, HasSubstr("pairs)")));
  const auto again = Run({}, PairLines(5000));
  ASSERT_OK(again);
  EXPECT_GE(again->batch.skipped, 32);
  EXPECT_EQ(again->batch.lines, 5000);
}

TEST_F(PairRunTest, AnOutputLongerThanTheInputBelongsToAnotherInput) {
  ASSERT_OK(Run({}, PairLines(3)));
  EXPECT_THAT(Run({}, PairLines(2)), StatusIs(absl::StatusCode::kFailedPrecondition,
                                              HasSubstr("more answers than the 2 lines")));
}

}  // namespace
}  // namespace dyad::client
