// Puts load on a running server over gRPC and measures what its clients see.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dyad/v1/model.pb.h"
#include "tests/bench/arrivals.h"
#include "tests/bench/percentiles.h"

namespace dyad::bench {

enum class Task { kGenerate, kScore };

// Prompts and texts are random ids, another for each request, drawn from `arrivals.seed`.
struct LoadOptions {
  std::string address;  // HOST:PORT, plaintext
  std::string model;    // empty: the only one
  Task task = Task::kGenerate;
  int32_t vocab_size = 0;     // ids are in [0, vocab_size)
  int32_t prompt_tokens = 1;  // of a prompt, or of a text to score
  int32_t new_tokens = 1;     // generate: exactly so many
  int32_t items = 1;          // score: texts of a request
  ArrivalOptions arrivals;
  int in_flight = 1;    // requests at once at most, each on a thread of its own
  int connections = 1;  // shared by the threads
  absl::Duration timeout = absl::InfiniteDuration();  // of a request
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
  int64_t cached_tokens = 0;  // of tokens_in, taken from the server's prefix cache
  Percentiles ttft;           // generate: until the first token
  Percentiles token;    // generate: between tokens; a piece of k tokens counts as k gaps of a k-th
  Percentiles request;  // until the answer was complete
};

// What the server says of the model. Errors: its own; Unavailable if there is no server.
absl::StatusOr<v1::Model> FindModel(const std::string& address, const std::string& model);

// Requests are tried once: an error is an error of the load. Waits for every answer.
LoadResult RunLoad(const LoadOptions& options);

}  // namespace dyad::bench
