// What the engine asks of a model: one forward pass over a flat batch of tokens.
//
// The engine decides which tokens run, in which pages their keys and values live, and which rows it
// wants results of; the model owns weights and KV memory. Bits of every result depend only on the
// ids before it: never on the rest of the batch, on chunking, or on the number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad::engine {

inline constexpr int32_t kPageTokens = 16;  // tokens a KV page holds

// Consecutive tokens of one sequence, in consecutive rows of a batch.
struct Chunk {
  int32_t first_row = 0;       // of these tokens, in Batch::ids
  int32_t tokens = 0;          // >= 1
  int32_t first_position = 0;  // of these tokens, in the sequence; [0, context_length)
  // pages[p] holds positions [16 p, 16 p + 16); covers every position up to this chunk's last. The
  // positions before first_position are stored already, or by this batch. A stored position may be
  // run again: it writes the same bits to its slot, even while other chunks of the batch read or
  // rewrite that slot.
  std::span<const int32_t> pages;
};

// Asks for the log-probability of `target` as the token after row `row`.
struct ScoreRow {
  int32_t row = 0;
  int32_t target = 0;
  int32_t top_n = 0;  // [0, 20]
  uint8_t set = 0;    // bits of Batch::id_sets: also how likely these ids are together; 0: none
};

// A change to the logit of one id before a draw: divided by `penalty` if it is above 0, else
// multiplied; less `subtract`; plus `add`.
struct Adjustment {
  int32_t id = 0;
  float penalty = 1;
  float subtract = 0;
  float add = 0;
  bool operator==(const Adjustment&) const = default;
};

// Asks for a token after row `row`. The order of filters and what a draw is: kernels/draw.h.
struct DrawRow {
  int32_t row = 0;
  float temperature = 0;         // 0: greedy, ties to the lowest id
  int32_t top_k = 0;             // 0: off
  float top_p = 1;               // 1: off
  float min_p = 0;               // 0: off
  uint64_t uniform = 0;          // any 64 bits; of a draw that is not greedy they decide
  int32_t first_adjustment = 0;  // in Batch::adjustments
  int32_t adjustments = 0;       // ascending by id
  int32_t top_n = 0;             // [0, 20]
};

// Sequences that begin alike share rows: one chunk computes them, and `stores` say into which pages
// of other sequences their keys and values go, too. In each layer everything is stored before a
// row looks back.
struct Batch {
  std::vector<int32_t> ids;             // [rows]; each in [0, vocab_size)
  std::vector<Chunk> chunks;            // together they cover the rows in order
  std::vector<Chunk> stores;            // rows of chunks, at the positions that they have there
  std::vector<ScoreRow> score_rows;     // ascending by row, target and set; no two have all alike
  std::vector<DrawRow> draws;           // ascending by row; a row may have several
  std::vector<Adjustment> adjustments;  // of all draws
  // [vocab_size], the sets that an id is in, a bit each; or empty if no row asks for one.
  std::span<const uint8_t> id_sets;
};

struct TopToken {
  int32_t id = 0;
  float logprob = 0;
  bool operator==(const TopToken&) const = default;
};

struct TokenScore {
  float logprob = 0;          // log softmax of the target, natural logarithm
  int32_t rank = 0;           // 1 = likeliest; of equal logits the lower id comes first
  std::vector<TopToken> top;  // top_n best, descending, ties by lower id; rank == 1 means greedy
  double set_logprob = 0;     // ln Σ p(id) over the set that was asked for; 0 if none was
  bool operator==(const TokenScore&) const = default;
};

struct GeneratedToken {
  int32_t id = 0;
  float logprob = 0;          // of the model's own distribution: no penalties, no temperature
  std::vector<TopToken> top;  // top_n best of that distribution, as in TokenScore
};

// A row that a layer could not compute: its numbers, and those of the rows that look back at it,
// mean nothing.
struct FailedRow {
  int32_t row = 0;
  std::string_view layer;  // module path; lives as long as the model
};

// Valid until the next Step.
struct StepResult {
  std::span<const TokenScore> scores;      // [score_rows]
  std::span<const GeneratedToken> drawn;   // [draws]; a logprob has the bits of a score
  std::span<const FailedRow> failed = {};  // in the order of layers; of a row the first layer
};

struct ModelLimits {
  int32_t vocab_size = 0;
  int32_t context_length = 0;    // tokens a sequence may have
  int32_t kv_pages = 0;          // page ids are [0, kv_pages)
  int32_t max_batch_tokens = 0;  // rows a batch may have
  int32_t max_draws = 0;         // draws a batch may have
};

// What one step over `rows` tokens costs, for metrics.
struct StepCost {
  double structured_flops_per_token = 0;        // linear layers without the head
  double dense_equivalent_flops_per_token = 0;  // the same layers if they were dense
  double head_flops_per_row = 0;                // of rows of which something is asked
  double weight_bytes_per_step = 0;  // packed weights streamed once a step, head included
};

// Threads: Step is called by one thread at a time (the engine's).
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelLimits& limits() const = 0;
  virtual StepCost cost() const = 0;
  // Errors: Internal (a bug), Unavailable (the device is lost, for this step and all that follow);
  // the engine then ends the sequences of this batch with it.
  virtual absl::StatusOr<StepResult> Step(const Batch& batch) = 0;
};

}  // namespace dyad::engine
