// What a step is asked for and what it gives back: flat arrays in host memory, so that a device can
// bring each over in one piece.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace dyad::kernels {

class Layer;

// Tokens that a page of keys and values holds. A slot is page · kPageTokens + place in the page.
inline constexpr int64_t kPageTokens = 16;

// Consecutive tokens of one sequence, in consecutive rows. Its pages, from position 0 on, are
// StepInput::pages from `first_page` on; they cover every position up to the last of these tokens.
struct AttentionChunk {
  int32_t first_row = 0;
  int32_t tokens = 0;  // >= 1
  int32_t first_position = 0;
  int32_t first_page = 0;  // index in StepInput::pages
};

// A row that is stored a second time, for another sequence that begins alike. Several may name one
// slot, as they hold the same there.
struct ExtraStore {
  int32_t row = 0;
  int64_t slot = 0;
};

// Asks for the log-probability of `target` after a row.
struct ScoreRow {
  int32_t row = 0;
  int32_t target = 0;  // [0, vocabulary)
  int32_t top_n = 0;   // [0, 20]; likeliest ids to report
  // Of StepInput::id_sets: also report how likely the ids of this set are together. 0: of none.
  uint8_t set = 0;
};

// Changes one id's logit before a draw: l > 0 ? l / penalty : l · penalty, then − subtract, + add.
struct Adjustment {
  int32_t id = 0;
  float penalty = 1;
  float subtract = 0;
  float add = 0;
};

// Asks for a token drawn after a row; what the fields mean together says kernels/draw.h.
struct DrawRow {
  int32_t row = 0;
  float temperature = 0;  // 0: the likeliest, ties to the lowest id
  int32_t top_k = 0;      // 0: off
  float top_p = 1;        // 1: off
  float min_p = 0;        // 0: off
  uint64_t uniform = 0;   // any 64 bits
  // Of StepInput::adjustments; each id at most once, ascending.
  int32_t first_adjustment = 0;
  int32_t adjustments = 0;
  int32_t top_n = 0;  // [0, 20]
};

struct StepInput {
  std::span<const int32_t> ids = {};            // [rows]
  std::span<const int32_t> positions = {};      // [rows], in their sequences
  std::span<const int64_t> slots = {};          // [rows], where keys and values are stored
  std::span<const ExtraStore> also = {};        // stored there, too
  std::span<const AttentionChunk> chunks = {};  // cover the rows in order
  std::span<const int32_t> pages = {};          // of all chunks
  std::span<const ScoreRow> scores = {};        // ascending by row
  std::span<const DrawRow> draws = {};          // ascending by row
  std::span<const Adjustment> adjustments = {};
  // [vocabulary]: the sets that an id is in, a bit each. Empty where no score asks for one.
  std::span<const uint8_t> id_sets = {};
};

struct TopEntry {
  int32_t id = 0;
  float logprob = 0;  // of the model's own distribution
};

struct ScoreResult {
  float logprob = 0;      // logit[target] − log Σ exp(logit)
  int32_t rank = 0;       // 1 + ids with a larger logit, or an equal one and a lower id
  int32_t first_top = 0;  // of StepOutput::top
  // ln Σ p(id) over the set that was asked for: log Σ exp(logit) over its ids, in double, less what
  // is subtracted for `logprob`. −∞ for a set of no ids; 0 if none was asked for.
  double set_logprob = 0;
};

struct DrawResult {
  int32_t id = 0;
  float logprob = 0;  // of the model's own distribution, before adjustments and temperature
  int32_t first_top = 0;
};

// A row to which a layer's Route could give no shares (kernels/plan.h): none of its numbers behind
// that layer means anything.
struct FailedRow {
  int32_t row = 0;
  const Layer* layer = nullptr;  // the first such layer
};

struct StepOutput {
  std::span<const ScoreResult> scores;  // as StepInput::scores
  std::span<const DrawResult> draws;    // as StepInput::draws
  // Descending, ties by lower id; as many of each row as it asked for, or as there are ids.
  std::span<const TopEntry> top;
  // Why the device cannot compute, now and from now on; empty: it can.
  std::string_view error;
  std::span<const FailedRow> failed = {};  // in the order of layers
};

}  // namespace dyad::kernels
