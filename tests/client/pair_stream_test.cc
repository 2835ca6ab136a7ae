// The pair stream against a server that shuffles, breaks and refuses.
#include "client/pair_stream.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>

#include "client/connection.h"
#include "gtest/gtest.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::StatusIs;

// `count` pairs; the good sentence of pair i has i % 7 bytes, the bad one i % 5.
PairSource Pairs(int64_t count) {
  auto next = std::make_shared<int64_t>(0);
  return [next, count]() -> std::optional<v1::MinimalPair> {
    if (*next == count) return std::nullopt;
    v1::MinimalPair pair;
    pair.set_index(*next);
    pair.set_good(std::string(static_cast<size_t>(*next % 7), 'g'));
    pair.set_bad(std::string(static_cast<size_t>(*next % 5), 'b'));
    ++*next;
    return pair;
  };
}

class PairStreamTest : public ::testing::Test {
 protected:
  // Scores `count` pairs and checks that each has its own result once.
  absl::StatusOr<PairStreamInfo> Score(int64_t count, const PairStreamOptions& options) {
    std::map<int64_t, double> margins;
    const auto channel = *Connect({.server = server_.address()});
    // Connecting is not to count as an opening of the stream.
    EXPECT_TRUE(
        channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)));
    const auto info = ScorePairs(channel, options, Pairs(count), [&](const v1::PairScore& score) {
      EXPECT_TRUE(margins.emplace(score.index(), score.margin()).second);
    });
    if (!info.ok()) return info;
    EXPECT_EQ(margins.size(), static_cast<size_t>(count));
    for (const auto& [index, margin] : margins) {
      EXPECT_NEAR(margin, static_cast<double>(index % 5) - static_cast<double>(index % 7), 1e-9);
    }
    return info;
  }

  FakeServer server_;
};

TEST_F(PairStreamTest, EveryPairGetsItsResult) {
  const auto info = Score(1000, {.convention = v1::BABYLM});
  ASSERT_OK(info);
  EXPECT_EQ(info->model, "fake");
  EXPECT_EQ(info->model_digest, "d1");
  EXPECT_EQ(info->convention, v1::BABYLM);
}

TEST_F(PairStreamTest, ResultsMayComeInAnyOrder) {
  server_.traffic.SetFaults({.shuffle_results = true});
  EXPECT_OK(Score(500, {.pairs_per_message = 64}));
}

TEST_F(PairStreamTest, ABrokenStreamIsOpenedAgainWithWhatHadNoResult) {
  server_.traffic.SetFaults({.break_stream_after = 100, .stream_breaks = 5});
  EXPECT_OK(Score(2000, {.first_backoff = absl::Milliseconds(20)}));
  EXPECT_GE(server_.traffic.calls(), 6);
}

TEST_F(PairStreamTest, GivesUpWhenNothingGetsBetter) {
  server_.traffic.SetFaults({.fail_first = 1000});
  EXPECT_THAT(Score(10, {.max_reopenings = 1, .first_backoff = absl::Milliseconds(20)}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("on purpose")));
}

TEST_F(PairStreamTest, OtherErrorsAreFinal) {
  EXPECT_THAT(Score(10, {.model = "other"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("model is other")));
  EXPECT_EQ(server_.traffic.calls(), 1);
}

TEST_F(PairStreamTest, NoPairsAreDone) { EXPECT_OK(Score(0, {})); }

TEST_F(PairStreamTest, TheWindowBoundsHowFarTheSourceRunsAhead) {
  std::atomic<int64_t> taken = 0, answered = 0, most = 0;
  const PairSource pairs = Pairs(300);
  const auto info = ScorePairs(
      *Connect({.server = server_.address()}), {.window = 5, .pairs_per_message = 3},
      [&] {
        auto pair = pairs();
        if (pair.has_value()) most = std::max(most.load(), ++taken - answered.load());
        return pair;
      },
      [&](const v1::PairScore&) { ++answered; });
  ASSERT_OK(info);
  EXPECT_EQ(answered, 300);
  EXPECT_LE(most, 6);  // the window, and one result on its way from there to here
}

TEST_F(PairStreamTest, ABadPairIsAResultLikeAnyOther) {
  int errors = 0;
  bool sent = false;
  ASSERT_OK(ScorePairs(
      *Connect({.server = server_.address()}), {},
      [&]() -> std::optional<v1::MinimalPair> {
        if (std::exchange(sent, true)) return std::nullopt;
        v1::MinimalPair pair;
        pair.set_good("refused");
        return pair;
      },
      [&](const v1::PairScore& score) { errors += score.has_error() ? 1 : 0; }));
  EXPECT_EQ(errors, 1);
}

}  // namespace
}  // namespace dyad::client
