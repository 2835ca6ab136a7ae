// A step runner on the fake model with a clock moved by hand, and the simplest requests.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/step_runner.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/support/fake_model.h"
#include "tests/support/hand_clock.h"

namespace dyad::testing {

// A runner on its fake model. Each step takes the model a second of the hand's clock.
class StepBench {
 public:
  explicit StepBench(FakeModelOptions model_options = {}, engine::EngineOptions options = {})
      : model(WithStepTime(std::move(model_options))),
        runner(model, options, metrics, [this] { return clock.Now(); }) {}

  void Add(engine::Request request, engine::TokenSink& sink) {
    runner.Add(std::make_unique<engine::Sequence>(engine::Submission{std::move(request), &sink},
                                                  clock.Now()));
  }
  void Step() {
    runner.PlanStep();
    runner.FinishStep();
    runner.NotifyEnded();
  }
  void RunAll() {
    for (int steps = 0; runner.HasWork(); ++steps) {
      ASSERT_LT(steps, 1000);
      Step();
    }
  }

  HandClock clock;
  CountingMetrics metrics;
  FakeModel model;
  engine::StepRunner runner;

 private:
  FakeModelOptions WithStepTime(FakeModelOptions options) {
    options.before_step = [this, before = options.before_step](int64_t step) {
      clock.Advance(absl::Seconds(1));
      return before ? before(step) : absl::OkStatus();
    };
    return options;
  }
};

inline engine::Request Generate(std::vector<int32_t> ids, int32_t max_new_tokens) {
  engine::Request request;
  request.ids = std::move(ids);
  request.max_new_tokens = max_new_tokens;
  return request;
}

inline engine::Request Score(std::vector<int32_t> ids, int32_t score_from) {
  engine::Request request;
  request.ids = std::move(ids);
  request.score_from = score_from;
  return request;
}

}  // namespace dyad::testing
