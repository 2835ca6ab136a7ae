// Continuous batching: one thread that owns sequences, KV pages and the model, and runs steps.
// Contract and reasons: server/engine/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/engine/model.h"
#include "server/engine/request.h"
#include "server/metrics/metrics.h"

namespace dyad::engine {

// Whether sequences share what they have in common: stored pages, and rows of a step.
enum class PrefixCache { kOff, kOn };

struct EngineOptions {
  int32_t max_batch_tokens = 512;       // rows of a step; [1, model's max_batch_tokens]
  int32_t max_running_sequences = 256;  // [1, model's max_draws]
  int32_t max_queued_requests = 4096;   // waiting sequences; >= 1
  int64_t max_queued_tokens = 1 << 20;  // ids of waiting sequences; >= 1
  PrefixCache prefix_cache = PrefixCache::kOn;
};

// One sequence to submit. The sink must outlive its OnEnd.
struct Submission {
  Request request;
  TokenSink* sink = nullptr;
};

// A moment's state, for health and load reports.
struct EngineStatus {
  int32_t waiting = 0;
  int32_t running = 0;
  int32_t free_pages = 0;          // those that the prefix cache could give up included
  absl::Duration since_last_step;  // 0 while there is no work
  // How long the queue takes to drain at the measured rate, for retry hints; [0.05 s, 60 s].
  absl::Duration retry_after;
};

class Engine {
 public:
  // Starts the thread. `model` and `metrics` must outlive the engine.
  Engine(Model& model, const EngineOptions& options, ModelMetrics& metrics);
  // As Drain(absl::ZeroDuration()), then joins the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Queues all of them or none. On OK every sink gets exactly one OnEnd; otherwise no call at all.
  // Errors: ResourceExhausted (a queue bound; retry later), Unavailable (draining), InvalidArgument
  // (ids empty, out of range or too long; a request that cannot ever fit the pages). Any thread;
  // never waits.
  absl::Status Submit(std::vector<Submission> submissions);

  // Refuses new work; waits until all sequences ended, at most `limit`; then ends the rest with
  // Unavailable. Any thread; may be called again.
  void Drain(absl::Duration limit);

  EngineStatus Status() const;  // any thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyad::engine
