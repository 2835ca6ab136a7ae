// engine::Model over a network on a device: checks the batch, runs the forward pass, and gets what
// the batch asks for.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "kernels/step_arrays.h"
#include "server/engine/model.h"
#include "server/model/check_batch.h"
#include "server/model/network.h"

namespace dyad {

// Memory: the device's for activations of max_batch_tokens rows and logits of max_draws, allocated
// once and resident once used. Threads: as engine::Model.
class NetworkModel final : public engine::Model {
 public:
  // `network` lives on `device`, which has its keys and values mapped. `names`: of layers that may
  // fail a row. May throw std::bad_alloc.
  NetworkModel(std::unique_ptr<Network> network, const engine::ModelLimits& limits,
               engine::StepCost cost, std::unique_ptr<kernels::Device> device,
               std::map<const kernels::Layer*, std::string> names);

  const engine::ModelLimits& limits() const override { return limits_; }
  engine::StepCost cost() const override { return cost_; }
  // Errors: Internal: the batch breaks engine::Batch's contract, or the device failed.
  absl::StatusOr<engine::StepResult> Step(const engine::Batch& batch) override;

 private:
  void Fill(const engine::Batch& batch);
  engine::StepResult Take(const kernels::StepOutput& output);

  // Owns the memory of all below it.
  const std::unique_ptr<kernels::Device> device_;
  const std::unique_ptr<Network> network_;
  const engine::ModelLimits limits_;
  const engine::StepCost cost_;
  const std::map<const kernels::Layer*, std::string> names_;
  const kernels::Matrix logits_;  // [max_draws, vocab_size]

  // Of the current step.
  kernels::StepArrays step_;
  // As many as any step so far was asked for: their `top` keeps its memory.
  std::vector<engine::TokenScore> scores_;
  std::vector<engine::GeneratedToken> drawn_;
  std::vector<engine::FailedRow> failed_;
};

}  // namespace dyad
