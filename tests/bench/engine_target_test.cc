// Loads on a real engine over a fake model.
#include "tests/bench/engine_target.h"

#include "gtest/gtest.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/support/fake_model.h"
#include "tests/support/status_matchers.h"

namespace dyad::bench {
namespace {

class EngineTargetTest : public ::testing::Test {
 protected:
  LoadResult Run(Task task, int32_t prompt_tokens) {
    const std::unique_ptr<Target> targets[] = {EngineTarget(engine_)};
    LoadOptions options;
    options.task = task;
    options.vocab_size = model_.limits().vocab_size;
    options.prompt_tokens = prompt_tokens;
    options.new_tokens = 5;
    options.items = 2;
    options.arrivals.requests = 12;
    options.in_flight = 3;
    return RunLoad(options, targets);
  }

  testing::FakeModel model_{{}};
  testing::CountingMetrics metrics_;
  engine::Engine engine_{model_, {}, metrics_};
};

TEST_F(EngineTargetTest, CountsWhatTheEngineGenerated) {
  const LoadResult result = Run(Task::kGenerate, 8);
  EXPECT_EQ(result.succeeded, 12);
  EXPECT_EQ(result.tokens_out, 12 * 5);
  EXPECT_EQ(result.ttft.count(), 12);
  EXPECT_EQ(result.token.count(), 12 * 4);
  EXPECT_EQ(metrics_.generated_tokens, 12 * 5);
}

TEST_F(EngineTargetTest, CountsWhatTheEngineScored) {
  const LoadResult result = Run(Task::kScore, 8);
  EXPECT_EQ(result.succeeded, 12);
  EXPECT_EQ(result.scored_tokens, 12 * 2 * 7);
  EXPECT_EQ(metrics_.scored_tokens, 12 * 2 * 7);
}

TEST_F(EngineTargetTest, RefusalsAreErrorsOfTheLoad) {
  const LoadResult result = Run(Task::kScore, model_.limits().context_length + 2);
  EXPECT_EQ(result.succeeded, 0);
  EXPECT_EQ(result.errors.at("INVALID_ARGUMENT"), 12);
  EXPECT_THAT(result.first_error,
              testing::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::_));
}

}  // namespace
}  // namespace dyad::bench
