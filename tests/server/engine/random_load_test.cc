// A model-based test: random arrivals, cancels, deadlines, stops, page shortage and failing steps,
// against what each sequence gets alone. The reference (Alone) uses the fake model's functions and
// the definition of a draw, and nothing of scheduling, paging or caching.
//
// Checked: results equal those of the sequence alone, bit for bit, at any budget, with the cache on
// and off, through preemption; order of calls (RecordingSink); each ends once and in bounded time;
// rows stay in the budget, what is stored twice within a page per sequence; no page leaks; the
// metrics add up. The fake model reads every page back after each step, so that a shared page or
// row that is not the sequence's own past fails the step.
#include <array>
#include <memory>
#include <random>

#include "gtest/gtest.h"
#include "server/engine/adjustments.h"
#include "server/engine/check_request.h"
#include "server/engine/counter_random.h"
#include "server/engine/step_runner.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/support/fake_model.h"
#include "tests/support/hand_clock.h"
#include "tests/support/status_matchers.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::CountingMetrics;
using ::dyad::testing::FakeModel;
using ::dyad::testing::FakeModelOptions;
using ::dyad::testing::HandClock;
using ::dyad::testing::RecordingSink;

struct Alone {
  std::vector<TokenScore> scores;
  std::vector<GeneratedToken> tokens;
  FinishReason reason = FinishReason::kNone;
};

struct Visitor {
  Request request;
  size_t stop_after = 0;  // the sink's; 0: never
  int leaves_at = -1;     // step; -1: never
  RecordingSink sink;
  Alone alone;
};

Alone RunAlone(const FakeModel& model, const Visitor& visitor) {
  const Request& request = visitor.request;
  Alone alone;
  if (request.score_from.has_value()) {
    alone.scores = model.ExpectedScores(request);
  }
  std::vector<int32_t> ids = request.ids;
  const Sampling& sampling = request.sampling;
  Adjustments adjustments(sampling, ids);
  while (request.max_new_tokens > 0 && alone.reason == FinishReason::kNone) {
    const auto position = static_cast<int32_t>(ids.size());
    alone.tokens.push_back(
        model.ExpectedDraw(ids,
                           {.temperature = sampling.temperature,
                            .top_k = sampling.top_k,
                            .top_p = sampling.top_p,
                            .min_p = sampling.min_p,
                            .uniform = RandomAt({sampling.seed, sampling.choice, position}),
                            .first_adjustment = 0,
                            .adjustments = 0,
                            .top_n = request.top_n},
                           adjustments.list()));
    const int32_t id = alone.tokens.back().id;
    ids.push_back(id);
    adjustments.Add(id);
    const auto& stops = request.stop_ids;
    const auto& ends = request.eos_ids;
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) {
      alone.reason = FinishReason::kEos;
    } else if (alone.tokens.size() == visitor.stop_after ||
               std::find(stops.begin(), stops.end(), id) != stops.end()) {
      alone.reason = FinishReason::kStop;
    } else if (alone.tokens.size() == static_cast<size_t>(request.max_new_tokens)) {
      alone.reason = FinishReason::kLength;
    }
  }
  return alone;
}

// Two sets, and ids in both.
std::span<const uint8_t> IdSets(int32_t vocab_size) {
  static std::vector<uint8_t> sets;
  if (sets.empty()) {
    for (int32_t id = 0; id < vocab_size; ++id)
      sets.push_back(id % 3 == 0 ? 1 : id % 5 == 0 ? 3 : 2);
  }
  return sets;
}

class Load {
 public:
  explicit Load(uint64_t seed) : random_(seed) {}

  int32_t Below(int32_t bound) { return static_cast<int32_t>(random_() % bound); }
  bool OneIn(int32_t n) { return Below(n) == 0; }

  // Prompts are beginnings of a few texts, some with a tail of their own: much to share.
  std::unique_ptr<Visitor> NewVisitor(int32_t vocab_size, absl::Time now) {
    auto visitor = std::make_unique<Visitor>();
    Request& request = visitor->request;
    // One text repeats itself page by page, so that a page after a wrong prefix would be found.
    std::mt19937_64 text(Below(3));
    const int32_t period = text == std::mt19937_64(0) ? kPageTokens : 1000;
    const int32_t length = 1 + Below(70);
    for (int32_t i = 0; i < length; ++i) {
      request.ids.push_back(i < period ? static_cast<int32_t>(text() % vocab_size)
                                       : request.ids[i - period]);
    }
    if (OneIn(2)) {
      for (int32_t i = Below(12); i > 0; --i) request.ids.push_back(Below(vocab_size));
    }
    if (OneIn(2)) request.score_from = OneIn(2) ? 0 : Below(length + 2);
    if (!request.score_from.has_value() || OneIn(4)) request.max_new_tokens = 1 + Below(60);
    if (OneIn(2)) request.top_n = OneIn(2) ? 1 : Below(5);  // one is kept with pages
    const int32_t scored =
        static_cast<int32_t>(request.ids.size()) - std::max(1, request.score_from.value_or(1000));
    if (scored > 0 && request.max_new_tokens == 0 && OneIn(3)) {
      for (int32_t i = 0; i <= scored; ++i) request.sets.push_back(Below(4));
      request.id_sets = IdSets(vocab_size);
    }
    if (OneIn(2)) {
      request.sampling.temperature = 0.5f + static_cast<float>(Below(4));
      request.sampling.seed = random_();
      request.sampling.choice = Below(3);
    }
    if (OneIn(4)) request.sampling.top_k = 1 + Below(8);
    if (OneIn(4)) request.sampling.repetition_penalty = 1.5f;
    if (OneIn(4)) request.sampling.frequency_penalty = 0.25f;
    if (OneIn(3)) request.eos_ids = {Below(vocab_size), Below(vocab_size)};
    if (OneIn(6)) request.stop_ids = {Below(vocab_size), Below(vocab_size)};
    request.client = static_cast<uint64_t>(Below(3));
    if (OneIn(8)) request.deadline = now + absl::Seconds(Below(40));
    if (OneIn(8)) visitor->stop_after = 1 + Below(6);
    if (OneIn(8)) visitor->leaves_at = Below(40);
    visitor->sink.StopAfter(visitor->stop_after);
    return visitor;
  }

 private:
  std::mt19937_64 random_;
};

// Ended early, a sequence has told a beginning of what it would have told; else all of it.
void CheckResult(const Visitor& visitor) {
  ASSERT_TRUE(visitor.sink.outcome.has_value());
  const Outcome& outcome = *visitor.sink.outcome;
  const Alone& alone = visitor.alone;
  const auto& tokens = visitor.sink.tokens;
  ASSERT_LE(tokens.size(), alone.tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    ASSERT_EQ(tokens[i].id, alone.tokens[i].id);
    ASSERT_EQ(tokens[i].logprob, alone.tokens[i].logprob);
    ASSERT_EQ(tokens[i].top, alone.tokens[i].top);
  }
  if (outcome.status.ok()) {
    EXPECT_EQ(visitor.sink.scores, alone.scores);
    EXPECT_EQ(tokens.size(), alone.tokens.size());
    EXPECT_EQ(outcome.reason, alone.reason);
    return;
  }
  EXPECT_EQ(outcome.reason, FinishReason::kNone);
  if (!visitor.sink.scores.empty()) {
    EXPECT_EQ(visitor.sink.scores, alone.scores);
  }
  if (absl::IsCancelled(outcome.status)) {
    EXPECT_GE(visitor.leaves_at, 0);
  }
  if (absl::IsDeadlineExceeded(outcome.status)) {
    EXPECT_LT(visitor.request.deadline, absl::InfiniteFuture());
  }
  if (absl::IsResourceExhausted(outcome.status)) {  // sent away from the queue
    EXPECT_LT(visitor.request.deadline, absl::InfiniteFuture());
    EXPECT_TRUE(tokens.empty());
    EXPECT_TRUE(outcome.retry_after.has_value());
  }
  if (absl::IsInternal(outcome.status)) {
    EXPECT_EQ(outcome.status.message(), "made to fail");
  }
}

// The seeds together must have met everything that this test is about, or it proves nothing.
class RandomLoadTest : public ::testing::TestWithParam<int> {
 protected:
  static void Count(const CountingMetrics& metrics, const FakeModel& model) {
    stored_again_ += model.stored_again();
    preempted_ += metrics.preempted;
    hit_tokens_ += metrics.hit;
    for (size_t reason = 0; reason < metrics.reasons.size(); ++reason) {
      ended_[reason] += metrics.reasons[reason];
    }
  }

  static void TearDownTestSuite() {
    EXPECT_GT(preempted_, 100);
    EXPECT_GT(hit_tokens_, 10'000);
    EXPECT_GT(stored_again_, 2'000);
    for (size_t reason = 0; reason < ended_.size(); ++reason) {
      if (reason == static_cast<size_t>(EndReason::kUnavailable)) continue;
      EXPECT_GT(ended_[reason], 50) << "end reason " << reason;
    }
  }

 private:
  static inline int64_t preempted_ = 0;
  static inline int64_t hit_tokens_ = 0;
  static inline int64_t stored_again_ = 0;
  static inline std::array<int64_t, 9> ended_ = {};
};

TEST_P(RandomLoadTest, EverySequenceGetsWhatItGetsAlone) {
  Load load(GetParam());
  FakeModelOptions model_options;
  model_options.vocab_size = 24;
  model_options.context_length = 128;
  model_options.kv_pages = 8 + load.Below(3) * load.Below(8);
  model_options.max_draws = 32;
  const bool failures = load.OneIn(4);
  model_options.before_step = [&load, failures](int64_t) {
    return failures && load.OneIn(20) ? absl::InternalError("made to fail") : absl::OkStatus();
  };
  FakeModel model(model_options);
  EngineOptions options;
  constexpr int32_t kBudgets[] = {1, 2, 5, 16, 17, 64, 512};
  options.max_batch_tokens = kBudgets[load.Below(7)];
  options.max_running_sequences = 1 + load.Below(20);
  options.prefix_cache = load.OneIn(3) ? PrefixCache::kOff : PrefixCache::kOn;
  CountingMetrics metrics;
  HandClock clock;
  StepRunner runner(model, options, metrics, [&] { return clock.Now(); });

  constexpr size_t kVisitors = 150;
  std::vector<std::unique_ptr<Visitor>> visitors;
  int64_t tokens = 0;
  const int32_t burst = 1 + load.Below(12);
  int64_t bound = 1000;  // steps: each token computed at most a few times, one by one
  for (int step = 0; visitors.size() < kVisitors || runner.HasWork(); ++step) {
    for (int32_t i = load.Below(burst + 1); i > 0 && visitors.size() < kVisitors; --i) {
      auto visitor = load.NewVisitor(model.limits().vocab_size, clock.Now());
      if (!CheckRequest(visitor->request, model.limits()).ok()) continue;
      visitor->alone = RunAlone(model, *visitor);
      if (visitor->leaves_at >= 0) visitor->leaves_at += step;
      bound +=
          20 * static_cast<int64_t>(visitor->request.ids.size() + visitor->alone.tokens.size());
      runner.Add(
          std::make_unique<Sequence>(Submission{visitor->request, &visitor->sink}, clock.Now()));
      visitors.push_back(std::move(visitor));
    }
    for (const auto& visitor : visitors) {
      if (visitor->leaves_at == step) visitor->sink.Leave();
    }
    const int64_t rows = model.rows();
    const int64_t stored_again = model.stored_again();
    const absl::Time begin = clock.Now();
    runner.PlanStep();
    clock.Advance(absl::Seconds(1));
    runner.FinishStep();
    ASSERT_LE(model.rows() - rows, options.max_batch_tokens);
    ASSERT_LE(model.stored_again() - stored_again,
              options.max_running_sequences * (kPageTokens - 1));
    const EngineStatus status = runner.Status();
    ASSERT_LE(status.running, options.max_running_sequences);
    // Within one step: nobody who left, and no deadline of the past, is still there.
    runner.NotifyEnded();
    for (const auto& visitor : visitors) {
      if (visitor->sink.Wanted() && visitor->request.deadline > begin) continue;
      ASSERT_TRUE(visitor->sink.outcome.has_value());
    }
    ASSERT_LT(step, bound) << "somebody starves";
  }

  EXPECT_EQ(runner.Status().free_pages, model.limits().kv_pages);
  EXPECT_EQ(runner.MakeOutlook().waiting().tokens, 0);
  EXPECT_EQ(metrics.finished, static_cast<int64_t>(visitors.size()));
  EXPECT_EQ(metrics.last_step.running, 0);
  EXPECT_EQ(metrics.last_step.waiting, 0);
  EXPECT_EQ(metrics.last_step.pages_used, 0);
  if (!failures) {
    EXPECT_EQ(metrics.step_tokens, model.rows());
  }
  if (options.prefix_cache == PrefixCache::kOff) {
    EXPECT_EQ(model.stored_again() + metrics.hit, 0);
  }
  EXPECT_LE(metrics.hit, metrics.queried);
  for (const auto& visitor : visitors) {
    CheckResult(*visitor);
    tokens += static_cast<int64_t>(visitor->sink.tokens.size());
  }
  Count(metrics, model);
  EXPECT_EQ(metrics.generated_tokens, tokens);
  EXPECT_EQ(metrics.first_tokens + metrics.inter_tokens, tokens);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomLoadTest, ::testing::Range(0, 200));

}  // namespace
}  // namespace dyad::engine
