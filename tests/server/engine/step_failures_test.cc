// Steps and answers for which there is no memory, competitors that are none, and steps that fail
// one after the other; layers that cannot compute a row.
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/step_runner.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/server/engine/step_bench.h"
#include "tests/support/status_matchers.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::CountingMetrics;
using ::dyad::testing::FakeModel;
using ::dyad::testing::FakeModelOptions;
using ::dyad::testing::Generate;
using ::dyad::testing::HandClock;
using ::dyad::testing::RecordingSink;
using ::dyad::testing::Score;
using ::dyad::testing::StatusIs;
using ::dyad::testing::StepBench;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(StepFailuresTest, AStepWithoutMemoryEndsItsSequencesOnly) {
  FakeModelOptions model_options;
  model_options.before_step = [](int64_t step) -> absl::Status {
    if (step == 1) throw std::bad_alloc();
    return absl::OkStatus();
  };
  StepBench bench(model_options);
  RecordingSink hit;
  RecordingSink later;
  bench.Add(Generate({1}, 5), hit);
  bench.Step();
  bench.Step();
  bench.Add(Generate({2}, 5), later);
  bench.RunAll();
  EXPECT_THAT(hit.outcome->status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("memory")));
  EXPECT_OK(later.outcome->status);
  EXPECT_EQ(bench.runner.Status().free_pages, bench.model.limits().kv_pages);
}

// Has no room for a token or a score.
class SinkWithoutMemory final : public TokenSink {
 public:
  void OnScores(std::span<const TokenScore>) override { throw std::bad_alloc(); }
  Verdict OnToken(const GeneratedToken&) override { throw std::bad_alloc(); }
  void OnEnd(const Outcome& given) override { outcome = given; }

  std::optional<Outcome> outcome;
};

TEST(StepFailuresTest, AnAnswerWithoutMemoryEndsItsSequenceOnly) {
  StepBench bench;
  SinkWithoutMemory generates;
  SinkWithoutMemory scores;
  RecordingSink other;
  bench.Add(Generate({1}, 5), generates);
  bench.Add(Score({1, 2, 3}, 1), scores);
  bench.Add(Generate({2}, 5), other);
  bench.RunAll();
  EXPECT_THAT(generates.outcome->status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("memory")));
  EXPECT_THAT(scores.outcome->status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("memory")));
  EXPECT_OK(other.outcome->status);
  EXPECT_THAT(other.tokens, SizeIs(5));
  EXPECT_EQ(bench.runner.Status().free_pages, bench.model.limits().kv_pages);
}

// Ranks nothing: competitors have no id.
class ModelWithoutCompetitors final : public Model {
 public:
  const ModelLimits& limits() const override { return model_.limits(); }
  StepCost cost() const override { return model_.cost(); }
  absl::StatusOr<StepResult> Step(const Batch& batch) override {
    const absl::StatusOr<StepResult> result = model_.Step(batch);
    if (!result.ok()) return result;
    scores_.assign(result->scores.begin(), result->scores.end());
    drawn_.assign(result->drawn.begin(), result->drawn.end());
    for (TokenScore& score : scores_) score.top.assign(score.top.size(), {-1, 0});
    for (GeneratedToken& token : drawn_) token.top.assign(token.top.size(), {-1, 0});
    return StepResult{scores_, drawn_};
  }

 private:
  FakeModel model_;
  std::vector<TokenScore> scores_;
  std::vector<GeneratedToken> drawn_;
};

TEST(StepFailuresTest, ACompetitorThatIsNoneIsNoAnswer) {
  ModelWithoutCompetitors model;
  CountingMetrics metrics;
  HandClock clock;
  StepRunner runner(model, {}, metrics, [&] { return clock.Now(); });
  for (const int32_t top_n : {0, 2}) {
    RecordingSink scored, drawn;
    const auto add = [&](Request request, RecordingSink& sink) {
      request.top_n = top_n;
      runner.Add(std::make_unique<Sequence>(Submission{std::move(request), &sink}, clock.Now()));
    };
    add(Score({1, 2}, 0), scored);
    add(Generate({1}, 1), drawn);
    while (runner.HasWork()) {
      runner.PlanStep();
      runner.FinishStep();
      runner.NotifyEnded();
    }
    const auto code = top_n == 0 ? absl::StatusCode::kOk : absl::StatusCode::kInternal;
    EXPECT_EQ(scored.outcome->status.code(), code);
    EXPECT_EQ(drawn.outcome->status.code(), code);
  }
}

TEST(StepFailuresTest, CountsStepsThatFailOneAfterTheOther) {
  FakeModelOptions model_options;
  model_options.before_step = [](int64_t step) {
    return step < 3 ? absl::InternalError("device lost") : absl::OkStatus();
  };
  StepBench bench(model_options);
  RecordingSink sinks[4];
  for (int step = 0; step < 4; ++step) {
    bench.Add(Generate({1}, 1), sinks[step]);
    bench.Step();
    EXPECT_EQ(bench.runner.Status().failed_steps, step < 3 ? step + 1 : 0);
  }
}

// Sequences end with what the device said, at once and those that come later.
TEST(StepFailuresTest, ALostDeviceEndsAllThatRunsAndComes) {
  FakeModelOptions model_options;
  model_options.before_step = [](int64_t step) {
    return step == 0 ? absl::OkStatus() : absl::UnavailableError("no such device");
  };
  StepBench bench(model_options);
  RecordingSink first, second;
  bench.Add(Generate({1}, 5), first);
  bench.Step();
  EXPECT_EQ(bench.runner.Status().lost, "");
  bench.Step();
  bench.Add(Generate({2}, 5), second);
  bench.RunAll();
  for (const RecordingSink* sink : {&first, &second}) {
    EXPECT_THAT(sink->outcome->status,
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no such device")));
    EXPECT_TRUE(sink->outcome->device_lost);
  }
  EXPECT_EQ(bench.runner.Status().lost, "no such device");
  EXPECT_EQ(bench.runner.Status().free_pages, bench.model.limits().kv_pages);
}

TEST(StepFailuresTest, ALayerThatCannotComputeARowIsNamed) {
  for (const int32_t budget : {1, 512}) {
    FakeModelOptions options;
    options.overflows_on = options.gate_fails_on = 7;
    options.max_batch_tokens = budget;
    StepBench bench(options);
    RecordingSink before, shared, drawn, alone, unasked;
    bench.Add(Score({5, 1, 2, 7, 3, 4}, 0), before);
    bench.Add(Score({5, 1, 2, 7, 3, 8}, 0), shared);  // shares rows
    bench.Add(Generate({1, 7, 4}, 3), drawn);
    bench.Add(Generate({1, 2}, 3), alone);
    bench.Add(Score({1, 2, 7}, 0), unasked);  // the last token is not fed
    bench.RunAll();
    const std::string gate = "the shares that the gate of layer layers.1.fc1 gives the token at ";
    for (const RecordingSink* sink : {&before, &shared}) {
      EXPECT_THAT(
          sink->outcome->status,
          StatusIs(absl::StatusCode::kInternal, AllOf(HasSubstr("position 4 of the tokens fed"),
                                                      HasSubstr(gate + "position 3 add up to 0"))));
    }
    EXPECT_THAT(drawn.outcome->status,
                StatusIs(absl::StatusCode::kInternal, HasSubstr(gate + "position 1 add up to 0")));
    EXPECT_EQ(alone.Ids(), bench.model.ExpectedGreedy({1, 2}, 3));
    EXPECT_OK(unasked.outcome->status);
  }
}

// ln of nothing; a door refuses such sets.
TEST(StepFailuresTest, ASetWithoutIdsFailsItsSequenceAlone) {
  StepBench bench;
  const std::vector<uint8_t> id_sets(static_cast<size_t>(bench.model.limits().vocab_size), 1);
  Request request = Score({3, 1, 4}, 1);
  request.id_sets = id_sets;
  request.sets = {1, 1, 2};
  RecordingSink fails, other;
  bench.Add(request, fails);
  request.sets = {1, 1, 1};
  bench.Add(request, other);
  bench.RunAll();
  EXPECT_THAT(fails.outcome->status,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("not finite")));
  EXPECT_OK(other.outcome->status);
}

}  // namespace
}  // namespace dyad::engine
