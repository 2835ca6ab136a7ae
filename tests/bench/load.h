// Puts load on whoever answers requests, and measures what clients see.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/arrivals.h"
#include "tests/bench/percentiles.h"

namespace dyad::bench {

enum class Task { kGenerate, kScore };

using Ids = std::vector<int32_t>;

struct Answer {
  int64_t scored_tokens = 0;  // of Score
  int64_t cached_tokens = 0;  // taken from the prefix cache
};

// Who answers: a server over gRPC, or an engine in this process. Each call waits for its answer.
// Threads: any number.
class Target {
 public:
  virtual ~Target() = default;
  // EOS ignored; how tokens are drawn is the target's. `on_tokens` is told of tokens as they come,
  // by their number; on any thread, one call at a time, none after the return.
  virtual absl::StatusOr<Answer> Generate(const Ids& prompt, int32_t new_tokens,
                                          const std::function<void(int64_t)>& on_tokens) = 0;
  virtual absl::StatusOr<Answer> Score(const std::vector<Ids>& texts) = 0;
};

// Prompts and texts are random ids, another for each request, drawn from `arrivals.seed`.
struct LoadOptions {
  Task task = Task::kGenerate;
  int32_t vocab_size = 0;     // ids are in [0, vocab_size)
  int32_t prompt_tokens = 1;  // of a prompt, or of a text to score
  int32_t new_tokens = 1;     // generate: exactly so many
  int32_t items = 1;          // score: texts of a request
  ArrivalOptions arrivals;
  int in_flight = 1;  // requests at once at most, each on a thread of its own
  // A generated answer is good if its first token and the mean gap of the others kept to these.
  double ttft_limit = std::numeric_limits<double>::infinity();   // seconds
  double token_limit = std::numeric_limits<double>::infinity();  // seconds
};

// Times are in seconds and start when the request was due: in the open loop a request that had to
// wait for a free thread has waited. Tokens are those of requests that succeeded.
struct LoadResult {
  double seconds = 0;  // from the start to the end of the last request
  int64_t sent = 0;
  int64_t succeeded = 0;
  int64_t good = 0;                       // generate: succeeded within both limits
  int64_t late = 0;                       // open loop: sent more than 1 ms after they were due
  std::map<std::string, int64_t> errors;  // by code: "RESOURCE_EXHAUSTED"
  absl::Status first_error;
  int64_t tokens_in = 0;
  int64_t tokens_out = 0;     // generate
  int64_t scored_tokens = 0;  // score
  int64_t cached_tokens = 0;  // of tokens_in, taken from the prefix cache
  Percentiles ttft;           // generate: until the first token
  Percentiles token;    // generate: between tokens; a piece of k tokens counts as k gaps of a k-th
  Percentiles request;  // until the answer was complete
};

// The threads take turns at the targets, at least one of them. Requests are tried once: an error is
// an error of the load. Waits for every answer.
LoadResult RunLoad(const LoadOptions& options, std::span<const std::unique_ptr<Target>> targets);

}  // namespace dyad::bench
