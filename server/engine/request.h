// What the engine is asked for, in token ids, and how it answers. Data only, and the sink's
// interface.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/engine/model.h"

namespace dyad::engine {

inline constexpr int32_t kMaxTopN = 20;

// How a token is drawn. Order: penalties, bias, temperature, top_k, top_p, min_p. Ranges are
// checked by the caller (server/api).
struct Sampling {
  float temperature = 0;         // 0: greedy, ties to the lowest id
  int32_t top_k = 0;             // 0: off
  float top_p = 1;               // 1: off
  float min_p = 0;               // 0: off
  float repetition_penalty = 1;  // 1: off; over prompt and output
  float presence_penalty = 0;    // over output
  float frequency_penalty = 0;   // over output
  std::vector<std::pair<int32_t, float>> logit_bias;
  uint64_t seed = 0;
  int32_t choice = 0;  // with the seed and the position, the key of the random numbers
};

// One sequence to run: score some of `ids`, then generate up to `max_new_tokens`.
struct Request {
  // 1 … context_length − max_new_tokens, each in [0, vocab_size); one more if nothing is generated
  // and no set asked for, as the last id is then not fed.
  std::vector<int32_t> ids;
  // Score ids[i] for i in [max(1, score_from), ids.size()). Absent: none.
  std::optional<int32_t> score_from;
  int32_t max_new_tokens = 0;  // 0: only score
  // Best competitors with each scored and each generated token, 0 … 20. Scores with more than 1
  // do not read stored pages.
  int32_t top_n = 0;
  // How likely sets of ids are, beside the scores. id_sets: [vocab_size], the sets that an id is
  // in, a bit each; one array for all requests to an engine, which outlives them. sets[i]: the bits
  // asked for in the place of ids[max(1, score_from) + i]; the last entry, behind all ids, is a
  // place of its own, whose score has no other meaning. Empty: none, 0: not there. Only with
  // max_new_tokens 0 and something scored. Such scores do not read stored pages.
  std::span<const uint8_t> id_sets;
  std::vector<uint8_t> sets;
  Sampling sampling;
  std::vector<int32_t> eos_ids;   // end with finish reason EOS; none: EOS is ignored
  std::vector<int32_t> stop_ids;  // end with finish reason STOP
  // Who asks, as a number that only has to differ between clients: they take turns.
  uint64_t client = 0;
  absl::Time deadline = absl::InfiniteFuture();  // by SteadyNow()
};

enum class FinishReason { kNone, kLength, kEos, kStop };

struct Timing {
  absl::Duration queue;    // submitted until first scheduled
  absl::Duration prefill;  // until all ids were processed
  absl::Duration decode;   // until the end
};

struct Outcome {
  // OK; DeadlineExceeded, Cancelled, Unavailable (draining, or a lost device), Internal
  absl::Status status;
  FinishReason reason = FinishReason::kNone;  // kNone unless OK and max_new_tokens > 0
  Timing timing;
  int32_t cached_tokens = 0;
  // Of ResourceExhausted because of other work: when it makes sense to ask again.
  std::optional<absl::Duration> retry_after;
  bool device_lost = false;  // of Unavailable; this engine answers nothing more
};

enum class Verdict { kContinue, kStop };

// Receives one sequence's results. All but Wanted are called from the engine's thread, in the order
// OnScores (once, if anything is scored, when all ids were processed), OnToken…, OnEnd (exactly
// once, the last call). They must not block, nor call the engine.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // False: nobody waits for results any more; the sequence ends with Cancelled within one step.
  virtual bool Wanted() const { return true; }
  // scores[i] belongs to ids[max(1, score_from) + i]; with `sets` there is one more.
  virtual void OnScores(std::span<const TokenScore> scores) = 0;
  // kStop ends the sequence with finish reason STOP (a stop string was found).
  virtual Verdict OnToken(const GeneratedToken& token) = 0;
  virtual void OnEnd(const Outcome& outcome) = 0;
};

// One sequence to submit. The sink must outlive its OnEnd.
struct Submission {
  Request request;
  TokenSink* sink = nullptr;
};

}  // namespace dyad::engine
