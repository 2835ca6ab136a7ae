// One step from end to end: end what nobody waits for, plan, run the model, deliver. The
// engine without its thread: tests crank it with a clock of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/engine/engine_options.h"
#include "server/engine/engine_status.h"
#include "server/engine/forecast.h"
#include "server/engine/model.h"
#include "server/engine/outlook.h"
#include "server/engine/page_pool.h"
#include "server/engine/prefix_tree.h"
#include "server/engine/scheduler.h"
#include "server/engine/sequence.h"
#include "server/engine/step_batch.h"
#include "server/metrics/metrics.h"

namespace dyad::engine {

// Threads: one at a time. Sinks are called from within FinishStep (OnScores, OnToken) and
// NotifyEnded (OnEnd), and must not call back.
class StepRunner {
 public:
  using Clock = std::function<absl::Time()>;

  // `model` and `metrics` must outlive this. Options outside their ranges are moved into them.
  StepRunner(Model& model, const EngineOptions& options, ModelMetrics& metrics, Clock clock);

  // REQUIRES: CheckRequest accepted the request.
  void Add(std::unique_ptr<Sequence> sequence);

  // Sequences that have not ended.
  bool HasWork() const { return !scheduler_.waiting().empty() || !scheduler_.running().empty(); }

  // One step in two halves. The first ends what nobody waits for and plans; the second runs the
  // model and delivers. Status is up to date after each. Those that end give their pages back and
  // are counted at once; their sinks hear of it in NotifyEnded.
  void PlanStep();
  void FinishStep();

  // Ends all sequences with `status`.
  void EndAll(const absl::Status& status);

  // Calls OnEnd of every sequence that ended since the last call. Returns how many.
  int32_t NotifyEnded();

  // Without since_last_step, which is the business of whoever calls this.
  EngineStatus Status() const;
  Outlook MakeOutlook() const;  // as things are now

 private:
  void EndUnwanted(absl::Time now);
  void EndHopeless(absl::Time now);
  void NoteAdmissions(const Plan& plan, absl::Time now);
  // Remembers the first row of the chunk that a layer could not compute.
  void NoteFailure(const Plan& plan, const PlannedChunk& chunk, const StepResult& result);
  // Internal if a number is not finite.
  absl::Status TakeScores(const Plan& plan, const PlannedChunk& chunk, const StepResult& result);
  void Deliver(const Plan& plan, const StepResult& result, absl::Time now);
  void DeliverToken(Sequence& sequence, const GeneratedToken& token, absl::Time now);
  void EndChunks(const Plan& plan, const absl::Status& status);
  void CollectEnded(absl::Time now);
  void ReportStep(const Plan& plan, absl::Time end);

  Model& model_;
  ModelMetrics& metrics_;
  const Clock clock_;
  const StepCost cost_;
  PagePool pool_;
  PrefixTree tree_;
  Scheduler scheduler_;
  Forecast forecast_;
  int32_t failed_steps_ = 0;  // in a row
  std::string lost_;          // what the device said of its loss
  // Of the step in progress.
  absl::Time begin_;
  const Plan* plan_ = nullptr;
  bool numbers_changed_ = false;  // something ended since the last report
  StepBatch batch_;
  std::vector<std::unique_ptr<Sequence>> ended_;  // OnEnd is still to be called
};

}  // namespace dyad::engine
