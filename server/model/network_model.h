// engine::Model over a network: checks the batch, runs the forward pass, then gets from the head
// what the batch asks for, logits of some rows and scores of others.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/aligned_buffer.h"
#include "kernels/step_arrays.h"
#include "kernels/thread_pool.h"
#include "kernels/vocabulary.h"
#include "server/engine/model.h"
#include "server/model/kv_cache.h"
#include "server/model/kv_population.h"
#include "server/model/network.h"
#include "server/model/step_clock.h"

namespace dyad {

struct StepBounds {
  int32_t max_batch_tokens = 0;
  int32_t max_logit_rows = 0;
};

// Memory: activations of max_batch_tokens rows and logits of max_logit_rows, allocated once and
// resident once used. Threads: as engine::Model.
class NetworkModel final : public engine::Model {
 public:
  // `pool` must outlive it. May throw what LibTorch throws when there is no memory.
  NetworkModel(std::unique_ptr<Network> network, KvCache cache, StepBounds bounds,
               engine::StepCost cost, kernels::ThreadPool& pool);

  // Makes the KV cache resident in the background, until all is or this ends.
  void PopulateCache() { populating_ = PopulateInBackground(cache_); }

  const engine::ModelLimits& limits() const override { return limits_; }
  engine::StepCost cost() const override { return cost_; }
  // Errors: Internal: the batch breaks engine::Batch's contract; LibTorch threw.
  absl::StatusOr<engine::StepResult> Step(const engine::Batch& batch) override;

 private:
  absl::Status CheckRows(const engine::Batch& batch) const;
  absl::Status CheckChunk(const engine::Chunk& chunk) const;
  absl::Status CheckStore(const engine::Chunk& store) const;
  absl::Status CheckWanted(const engine::Batch& batch) const;
  void ComputeLogits(const engine::Batch& batch, kernels::ConstRows hidden);
  void ComputeScores(const engine::Batch& batch, kernels::ConstRows hidden);

  const std::unique_ptr<Network> network_;
  const KvCache cache_;
  const engine::ModelLimits limits_;
  const engine::StepCost cost_;
  kernels::Workspace workspace_;

  // Of the current step.
  StepClock clock_;
  kernels::StepArrays step_;
  std::vector<float> picked_;                // [logit_rows, head size]
  kernels::AlignedBuffer logits_;            // [max_logit_rows, vocab_size]
  std::vector<float> log_sum_exp_;           // [logit_rows]
  std::vector<kernels::TargetRow> targets_;  // [score_rows]
  std::vector<kernels::TargetScore> found_;  // [most score_rows so far]: `top` keeps its memory
  std::vector<engine::TokenScore> scores_;   // as found_

  std::jthread populating_;  // the cache; ends before it
};

}  // namespace dyad
