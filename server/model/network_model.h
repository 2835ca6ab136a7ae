// engine::Model over a network: checks the batch, runs the forward pass, then gets from the head
// what the batch asks for, scores and draws.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/aligned_buffer.h"
#include "kernels/finish.h"
#include "kernels/step_arrays.h"
#include "kernels/thread_pool.h"
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
  absl::Status CheckDraws(const engine::Batch& batch) const;
  void AddWishes(const engine::Batch& batch);
  void FinishRows(kernels::ConstRows hidden);

  const std::unique_ptr<Network> network_;
  const KvCache cache_;
  const engine::ModelLimits limits_;
  const engine::StepCost cost_;
  kernels::Workspace workspace_;

  // Of the current step.
  StepClock clock_;
  kernels::StepArrays step_;
  kernels::AlignedBuffer logits_;  // [max_logit_rows, vocab_size]
  std::vector<kernels::ScoreResult> score_results_;
  std::vector<kernels::DrawResult> draw_results_;
  std::vector<kernels::TopEntry> top_;
  // As many as any batch so far asked for: their `top` keeps its memory.
  std::vector<engine::TokenScore> scores_;
  std::vector<engine::GeneratedToken> drawn_;

  std::jthread populating_;  // the cache; ends before it
};

}  // namespace dyad
