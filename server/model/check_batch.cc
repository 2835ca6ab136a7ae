// From rows to draws: server/model/check_batch.h.
#include "server/model/check_batch.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

absl::Status Broken(std::string_view what, int64_t value, std::string_view expected) {
  return absl::InternalError(Text("batch: ", what, " is ", value, "; expected ", expected));
}

absl::Status CheckChunk(const engine::Chunk& chunk, const engine::ModelLimits& limits) {
  const int64_t end = int64_t{chunk.first_position} + chunk.tokens;
  if (chunk.first_position < 0 || end > limits.context_length) {
    return Broken("end of a chunk", end, Text("at most ", limits.context_length));
  }
  const int64_t pages = (end + engine::kPageTokens - 1) / engine::kPageTokens;
  if (static_cast<int64_t>(chunk.pages.size()) < pages) {
    return Broken("number of pages", static_cast<int64_t>(chunk.pages.size()),
                  Text("at least ", pages));
  }
  for (const int32_t page : chunk.pages.first(pages)) {
    if (page < 0 || page >= limits.kv_pages) {
      return Broken("page", page, Text("[0, ", limits.kv_pages, ")"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRows(const engine::Batch& batch, const engine::ModelLimits& limits) {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  if (rows > limits.max_batch_tokens) {
    return Broken("rows", rows, Text("at most ", limits.max_batch_tokens));
  }
  for (const int32_t id : batch.ids) {
    if (id < 0 || id >= limits.vocab_size) {
      return Broken("id", id, Text("[0, ", limits.vocab_size, ")"));
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
    RETURN_IF_ERROR(CheckChunk(chunk, limits));
  }
  return next_row == rows ? absl::OkStatus() : Broken("rows in chunks", next_row, Text(rows));
}

// The position that a row has. REQUIRES: chunks cover it.
int32_t PositionOf(int32_t row, const engine::Batch& batch) {
  const auto after = std::ranges::upper_bound(batch.chunks, row, {}, &engine::Chunk::first_row);
  const engine::Chunk& chunk = *std::prev(after);
  return chunk.first_position + row - chunk.first_row;
}

absl::Status CheckStore(const engine::Chunk& store, const engine::Batch& batch,
                        const engine::ModelLimits& limits) {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  if (store.first_row < 0 || store.tokens < 1 || store.tokens > rows - store.first_row) {
    return Broken("end of a store", int64_t{store.first_row} + store.tokens,
                  Text("at most ", rows));
  }
  RETURN_IF_ERROR(CheckChunk(store, limits));
  for (int32_t i = 0; i < store.tokens; ++i) {
    const int32_t position = PositionOf(store.first_row + i, batch);
    if (store.first_position + i != position) {
      return Broken("position in a store", store.first_position + i, Text(position));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScores(const engine::Batch& batch, const engine::ModelLimits& limits) {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  engine::ScoreRow before = {.row = -1};
  for (const engine::ScoreRow& score : batch.score_rows) {
    if (score.row < std::max(0, before.row) || score.row >= rows) {
      return Broken("score row", score.row, Text("ascending in [0, ", rows, ")"));
    }
    if (score.row == before.row && score.target < before.target) {
      return Broken("target", score.target, Text("at least ", before.target));
    }
    if (score.row == before.row && score.target == before.target && score.set <= before.set) {
      return Broken("set", score.set, Text("more than ", int{before.set}));
    }
    if (score.set != 0 && std::ssize(batch.id_sets) != limits.vocab_size) {
      return Broken("entries of id_sets", std::ssize(batch.id_sets), Text(limits.vocab_size));
    }
    before = score;
    if (score.target < 0 || score.target >= limits.vocab_size) {
      return Broken("target", score.target, Text("[0, ", limits.vocab_size, ")"));
    }
    if (score.top_n < 0 || score.top_n > 20) return Broken("top_n", score.top_n, "[0, 20]");
  }
  return absl::OkStatus();
}

absl::Status CheckAdjustments(const engine::DrawRow& draw, const engine::Batch& batch,
                              const engine::ModelLimits& limits) {
  const auto all = static_cast<int64_t>(batch.adjustments.size());
  if (draw.first_adjustment < 0 || draw.adjustments < 0 ||
      draw.adjustments > all - draw.first_adjustment) {
    return Broken("end of a draw's adjustments", int64_t{draw.first_adjustment} + draw.adjustments,
                  Text("at most ", all));
  }
  int32_t last = -1;
  for (const engine::Adjustment& by :
       std::span(batch.adjustments).subspan(draw.first_adjustment, draw.adjustments)) {
    if (by.id <= last || by.id >= limits.vocab_size) {
      return Broken("adjusted id", by.id, Text("ascending in [0, ", limits.vocab_size, ")"));
    }
    last = by.id;
  }
  return absl::OkStatus();
}

absl::Status CheckDraws(const engine::Batch& batch, const engine::ModelLimits& limits) {
  const auto rows = static_cast<int64_t>(batch.ids.size());
  if (static_cast<int64_t>(batch.draws.size()) > limits.max_draws) {
    return Broken("number of draws", static_cast<int64_t>(batch.draws.size()),
                  Text("at most ", limits.max_draws));
  }
  int32_t row = 0;
  for (const engine::DrawRow& draw : batch.draws) {
    if (draw.row < row || draw.row >= rows) {
      return Broken("draw row", draw.row, Text("ascending in [0, ", rows, ")"));
    }
    row = draw.row;
    if (draw.top_n < 0 || draw.top_n > 20) return Broken("top_n", draw.top_n, "[0, 20]");
    RETURN_IF_ERROR(CheckAdjustments(draw, batch, limits));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBatch(const engine::Batch& batch, const engine::ModelLimits& limits) {
  RETURN_IF_ERROR(CheckRows(batch, limits));
  for (const engine::Chunk& store : batch.stores) {
    RETURN_IF_ERROR(CheckStore(store, batch, limits));
  }
  RETURN_IF_ERROR(CheckScores(batch, limits));
  return CheckDraws(batch, limits);
}

}  // namespace dyad
