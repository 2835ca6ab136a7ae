// One step.
#include "server/model/network_model.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/base/catch_exceptions.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

kernels::StepArrays::Tokens TokensOf(const engine::Chunk& chunk) {
  return {chunk.first_row, chunk.tokens, chunk.first_position, chunk.pages};
}

// The `count` likeliest ids from `first` on; fewer where a row has not so many.
void TakeTop(const kernels::StepOutput& output, int32_t first, int32_t count,
             std::vector<engine::TopToken>& to) {
  to.clear();
  for (const kernels::TopEntry& entry :
       output.top.subspan(static_cast<size_t>(first), static_cast<size_t>(count))) {
    if (entry.id >= 0) to.push_back({entry.id, entry.logprob});
  }
}

}  // namespace

NetworkModel::NetworkModel(std::unique_ptr<Network> network, const engine::ModelLimits& limits,
                           engine::StepCost cost, std::unique_ptr<kernels::Device> device,
                           std::map<const kernels::Layer*, std::string> names)
    : device_(std::move(device)),
      network_(std::move(network)),
      limits_(limits),
      cost_(cost),
      names_(std::move(names)),
      logits_(device_->Allocate(limits.max_draws, limits.vocab_size)),
      scores_(limits.max_batch_tokens + limits.max_draws),
      drawn_(limits.max_draws) {
  network_->Prepare(*device_, limits.max_batch_tokens);
}

// Copied because the engine's types do not know the kernels'.
void NetworkModel::Fill(const engine::Batch& batch) {
  step_.Clear();
  step_.ids.assign(batch.ids.begin(), batch.ids.end());
  for (const engine::Chunk& chunk : batch.chunks) step_.AddChunk(TokensOf(chunk));
  for (const engine::Chunk& store : batch.stores) step_.AddStore(TokensOf(store));
  for (const engine::ScoreRow& score : batch.score_rows) {
    step_.scores.push_back(
        {.row = score.row, .target = score.target, .top_n = score.top_n, .set = score.set});
  }
  step_.id_sets = batch.id_sets;
  for (const engine::DrawRow& draw : batch.draws) {
    step_.draws.push_back({.row = draw.row,
                           .temperature = draw.temperature,
                           .top_k = draw.top_k,
                           .top_p = draw.top_p,
                           .min_p = draw.min_p,
                           .uniform = draw.uniform,
                           .first_adjustment = draw.first_adjustment,
                           .adjustments = draw.adjustments,
                           .top_n = draw.top_n});
  }
  for (const engine::Adjustment& by : batch.adjustments) {
    step_.adjustments.push_back(
        {.id = by.id, .penalty = by.penalty, .subtract = by.subtract, .add = by.add});
  }
}

engine::StepResult NetworkModel::Take(const kernels::StepOutput& output) {
  // Rows that sequences share may be asked for several targets.
  if (output.scores.size() > scores_.size()) scores_.resize(output.scores.size());
  for (size_t i = 0; i < output.scores.size(); ++i) {
    const kernels::ScoreResult& from = output.scores[i];
    scores_[i].logprob = from.logprob;
    scores_[i].rank = from.rank;
    scores_[i].set_logprob = from.set_logprob;
    TakeTop(output, from.first_top, std::min(step_.scores[i].top_n, limits_.vocab_size),
            scores_[i].top);
  }
  for (size_t i = 0; i < output.draws.size(); ++i) {
    const kernels::DrawResult& from = output.draws[i];
    drawn_[i].id = from.id;
    drawn_[i].logprob = from.logprob;
    TakeTop(output, from.first_top, std::min(step_.draws[i].top_n, limits_.vocab_size),
            drawn_[i].top);
  }
  failed_.clear();
  for (const kernels::FailedRow& failed : output.failed) {
    const auto name = names_.find(failed.layer);
    failed_.push_back({failed.row, name == names_.end() ? "" : std::string_view(name->second)});
  }
  return {std::span(scores_).first(output.scores.size()),
          std::span(drawn_).first(output.draws.size()), failed_};
}

absl::StatusOr<engine::StepResult> NetworkModel::Step(const engine::Batch& batch) {
  RETURN_IF_ERROR(CheckBatch(batch, limits_));
  return CatchExceptions("step", [&]() -> absl::StatusOr<engine::StepResult> {
    if (batch.ids.empty()) return engine::StepResult();
    Fill(batch);
    const kernels::StepInput input = step_.view();
    device_->Begin(input);
    const kernels::Matrix hidden = network_->Forward(*device_, std::ssize(batch.ids));
    device_->Finish(network_->head(), hidden, logits_);
    const kernels::StepOutput output = device_->End();
    if (!output.error.empty()) return absl::UnavailableError(std::string(output.error));
    return Take(output);
  });
}

}  // namespace dyad
