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
          .max_draws = bounds.max_logit_rows};
}

kernels::StepArrays::Tokens TokensOf(const engine::Chunk& chunk) {
  return {chunk.first_row, chunk.tokens, chunk.first_position, chunk.pages};
}

absl::Status Broken(std::string_view what, int64_t value, std::string_view expected) {
  return absl::InternalError(Text("batch: ", what, " is ", value, "; expected ", expected));
}

void CopyTop(std::span<const kernels::TopEntry> from, std::vector<engine::TopToken>& to) {
  to.clear();
  for (const kernels::TopEntry& entry : from) {
    if (entry.id >= 0) to.push_back({entry.id, entry.logprob});
  }
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
      scores_(bounds.max_batch_tokens + bounds.max_logit_rows),
      drawn_(bounds.max_logit_rows) {
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
  return CheckDraws(batch);
}

absl::Status NetworkModel::CheckDraws(const engine::Batch& batch) const {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  const auto adjustments = static_cast<int64_t>(batch.adjustments.size());
  if (static_cast<int64_t>(batch.draws.size()) > limits_.max_draws) {
    return Broken("number of draws", static_cast<int64_t>(batch.draws.size()),
                  Text("at most ", limits_.max_draws));
  }
  int32_t row = 0;
  for (const engine::DrawRow& draw : batch.draws) {
    if (draw.row < row || draw.row >= rows) {
      return Broken("draw row", draw.row, Text("ascending in [0, ", rows, ")"));
    }
    row = draw.row;
    if (draw.top_n < 0 || draw.top_n > 20) return Broken("top_n", draw.top_n, "[0, 20]");
    if (draw.first_adjustment < 0 || draw.adjustments < 0 ||
        draw.adjustments > adjustments - draw.first_adjustment) {
      return Broken("end of a draw's adjustments",
                    int64_t{draw.first_adjustment} + draw.adjustments,
                    Text("at most ", adjustments));
    }
    int32_t last = -1;
    for (const engine::Adjustment& by : std::span(batch.adjustments)
                                            .subspan(static_cast<size_t>(draw.first_adjustment),
                                                     static_cast<size_t>(draw.adjustments))) {
      if (by.id <= last || by.id >= limits_.vocab_size) {
        return Broken("adjusted id", by.id, Text("ascending in [0, ", limits_.vocab_size, ")"));
      }
      last = by.id;
    }
  }
  return absl::OkStatus();
}

// Wishes and answers are copied because the engine's types do not know the kernels'.
void NetworkModel::AddWishes(const engine::Batch& batch) {
  for (const engine::ScoreRow& score : batch.score_rows) {
    step_.scores.push_back({.row = score.row, .target = score.target, .top_n = score.top_n});
  }
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

void NetworkModel::FinishRows(kernels::ConstRows hidden) {
  const kernels::StepInput input = step_.view();
  score_results_.resize(input.scores.size());
  draw_results_.resize(input.draws.size());
  top_.resize(static_cast<size_t>(kernels::TopEntries(input, limits_.vocab_size)));
  kernels::Finish(network_->head(), hidden, input,
                  {logits_.as<float>(),
                   static_cast<size_t>(kernels::SampledRows(input.draws) * limits_.vocab_size)},
                  {score_results_, draw_results_, top_}, workspace_);

  // Rows that sequences share may be asked for several targets.
  if (score_results_.size() > scores_.size()) scores_.resize(score_results_.size());
  const auto top_of = [&](const auto& wish, const auto& result) {
    return std::span(top_).subspan(static_cast<size_t>(result.first_top),
                                   static_cast<size_t>(std::min(wish.top_n, limits_.vocab_size)));
  };
  for (size_t i = 0; i < score_results_.size(); ++i) {
    scores_[i].logprob = score_results_[i].logprob;
    scores_[i].rank = score_results_[i].rank;
    CopyTop(top_of(input.scores[i], score_results_[i]), scores_[i].top);
  }
  for (size_t i = 0; i < draw_results_.size(); ++i) {
    drawn_[i].id = draw_results_[i].id;
    drawn_[i].logprob = draw_results_[i].logprob;
    CopyTop(top_of(input.draws[i], draw_results_[i]), drawn_[i].top);
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
    AddWishes(batch);
    clock_.Start();
    const kernels::ConstRows hidden = network_->Forward(step_.view(), cache_, clock_, workspace_);
    FinishRows(hidden);
    clock_.Mark(engine::StepPart::kHead);
    return engine::StepResult{std::span(scores_).first(batch.score_rows.size()),
                              std::span(drawn_).first(batch.draws.size()), clock_.times()};
  });
}

}  // namespace dyad
