// A sink that keeps all it is told, checks the order of calls, and can be awaited.
#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/mutex.h"
#include "server/engine/request.h"

namespace dyad::testing {

// Threads: the engine's calls and AwaitEnd may come from different ones; read the rest after the
// end.
class RecordingSink final : public engine::TokenSink {
 public:
  bool Wanted() const override { return wanted_; }
  void Leave() { wanted_ = false; }
  // OnToken answers kStop at the `tokens`-th token.
  void StopAfter(size_t tokens) { stop_after_ = tokens; }

  void OnScores(std::span<const engine::TokenScore> given) override {
    EXPECT_FALSE(outcome.has_value()) << "scores after the end";
    EXPECT_TRUE(scores.empty()) << "scores came twice";
    EXPECT_TRUE(tokens.empty()) << "scores after a token";
    EXPECT_FALSE(given.empty());
    scores.assign(given.begin(), given.end());
  }

  engine::Verdict OnToken(const engine::GeneratedToken& token) override {
    EXPECT_FALSE(outcome.has_value()) << "a token after the end";
    tokens.push_back(token);
    return tokens.size() == stop_after_ ? engine::Verdict::kStop : engine::Verdict::kContinue;
  }

  void OnEnd(const engine::Outcome& given) override {
    MutexLock lock(&mutex_);
    EXPECT_FALSE(outcome.has_value()) << "ended twice";
    outcome = given;
    ended_.SignalAll();
  }

  void AwaitEnd() {
    MutexLock lock(&mutex_);
    while (!outcome.has_value()) ended_.Wait(&mutex_);
  }

  std::vector<int32_t> Ids() const {
    std::vector<int32_t> ids;
    for (const engine::GeneratedToken& token : tokens) ids.push_back(token.id);
    return ids;
  }

  std::vector<engine::TokenScore> scores;
  std::vector<engine::GeneratedToken> tokens;
  std::optional<engine::Outcome> outcome;

 private:
  std::atomic<bool> wanted_{true};
  size_t stop_after_ = 0;
  Mutex mutex_;
  CondVar ended_;
};

}  // namespace dyad::testing
