// More requests with deadlines than the engine can serve, on the fake model with a clock moved by
// hand: who is let in ends in time, and who is not hears of it at once. Steps take as long as their
// rows, more or less, as on a machine with other work. What the engine's threads do is done here in
// turn: requests arrive while the model runs, and are judged by what was published before.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/step_runner.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/support/fake_model.h"
#include "tests/support/hand_clock.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::CountingMetrics;
using ::dyad::testing::FakeModel;
using ::dyad::testing::FakeModelOptions;
using ::dyad::testing::HandClock;
using ::dyad::testing::RecordingSink;

constexpr absl::Duration kPerRow = absl::Microseconds(500);
constexpr absl::Duration kPerStep = absl::Milliseconds(2);
constexpr absl::Duration kDeadline = absl::Seconds(5);
constexpr absl::Duration kLoad = absl::Seconds(12);
constexpr int32_t kPromptTokens = 16;
constexpr int32_t kNewTokens = 64;
constexpr double kCapacity = 2000.0 / (kPromptTokens + kNewTokens);  // requests a second

struct Overload {
  std::string name;
  double times;      // of the capacity
  double noise;      // of a step's time; of its logarithm
  int32_t kv_pages;  // 5 a sequence
  int32_t places;
  int32_t warm;  // sequences that run before, without deadline
};

// A model whose steps take time, in small parts: in each of them somebody may arrive.
class TimedModel final : public Model {
 public:
  TimedModel(const FakeModelOptions& options, std::function<void(size_t rows)> pass)
      : model_(options), pass_(std::move(pass)) {}
  const ModelLimits& limits() const override { return model_.limits(); }
  StepCost cost() const override { return model_.cost(); }
  absl::StatusOr<StepResult> Step(const Batch& batch) override {
    pass_(batch.ids.size());
    return model_.Step(batch);
  }

 private:
  FakeModel model_;
  std::function<void(size_t)> pass_;
};

FakeModelOptions WithPages(int32_t pages) {
  FakeModelOptions options;
  options.kv_pages = pages;
  return options;
}

EngineOptions WithPlaces(int32_t places) {
  EngineOptions options;
  options.max_running_sequences = places;
  return options;
}

class OverloadTest : public ::testing::TestWithParam<Overload> {
 protected:
  void Submit(absl::Duration time_left) {
    Request request;
    for (int32_t i = 0; i < kPromptTokens; ++i) {
      request.ids.push_back(static_cast<int32_t>(random_() % 32));
    }
    request.max_new_tokens = kNewTokens;
    request.deadline = clock_.Now() + time_left;
    auto sink = std::make_unique<RecordingSink>();
    auto sequence =
        std::make_unique<Sequence>(Submission{std::move(request), sink.get()}, clock_.Now());
    if (runner_.HasWork() && TooLong(outlook_.TimeToEnd(0, sequence->queued()), time_left)) {
      ++refused_;
      return;
    }
    outlook_.Queue(0, sequence->queued());
    arrived_.push_back(std::move(sequence));
    sinks_.push_back(std::move(sink));
  }

  void Pass(absl::Duration time) {
    for (; time > absl::ZeroDuration(); time -= absl::Milliseconds(2)) {
      clock_.Advance(std::min(time, absl::Milliseconds(2)));
      if (clock_.Now() >= end_) continue;
      const double due =
          absl::ToDoubleSeconds(clock_.Now() - begin_) * GetParam().times * kCapacity;
      for (; sent_ < static_cast<int64_t>(due); ++sent_) Submit(kDeadline);
    }
  }

  void Step() {
    for (auto& sequence : arrived_) runner_.Add(std::move(sequence));
    arrived_.clear();
    if (!runner_.HasWork()) return Pass(absl::Milliseconds(2));
    runner_.PlanStep();
    outlook_ = runner_.MakeOutlook();
    runner_.FinishStep();
    outlook_ = runner_.MakeOutlook();
    for (const auto& sequence : arrived_) outlook_.Queue(0, sequence->queued());
    runner_.NotifyEnded();
  }

  std::mt19937 random_{1};
  HandClock clock_;
  CountingMetrics metrics_;
  TimedModel model_{WithPages(GetParam().kv_pages), [this](size_t rows) {
                      std::normal_distribution<double> noise(0, GetParam().noise);
                      Pass((kPerStep + kPerRow * rows) * std::exp(noise(random_)));
                    }};
  StepRunner runner_{model_, WithPlaces(GetParam().places), metrics_,
                     [this] { return clock_.Now(); }};
  Outlook outlook_;  // as published
  std::vector<std::unique_ptr<Sequence>> arrived_;
  std::vector<std::unique_ptr<RecordingSink>> sinks_;
  absl::Time begin_ = absl::InfiniteFuture();
  absl::Time end_ = absl::InfinitePast();
  int64_t sent_ = 0;
  int64_t refused_ = 0;
};

TEST_P(OverloadTest, WhoIsLetInEndsInTimeAndTheOthersHearAtOnce) {
  for (int32_t i = 0; i < GetParam().warm; ++i) Submit(absl::InfiniteDuration());
  for (int i = 0; i < 200; ++i) Step();
  begin_ = clock_.Now();
  end_ = begin_ + kLoad;
  while (clock_.Now() < end_ || runner_.HasWork() || !arrived_.empty()) Step();

  double in_time = 0, died = 0, sent_away = 0;
  for (size_t i = GetParam().warm; i < sinks_.size(); ++i) {
    const absl::Status& status = sinks_[i]->outcome->status;
    ++(status.ok() ? in_time : absl::IsDeadlineExceeded(status) ? died : sent_away);
  }
  const double accepted = in_time + died + sent_away;
  EXPECT_EQ(accepted + static_cast<double>(refused_), static_cast<double>(sent_));
  EXPECT_GE(in_time, 0.8 * kCapacity * absl::ToDoubleSeconds(kLoad));
  EXPECT_LE(died, 0.1 * accepted);
  EXPECT_LE(sent_away, 0.01 * static_cast<double>(sent_));
}

INSTANTIATE_TEST_SUITE_P(Loads, OverloadTest,
                         ::testing::Values(Overload{"TwoTimes", 2, 0, 10'000, 256, 0},
                                           Overload{"TenTimes", 10, 0, 10'000, 256, 16},
                                           Overload{"FewPlaces", 2, 0, 10'000, 16, 0},
                                           Overload{"FewPages", 2, 0, 250, 256, 16},
                                           Overload{"TenTimesFewPages", 10, 0, 250, 256, 16},
                                           Overload{"Noise", 2, 0.4, 10'000, 256, 16},
                                           Overload{"TenTimesFewPagesNoise", 10, 0.4, 250, 256,
                                                    16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace dyad::engine
