// One step.
#include "server/model/network_model.h"

#include <algorithm>
#include <span>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/catch_exceptions.h"

namespace dyad {
namespace {

engine::ModelLimits Limits(const NetworkShape& shape, const KvCache& cache, StepBounds bounds) {
  return {.vocab_size = static_cast<int32_t>(shape.vocab_size),
          .context_length = static_cast<int32_t>(shape.positions),
          .kv_pages = cache.pages(),
          .max_batch_tokens = bounds.max_batch_tokens,
          .max_logit_rows = bounds.max_logit_rows};
}

kernels::StepArrays::Tokens TokensOf(const engine::Chunk& chunk) {
  return {chunk.first_row, chunk.tokens, chunk.first_position, chunk.pages};
}

absl::Status Broken(std::string_view what, int64_t value, std::string_view expected) {
  return absl::InternalError(Text("batch: ", what, " is ", value, "; expected ", expected));
}

}  // namespace

NetworkModel::NetworkModel(std::unique_ptr<Network> network, KvCache cache, StepBounds bounds,
                           engine::StepCost cost, kernels::ThreadPool& pool)
    : network_(std::move(network)),
      cache_(std::move(cache)),
      limits_(Limits(network_->shape(), cache_, bounds)),
      cost_(cost),
      workspace_(pool),
      logits_(int64_t{bounds.max_logit_rows} * network_->shape().vocab_size *
              int64_t{sizeof(float)}),
      found_(bounds.max_batch_tokens + bounds.max_logit_rows),
      scores_(found_.size()) {
  network_->Prepare(bounds.max_batch_tokens);
}

// The engine guarantees all this; a bug there must not become a wild write here.
absl::Status NetworkModel::CheckRows(const engine::Batch& batch) const {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  if (rows > limits_.max_batch_tokens) {
    return Broken("rows", rows, Text("at most ", limits_.max_batch_tokens));
  }
  for (int32_t id : batch.ids) {
    if (id < 0 || id >= limits_.vocab_size) {
      return Broken("id", id, Text("[0, ", limits_.vocab_size, ")"));
    }
  }
  int64_t next_row = 0;
  for (const engine::Chunk& chunk : batch.chunks) {
    if (chunk.first_row != next_row) {
      return Broken("first_row", chunk.first_row, Text(next_row));
    }
    if (chunk.tokens < 1 || chunk.tokens > rows - next_row) {
      return Broken("tokens", chunk.tokens, Text("[1, ", rows - next_row, "]"));
    }
    next_row += chunk.tokens;
    RETURN_IF_ERROR(CheckChunk(chunk));
  }
  return next_row == rows ? absl::OkStatus() : Broken("rows in chunks", next_row, Text(rows));
}

absl::Status NetworkModel::CheckChunk(const engine::Chunk& chunk) const {
  const int64_t end = int64_t{chunk.first_position} + chunk.tokens;
  if (chunk.first_position < 0 || end > limits_.context_length) {
    return Broken("end of a chunk", end, Text("at most ", limits_.context_length));
  }
  const int64_t pages = (end + engine::kPageTokens - 1) / engine::kPageTokens;
  if (static_cast<int64_t>(chunk.pages.size()) < pages) {
    return Broken("number of pages", static_cast<int64_t>(chunk.pages.size()),
                  Text("at least ", pages));
  }
  for (int32_t page : chunk.pages.first(pages)) {
    if (page < 0 || page >= limits_.kv_pages) {
      return Broken("page", page, Text("[0, ", limits_.kv_pages, ")"));
    }
  }
  return absl::OkStatus();
}

// REQUIRES: step_ has the positions of the batch.
absl::Status NetworkModel::CheckStore(const engine::Chunk& store) const {
  const auto rows = static_cast<int64_t>(step_.positions.size());
  if (store.first_row < 0 || store.tokens < 1 || store.tokens > rows - store.first_row) {
    return Broken("end of a store", int64_t{store.first_row} + store.tokens,
                  Text("at most ", rows));
  }
  RETURN_IF_ERROR(CheckChunk(store));
  for (int32_t i = 0; i < store.tokens; ++i) {
    const int32_t position = step_.positions[store.first_row + i];
    if (store.first_position + i != position) {
      return Broken("position in a store", store.first_position + i, Text(position));
    }
  }
  return absl::OkStatus();
}

absl::Status NetworkModel::CheckWanted(const engine::Batch& batch) const {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  const std::string row_range = Text("ascending in [0, ", rows, ")");
  if (static_cast<int64_t>(batch.logit_rows.size()) > limits_.max_logit_rows) {
    return Broken("number of logit_rows", static_cast<int64_t>(batch.logit_rows.size()),
                  Text("at most ", limits_.max_logit_rows));
  }
  int64_t last = -1;
  for (int32_t row : batch.logit_rows) {
    if (row <= last || row >= rows) return Broken("logit row", row, row_range);
    last = row;
  }
  engine::ScoreRow before = {.row = 0, .target = -1};
  for (const engine::ScoreRow& score : batch.score_rows) {
    if (score.row < before.row || score.row >= rows) {
      return Broken("score row", score.row, row_range);
    }
    if (score.row == before.row && score.target <= before.target) {
      return Broken("target", score.target, Text("more than ", before.target));
    }
    before = score;
    if (score.target < 0 || score.target >= limits_.vocab_size) {
      return Broken("target", score.target, Text("[0, ", limits_.vocab_size, ")"));
    }
    if (score.top_n < 0 || score.top_n > 20) return Broken("top_n", score.top_n, "[0, 20]");
  }
  return absl::OkStatus();
}

void NetworkModel::ComputeLogits(const engine::Batch& batch, kernels::ConstRows hidden) {
  const kernels::PackedLinear& head = network_->head();
  const auto count = static_cast<int64_t>(batch.logit_rows.size());
  const int64_t width = head.in_features();
  // Few rows are wanted: packed together they are one small product instead of one for the batch.
  picked_.resize(count * width);
  log_sum_exp_.resize(count);
  if (count == 0) return;
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(hidden.data + batch.logit_rows[i] * hidden.stride, width, &picked_[i * width]);
  }
  auto* logits = logits_.as<float>();
  head.Apply(count, {picked_.data(), width}, {logits, limits_.vocab_size}, {}, workspace_);
  kernels::LogSumExp({logits, limits_.vocab_size}, count, limits_.vocab_size, log_sum_exp_,
                     workspace_.pool);
}

void NetworkModel::ComputeScores(const engine::Batch& batch, kernels::ConstRows hidden) {
  targets_.clear();
  for (const engine::ScoreRow& score : batch.score_rows) {
    targets_.push_back({.row = score.row, .target = score.target, .top_n = score.top_n});
  }
  if (targets_.empty()) return;
  // Rows that sequences share may be asked for several targets.
  if (targets_.size() > found_.size()) {
    found_.resize(targets_.size());
    scores_.resize(targets_.size());
  }
  const std::span<kernels::TargetScore> found = std::span(found_).first(targets_.size());
  kernels::ScoreTargets(network_->head(), hidden, targets_, found, workspace_);
  // Copied because the engine's types do not know the kernels'; `top` keeps its memory from step to
  // step.
  for (size_t i = 0; i < found.size(); ++i) {
    engine::TokenScore& score = scores_[i];
    score.logprob = found[i].logprob;
    score.rank = found[i].rank;
    score.top.clear();
    for (const kernels::TopEntry& entry : found[i].top) {
      score.top.push_back({entry.id, entry.logprob});
    }
  }
}

absl::StatusOr<engine::StepResult> NetworkModel::Step(const engine::Batch& batch) {
  RETURN_IF_ERROR(CheckRows(batch));
  RETURN_IF_ERROR(CheckWanted(batch));
  return CatchExceptions("step", [&]() -> absl::StatusOr<engine::StepResult> {
    if (batch.ids.empty()) return engine::StepResult();
    step_.Clear();
    step_.ids = batch.ids;
    for (const engine::Chunk& chunk : batch.chunks) step_.AddChunk(TokensOf(chunk));
    for (const engine::Chunk& store : batch.stores) {
      RETURN_IF_ERROR(CheckStore(store));
      step_.AddStore(TokensOf(store));
    }
    clock_.Start();
    const kernels::ConstRows hidden = network_->Forward(step_.view(), cache_, clock_, workspace_);
    ComputeLogits(batch, hidden);
    ComputeScores(batch, hidden);
    clock_.Mark(engine::StepPart::kHead);
    const size_t logits = batch.logit_rows.size() * static_cast<size_t>(limits_.vocab_size);
    return engine::StepResult{{logits_.as<const float>(), logits},
                              log_sum_exp_,
                              std::span(scores_).first(batch.score_rows.size()),
                              clock_.times()};
  });
}

}  // namespace dyad
