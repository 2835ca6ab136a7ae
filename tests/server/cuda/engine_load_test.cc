// The engine on a CUDA device: arrivals of random size, cancels, few pages, the prefix cache on and
// off. Each sequence gets, bit for bit, what it gets alone on the CPU.
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/open.h"
#include "kernels/devices.h"
#include "server/engine/check_request.h"
#include "server/engine/step_runner.h"
#include "tests/server/engine/counting_metrics.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/hand_clock.h"
#include "tests/support/sanitized.h"

namespace dyad {
namespace {

using engine::Request;
using testing::CountingMetrics;
using testing::HandClock;
using testing::RecordingSink;

constexpr int kVisitors = testing::kSanitized ? 4 : 16;

struct Visitor {
  Request request;
  int leaves_at = -1;  // step; -1: never
  RecordingSink sink, alone;
};

std::unique_ptr<engine::Model> Load(const std::string& fixture, int64_t kv_bytes,
                                    std::unique_ptr<kernels::Device> device) {
  ModelOptions options = testing::SmallOptions();
  options.kv_cache_bytes = kv_bytes;
  absl::StatusOr<LoadedModel> loaded =
      LoadModel(testing::FixtureFolder(fixture), options, std::move(device));
  EXPECT_OK(loaded);
  return loaded.ok() ? std::move(loaded->model) : nullptr;
}

std::vector<std::unique_ptr<Visitor>> MakeVisitors(std::mt19937& random, int32_t vocabulary) {
  const auto below = [&random](uint32_t n) { return static_cast<int32_t>(random() % n); };
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 0; i < kVisitors; ++i) {
    auto visitor = std::make_unique<Visitor>();
    Request& request = visitor->request;
    // Beginnings of two texts: much to share.
    request.ids = testing::RandomIds(1 + below(34), vocabulary, static_cast<uint32_t>(below(2)));
    if (below(2) == 0) request.score_from = 0;
    if (!request.score_from.has_value() || below(2) == 0) request.max_new_tokens = 1 + below(34);
    request.top_n = below(3);
    if (below(2) == 0) {
      request.sampling.temperature = 0.9f;
      request.sampling.seed = random();
      request.sampling.top_k = below(2) * 7;
    }
    if (below(4) == 0) request.sampling.repetition_penalty = 1.5f;
    if (below(8) == 0) visitor->leaves_at = below(10);
    visitors.push_back(std::move(visitor));
  }
  return visitors;
}

// Runs all to their ends; they come `burst` at a time.
template <typename SinkOf>
void Serve(engine::Model& model, const engine::EngineOptions& options, CountingMetrics& metrics,
           std::span<const std::unique_ptr<Visitor>> visitors, int burst, SinkOf sink_of) {
  HandClock clock;
  engine::StepRunner runner(model, options, metrics, [&] { return clock.Now(); });
  size_t added = 0;
  for (int step = 0; added < visitors.size() || runner.HasWork(); ++step) {
    for (int i = 0; i < burst && added < visitors.size(); ++i, ++added) {
      Visitor& visitor = *visitors[added];
      ASSERT_OK(engine::CheckRequest(visitor.request, model.limits()));
      runner.Add(std::make_unique<engine::Sequence>(
          engine::Submission{visitor.request, &sink_of(visitor)}, clock.Now()));
    }
    for (const auto& visitor : visitors) {
      if (visitor->leaves_at == step) visitor->sink.Leave();
    }
    runner.PlanStep();
    clock.Advance(absl::Seconds(1));
    runner.FinishStep();
    runner.NotifyEnded();
    ASSERT_LT(step, 3000) << "somebody starves";
  }
  EXPECT_EQ(runner.Status().free_pages, model.limits().kv_pages);
}

void ExpectWhatItGetsAlone(const Visitor& visitor) {
  ASSERT_TRUE(visitor.sink.outcome.has_value());
  ASSERT_TRUE(visitor.alone.outcome.has_value());
  ASSERT_OK(visitor.alone.outcome->status);
  const auto& tokens = visitor.sink.tokens;
  if (absl::IsCancelled(visitor.sink.outcome->status)) {
    ASSERT_LE(tokens.size(), visitor.alone.tokens.size());
  } else {
    ASSERT_OK(visitor.sink.outcome->status);
    EXPECT_EQ(visitor.sink.scores, visitor.alone.scores);
    ASSERT_EQ(tokens.size(), visitor.alone.tokens.size());
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tokens[i].id, visitor.alone.tokens[i].id);
    EXPECT_EQ(tokens[i].logprob, visitor.alone.tokens[i].logprob);
    EXPECT_EQ(tokens[i].top, visitor.alone.tokens[i].top);
  }
}

void ExpectLoadDoesNotShow(const std::string& fixture, const engine::EngineOptions& options,
                           uint32_t seed) {
  const auto cpu = Load(fixture, 4 << 20, kernels::MakeCpuDevice({.threads = 2}));
  kernels::cuda::OpenedDevices opened = kernels::cuda::OpenDevices(1, {.threads = 2});
  ASSERT_EQ(opened.fault, "");
  // Little more than the longest takes: too little for those that come together.
  const auto cuda = Load(fixture, 160 << 10, std::move(opened.devices.front()));
  ASSERT_NE(cpu, nullptr);
  ASSERT_NE(cuda, nullptr);
  std::mt19937 random(seed);
  const auto visitors = MakeVisitors(random, cuda->limits().vocab_size);
  CountingMetrics alone, together;
  for (const auto& visitor : visitors) {
    Serve(*cpu, {.prefix_cache = engine::PrefixCache::kOff}, alone, {&visitor, 1}, 1,
          [](Visitor& of) -> RecordingSink& { return of.alone; });
  }
  Serve(*cuda, options, together, visitors, 4,
        [](Visitor& of) -> RecordingSink& { return of.sink; });
  for (const auto& visitor : visitors) ExpectWhatItGetsAlone(*visitor);
  if (testing::kSanitized) return;
  EXPECT_GT(together.preempted, 0);
  EXPECT_GT(together.Ended(EndReason::kCancelled), 0);
  if (options.prefix_cache == engine::PrefixCache::kOn) {
    EXPECT_GT(together.hit, 0);
  }
}

TEST(EngineLoadTest, DoesNotShowWithThePrefixCache) {
  ExpectLoadDoesNotShow("opt-dyad-it4", {.max_batch_tokens = 40, .max_running_sequences = 12}, 1);
}

TEST(EngineLoadTest, DoesNotShowWithoutIt) {
  ExpectLoadDoesNotShow("neox-dyad-it4",
                        {.max_batch_tokens = 17,
                         .max_running_sequences = 12,
                         .prefix_cache = engine::PrefixCache::kOff},
                        2);
}

}  // namespace
}  // namespace dyad
