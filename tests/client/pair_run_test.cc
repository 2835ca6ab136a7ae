// Runs of pairs into ordered lines: several streams, bad lines, going on, giving up.
#include "client/pair_run.h"

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

std::string PairLine(int i) {
  return FormatLine({{"n", i},
                     {"sentence_good", std::string(static_cast<size_t>(i % 7), 'g')},
                     {"sentence_bad", std::string(static_cast<size_t>(i % 5), 'b')}});
}

class PairRunTest : public ::testing::Test {
 protected:
  absl::StatusOr<PairRunResult> Run(PairRunOptions options, std::vector<std::string> lines) {
    options.connection.server = server_.address();
    options.stream.first_backoff = absl::Milliseconds(20);
    options.output = folder_.Path("out");
    answered_.clear();
    return RunPairs(
        options, {.in = in_, .out = out_, .err = out_}, LineInput::Of(std::move(lines)),
        [&](int64_t number, const Json&) { EXPECT_TRUE(answered_.insert(number).second); });
  }

  FakeServer server_;
  TemporaryFolder folder_;
  std::istringstream in_;
  std::ostringstream out_;
  std::set<int64_t> answered_;
};

std::vector<std::string> PairLines(int count) {
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) lines.push_back(PairLine(i));
  return lines;
}

TEST_F(PairRunTest, ManyStreamsGiveTheBytesOfOne) {
  ASSERT_OK(Run({}, PairLines(700)));
  const std::string one = folder_.Read("out");
  std::filesystem::remove(folder_.Path("out"));
  server_.traffic.SetFaults(
      {.break_stream_after = 40, .stream_breaks = 3, .shuffle_results = true});
  const auto result = Run({.streams = 4}, PairLines(700));
  ASSERT_OK(result);
  EXPECT_EQ(folder_.Read("out"), one);
  EXPECT_EQ(result->scored, 700);
  EXPECT_EQ(result->info.model, "fake");
  EXPECT_EQ(answered_.size(), 700u);
  EXPECT_EQ(std::count(one.begin(), one.end(), '\n'), 700);
}

TEST_F(PairRunTest, BadLinesAndBadPairsStandInTheirPlace) {
  const auto result = Run({}, {PairLine(1), "broken", R"({"sentence_good":"a"})",
                               R"({"sentence_good":"refused","sentence_bad":"b"})", PairLine(2)});
  ASSERT_OK(result);
  EXPECT_EQ(result->batch.failed, 3);
  EXPECT_EQ(result->batch.lines, 5);
  std::istringstream lines(folder_.Read("out"));
  std::string line;
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr(R"("n":1,)"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("not JSON"));
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("sentence_bad must be a string"));
  std::getline(lines, line);
  EXPECT_EQ(line, R"({"error":{"code":"INVALID_ARGUMENT","message":"pair refused on purpose"}})");
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
  EXPECT_THAT(failed, StatusIs(absl::StatusCode::kInternal, HasSubstr("goes on where")));
  const auto again = Run({}, PairLines(5000));
  ASSERT_OK(again);
  EXPECT_GE(again->batch.skipped, 32);
  EXPECT_EQ(again->batch.lines, 5000);
}

TEST_F(PairRunTest, AnOutputLongerThanTheInputBelongsToAnotherInput) {
  ASSERT_OK(Run({}, PairLines(3)));
  EXPECT_THAT(Run({}, PairLines(2)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another input")));
}

}  // namespace
}  // namespace dyad::client
