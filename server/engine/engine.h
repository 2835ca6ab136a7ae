// Continuous batching: one thread that owns sequences, KV pages and the model, and runs steps.
// Contract and reasons: server/engine/README.md.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/engine/engine_options.h"
#include "server/engine/engine_status.h"
#include "server/engine/model.h"
#include "server/engine/request.h"
#include "server/metrics/metrics.h"

namespace dyad::engine {

class Engine {
 public:
  // Starts the thread. `model` and `metrics` must outlive the engine.
  Engine(Model& model, const EngineOptions& options, ModelMetrics& metrics);
  // As Drain(absl::ZeroDuration()), then joins the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Queues all of them or none. On OK every sink gets exactly one OnEnd; otherwise no call at all.
  // Errors: ResourceExhausted (a queue bound, or too busy to end one before its deadline; retry
  // later), Unavailable (draining), InvalidArgument (ids empty, out of range or too long; a request
  // that cannot ever fit the pages). Any thread; never waits.
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
