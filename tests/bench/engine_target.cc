// Requests as sequences of the engine: tests/bench/engine_target.h.
#include "tests/bench/engine_target.h"

#include <utility>

#include "absl/synchronization/blocking_counter.h"
#include "server/base/status_macros.h"

namespace dyad::bench {
namespace {

using engine::Verdict;

// Of one sequence. All calls but Result come from the engine's thread, before `ended` counts.
class Sink final : public engine::TokenSink {
 public:
  Sink(const std::function<void(int64_t)>* on_tokens, absl::BlockingCounter& ended)
      : on_tokens_(on_tokens), ended_(ended) {}

  void OnScores(std::span<const engine::TokenScore> scores) override {
    answer_.scored_tokens = static_cast<int64_t>(scores.size());
  }
  Verdict OnToken(const engine::GeneratedToken&) override {
    (*on_tokens_)(1);
    return Verdict::kContinue;
  }
  void OnEnd(const engine::Outcome& outcome) override {
    status_ = outcome.status;
    answer_.cached_tokens = outcome.cached_tokens;
    ended_.DecrementCount();
  }

  absl::StatusOr<Answer> Result() const {
    if (!status_.ok()) return status_;
    return answer_;
  }

 private:
  const std::function<void(int64_t)>* on_tokens_;  // null: nothing is generated
  absl::BlockingCounter& ended_;
  absl::Status status_;
  Answer answer_;
};

class InProcess final : public Target {
 public:
  InProcess(engine::Engine& engine, const engine::Sampling& sampling)
      : engine_(engine), sampling_(sampling) {}

  absl::StatusOr<Answer> Generate(const Ids& prompt, int32_t new_tokens,
                                  const std::function<void(int64_t)>& on_tokens) override {
    engine::Request request;
    request.ids = prompt;
    request.max_new_tokens = new_tokens;
    request.sampling = sampling_;
    return Run({std::move(request)}, &on_tokens);
  }

  absl::StatusOr<Answer> Score(const std::vector<Ids>& texts) override {
    std::vector<engine::Request> requests;
    for (const Ids& text : texts) {
      engine::Request& request = requests.emplace_back();
      request.ids = text;
      request.score_from = 1;
    }
    return Run(std::move(requests), nullptr);
  }

 private:
  absl::StatusOr<Answer> Run(std::vector<engine::Request> requests,
                             const std::function<void(int64_t)>* on_tokens) {
    absl::BlockingCounter ended(static_cast<int>(requests.size()));
    std::vector<std::unique_ptr<Sink>> sinks;
    std::vector<engine::Submission> submissions;
    for (engine::Request& request : requests) {
      sinks.push_back(std::make_unique<Sink>(on_tokens, ended));
      submissions.push_back({std::move(request), sinks.back().get()});
    }
    RETURN_IF_ERROR(engine_.Submit(std::move(submissions)));
    ended.Wait();
    Answer sum;
    for (const auto& sink : sinks) {
      ASSIGN_OR_RETURN(const Answer answer, sink->Result());
      sum.scored_tokens += answer.scored_tokens;
      sum.cached_tokens += answer.cached_tokens;
    }
    return sum;
  }

  engine::Engine& engine_;
  const engine::Sampling sampling_;
};

}  // namespace

std::unique_ptr<Target> EngineTarget(engine::Engine& engine, const engine::Sampling& sampling) {
  return std::make_unique<InProcess>(engine, sampling);
}

}  // namespace dyad::bench
