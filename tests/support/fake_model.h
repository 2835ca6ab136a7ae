// A model for tests of the engine and of what stands on it: small, exact, and suspicious.
//
// The logits after a row are a hash of the ids before it, read back through pages that the model
// keeps as a real one keeps keys and values. So a page that is shared wrongly, freed too early or
// never filled does not go unnoticed: Step answers Internal and says which slot. What an
// undisturbed sequence gets is known without an engine: LogitsAfter, ExpectedScores,
// ExpectedGreedy. Logits are multiples of 1/8, so that ties are common.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "kernels/reference/draw.h"
#include "server/base/mutex.h"
#include "server/engine/model.h"
#include "server/engine/request.h"
#include "tests/support/fake_scores.h"

namespace dyad::testing {

// A door for a model's steps: `before_step = [&](int64_t) { gate.Pass(); return absl::OkStatus();
// }`. Opened for a number of steps or for good. Any thread.
class Gate {
 public:
  // Waits until the gate lets one more through.
  void Pass() {
    MutexLock lock(&mutex_);
    ++arrived_;
    changed_.SignalAll();
    while (passes_ == 0 && !open_) changed_.Wait(&mutex_);
    if (!open_) --passes_;
  }
  void Let(int64_t passes) {
    MutexLock lock(&mutex_);
    passes_ += passes;
    changed_.SignalAll();
  }
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  // Waits until `arrivals` calls of Pass have begun since the start.
  void AwaitArrivals(int64_t arrivals) {
    MutexLock lock(&mutex_);
    while (arrived_ < arrivals) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int64_t passes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

// After `prompt`, and after each beginning of `continuation` behind it, the likeliest token is the
// next id of `continuation`. An empty prompt matches nothing but the start of the sequence.
struct Spelling {
  std::vector<int32_t> prompt;
  std::vector<int32_t> continuation;
};

struct FakeModelOptions {
  int32_t vocab_size = 32;
  int32_t context_length = 256;
  int32_t kv_pages = 64;
  int32_t max_batch_tokens = 512;
  int32_t max_draws = 256;
  std::vector<Spelling> spellings;
  int32_t overflows_on = -1;               // from this id on no logit is a number
  int32_t gate_fails_on = -1;              // rows of this id fail in "layers.1.fc1", too
  std::chrono::microseconds step_time{0};  // each step sleeps so long
  // Called first in each step with its number, from 0; an error is the step's answer and nothing is
  // stored. May block (see Gate).
  std::function<absl::Status(int64_t step)> before_step;
};

class FakeModel final : public engine::Model {
 public:
  explicit FakeModel(FakeModelOptions options = {})
      : options_(std::move(options)),
        limits_{options_.vocab_size, options_.context_length, options_.kv_pages,
                options_.max_batch_tokens, options_.max_draws},
        slots_(size_t{static_cast<uint32_t>(options_.kv_pages)} * engine::kPageTokens) {}

  const engine::ModelLimits& limits() const override { return limits_; }
  engine::StepCost cost() const override { return {100, 400, 10, 1000}; }
  int64_t steps() const { return steps_; }  // any thread
  int64_t rows() const { return rows_; }    // rows computed in all; any thread
  // Tokens of rows that went into pages of other sequences, too, in all; any thread.
  int64_t stored_again() const { return stored_again_; }

  absl::StatusOr<engine::StepResult> Step(const engine::Batch& batch) override {
    const int64_t step = steps_++;
    if (options_.step_time.count() > 0) std::this_thread::sleep_for(options_.step_time);
    if (options_.before_step) {
      if (absl::Status status = options_.before_step(step); !status.ok()) return status;
    }
    if (absl::Status status = CheckBatch(batch); !status.ok()) return status;
    rows_ += static_cast<int64_t>(batch.ids.size());
    scores_.clear();
    drawn_.clear();
    traces_.clear();
    size_t next_store = 0;
    for (const engine::Chunk& chunk : batch.chunks) {
      // Shared rows stand before the rows of whoever shares them.
      for (; next_store < batch.stores.size(); ++next_store) {
        const engine::Chunk& store = batch.stores[next_store];
        if (store.first_row + store.tokens > chunk.first_row) break;
        if (absl::Status status = StoreAgain(store, step); !status.ok()) return status;
      }
      if (absl::Status status = RunChunk(batch, chunk, step); !status.ok()) return status;
    }
    for (; next_store < batch.stores.size(); ++next_store) {
      const engine::Chunk& store = batch.stores[next_store];
      if (absl::Status status = StoreAgain(store, step); !status.ok()) return status;
    }
    // A real model stores all of a layer before a row looks back: what is there in the end counts.
    for (const engine::Chunk& chunk : batch.chunks) {
      if (absl::Status status = CheckStored(chunk); !status.ok()) return status;
    }
    for (const engine::Chunk& store : batch.stores) {
      if (absl::Status status = CheckStored(store); !status.ok()) return status;
    }
    failed_.clear();
    for (int32_t row = 0; row < std::ssize(batch.ids); ++row) {
      if (batch.ids[row] == options_.gate_fails_on) failed_.push_back({row, "layers.1.fc1"});
    }
    return engine::StepResult{scores_, drawn_, failed_};
  }

  // The vocab_size logits of the token after `ids`.
  std::vector<float> LogitsAfter(std::span<const int32_t> ids) const {
    std::vector<float> logits;
    uint64_t state = kStart;
    for (int32_t id : ids) state = Mix(state, id);
    FillLogits(ids, state, logits);
    return logits;
  }

  // What OnScores must deliver for ids[max(1, score_from)…].
  std::vector<engine::TokenScore> ExpectedScores(std::span<const int32_t> ids, int32_t score_from,
                                                 int32_t top_n) const {
    std::vector<engine::TokenScore> scores;
    for (size_t i = std::max(1, score_from); i < ids.size(); ++i) {
      scores.push_back(ScoreOf(LogitsAfter(ids.first(i)), ids[i], top_n));
    }
    return scores;
  }
  // The same of a request that asks for sets: `sets` has one more entry.
  std::vector<engine::TokenScore> ExpectedScores(const engine::Request& request) const {
    const std::span<const int32_t> ids = request.ids;
    std::vector<engine::TokenScore> scores =
        ExpectedScores(ids, request.score_from.value_or(0), request.top_n);
    if (request.sets.empty()) return scores;
    scores.push_back(ScoreOf(LogitsAfter(ids), 0, request.top_n));
    const size_t first = ids.size() + 1 - scores.size();
    for (size_t i = 0; i < scores.size(); ++i) {
      if (request.sets[i] == 0) continue;
      scores[i].set_logprob =
          SetLogprobOf(LogitsAfter(ids.first(first + i)), request.id_sets, request.sets[i]);
    }
    return scores;
  }

  // What a draw after `ids` must give: kernels/draw.h. `adjustments`: of this draw.
  engine::GeneratedToken ExpectedDraw(std::span<const int32_t> ids, const engine::DrawRow& draw,
                                      std::span<const engine::Adjustment> adjustments) const {
    return Draw(LogitsAfter(ids), draw, adjustments);
  }

  // The `tokens` likeliest ids after `ids`, one by one; ties to the lowest id.
  std::vector<int32_t> ExpectedGreedy(std::vector<int32_t> ids, int32_t tokens) const {
    const size_t prompt = ids.size();
    for (int32_t i = 0; i < tokens; ++i) {
      const std::vector<float> logits = LogitsAfter(ids);
      ids.push_back(
          static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    }
    return {ids.begin() + static_cast<std::ptrdiff_t>(prompt), ids.end()};
  }

 private:
  static constexpr uint64_t kStart = 0x243f6a8885a308d3;

  // What a row of the batch stores.
  struct Trace {
    int32_t position = 0;
    int32_t id = 0;
    uint64_t state = 0;
  };

  // What a token leaves behind. `state` stands for deep keys and values, which depend on all ids
  // before.
  struct Slot {
    int32_t id = -1;
    int64_t step = -1;  // of the last write that changed something
    uint64_t state = 0;
  };

  static uint64_t Mix(uint64_t state, int32_t id) {
    uint64_t x = (state ^ static_cast<uint32_t>(id)) * 0xd6e8feb86659fd93;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
    return x ^ (x >> 32);
  }

  Slot& At(const engine::Chunk& chunk, int32_t position) {
    const int32_t page = chunk.pages[position / engine::kPageTokens];
    return slots_[static_cast<size_t>(page) * engine::kPageTokens + position % engine::kPageTokens];
  }

  // Reads what is before the chunk, stores its rows, and answers what is asked of them.
  absl::Status RunChunk(const engine::Batch& batch, const engine::Chunk& chunk, int64_t step) {
    ids_.clear();
    uint64_t state = kStart;
    for (int32_t position = 0; position < chunk.first_position; ++position) {
      const Slot& slot = At(chunk, position);
      state = Mix(state, slot.id);
      if (slot.id < 0 || slot.state != state) return Corrupt(chunk, position);
      ids_.push_back(slot.id);
    }
    for (int32_t i = 0; i < chunk.tokens; ++i) {
      const int32_t row = chunk.first_row + i;
      const int32_t id = batch.ids[row];
      ids_.push_back(id);
      state = Mix(state, id);
      traces_.push_back({chunk.first_position + i, id, state});
      if (absl::Status status = Write(chunk, traces_.back(), step); !status.ok()) return status;
      Answer(batch, row, state);
    }
    return absl::OkStatus();
  }

  absl::Status StoreAgain(const engine::Chunk& store, int64_t step) {
    stored_again_ += store.tokens;
    for (int32_t i = 0; i < store.tokens; ++i) {
      const Trace& trace = traces_[store.first_row + i];
      if (trace.position != store.first_position + i) {
        return absl::InternalError(absl::StrCat("fake model: row ", store.first_row + i,
                                                " is stored at position ",
                                                store.first_position + i));
      }
      if (absl::Status status = Write(store, trace, step); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // Computing a stored token again changes nothing; anything else may be written once a step.
  absl::Status Write(const engine::Chunk& chunk, const Trace& trace, int64_t step) {
    Slot& slot = At(chunk, trace.position);
    const bool same_bits = slot.id == trace.id && slot.state == trace.state;
    if (!same_bits && slot.step == step) return Corrupt(chunk, trace.position);
    if (!same_bits) slot = {trace.id, step, trace.state};
    return absl::OkStatus();
  }

  absl::Status CheckStored(const engine::Chunk& chunk) {
    uint64_t state = kStart;
    for (int32_t position = 0; position < chunk.first_position + chunk.tokens; ++position) {
      const Slot& slot = At(chunk, position);
      state = Mix(state, slot.id);
      if (slot.id < 0 || slot.state != state) return Corrupt(chunk, position);
    }
    return absl::OkStatus();
  }

  void Answer(const engine::Batch& batch, int32_t row, uint64_t state) {
    const auto wants_draw = [&] {
      return drawn_.size() < batch.draws.size() && batch.draws[drawn_.size()].row == row;
    };
    const auto wants_score = [&] {
      return scores_.size() < batch.score_rows.size() &&
             batch.score_rows[scores_.size()].row == row;
    };
    if (!wants_draw() && !wants_score()) return;
    FillLogits(ids_, state, row_logits_);
    while (wants_draw()) {
      const engine::DrawRow& asked = batch.draws[drawn_.size()];
      drawn_.push_back(
          Draw(row_logits_, asked,
               std::span(batch.adjustments).subspan(asked.first_adjustment, asked.adjustments)));
    }
    while (wants_score()) {
      const engine::ScoreRow& asked = batch.score_rows[scores_.size()];
      scores_.push_back(ScoreOf(row_logits_, asked.target, asked.top_n));
      if (asked.set != 0) {
        scores_.back().set_logprob = SetLogprobOf(row_logits_, batch.id_sets, asked.set);
      }
    }
  }

  void FillLogits(std::span<const int32_t> ids, uint64_t state, std::vector<float>& logits) const {
    logits.resize(options_.vocab_size);
    for (int32_t id = 0; id < options_.vocab_size; ++id) {
      logits[id] = static_cast<float>(Mix(state, ~id) % 64) / 8.0f - 4.0f;
    }
    if (std::ranges::count(ids, options_.overflows_on) > 0) std::ranges::fill(logits, NAN);
    for (const Spelling& spelling : options_.spellings) {
      const size_t prompt = spelling.prompt.size();
      if (ids.size() < prompt || ids.size() >= prompt + spelling.continuation.size()) continue;
      const size_t spelt = ids.size() - prompt;
      if (std::equal(spelling.prompt.begin(), spelling.prompt.end(), ids.begin()) &&
          std::equal(ids.begin() + static_cast<std::ptrdiff_t>(prompt), ids.end(),
                     spelling.continuation.begin())) {
        logits[spelling.continuation[spelt]] = 12.0f;
      }
    }
  }

  absl::Status CheckBatch(const engine::Batch& batch) const {
    const auto rows = static_cast<int32_t>(batch.ids.size());
    if (rows < 1 || rows > limits_.max_batch_tokens) {
      return absl::InternalError(absl::StrCat("fake model: a batch of ", rows, " rows"));
    }
    for (int32_t id : batch.ids) {
      if (id < 0 || id >= limits_.vocab_size) {
        return absl::InternalError(absl::StrCat("fake model: id ", id));
      }
    }
    int32_t next_row = 0;
    for (const engine::Chunk& chunk : batch.chunks) {
      if (chunk.first_row != next_row || !IsWellFormed(chunk)) {
        return absl::InternalError("fake model: a malformed chunk");
      }
      next_row += chunk.tokens;
    }
    for (const engine::Chunk& store : batch.stores) {
      if (store.first_row < 0 || store.first_row + store.tokens > rows || !IsWellFormed(store)) {
        return absl::InternalError("fake model: a malformed store");
      }
    }
    const auto out_of_order = [](const engine::ScoreRow& a, const engine::ScoreRow& b) {
      return std::tuple(a.row, a.target, a.set) >= std::tuple(b.row, b.target, b.set);
    };
    const bool ordered =
        next_row == rows && static_cast<int32_t>(batch.draws.size()) <= limits_.max_draws &&
        std::ranges::is_sorted(batch.draws, {}, &engine::DrawRow::row) &&
        std::adjacent_find(batch.score_rows.begin(), batch.score_rows.end(), out_of_order) ==
            batch.score_rows.end();
    return ordered ? absl::OkStatus() : absl::InternalError("fake model: malformed rows");
  }

  bool IsWellFormed(const engine::Chunk& chunk) const {
    const int32_t end = chunk.first_position + chunk.tokens;
    const auto pages = static_cast<int32_t>(chunk.pages.size());
    return chunk.tokens >= 1 && chunk.first_position >= 0 && end <= limits_.context_length &&
           pages * engine::kPageTokens >= end &&
           std::all_of(chunk.pages.begin(), chunk.pages.end(),
                       [this](int32_t page) { return page >= 0 && page < limits_.kv_pages; });
  }

  static engine::GeneratedToken Draw(std::span<const float> logits, const engine::DrawRow& draw,
                                     std::span<const engine::Adjustment> adjustments) {
    std::vector<kernels::Adjustment> copies;
    for (const auto& by : adjustments) copies.push_back({by.id, by.penalty, by.subtract, by.add});
    const int32_t id = kernels::reference::Draw(logits,
                                                {.temperature = draw.temperature,
                                                 .top_k = draw.top_k,
                                                 .top_p = draw.top_p,
                                                 .min_p = draw.min_p,
                                                 .uniform = draw.uniform},
                                                copies);
    engine::TokenScore score = ScoreOf(logits, id, draw.top_n);
    return {id, score.logprob, std::move(score.top)};
  }

  static absl::Status Corrupt(const engine::Chunk& chunk, int32_t position) {
    return absl::InternalError(absl::StrCat(
        "fake model: page ", chunk.pages[position / engine::kPageTokens], " slot ",
        position % engine::kPageTokens, " does not hold position ", position, " of this sequence"));
  }

  const FakeModelOptions options_;
  const engine::ModelLimits limits_;
  std::vector<Slot> slots_;  // [kv_pages, kPageTokens]
  std::atomic<int64_t> steps_{0};
  std::atomic<int64_t> rows_{0};
  std::atomic<int64_t> stored_again_{0};
  std::vector<int32_t> ids_;   // of the chunk that runs, from its sequence's start
  std::vector<Trace> traces_;  // [rows so far]
  std::vector<float> row_logits_;
  std::vector<engine::TokenScore> scores_;
  std::vector<engine::FailedRow> failed_;
  std::vector<engine::GeneratedToken> drawn_;
};

}  // namespace dyad::testing
