// JSON lines in, JSON lines out: order kept, several requests in flight, errors in their place.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/console.h"
#include "client/json_line.h"

namespace dyad::client {

struct BatchOptions {
  std::string input = "-";     // file, or "-" for standard input
  std::string output = "-";    // file, or "-" for standard output
  int concurrency = 16;        // requests in flight, 1 ... kMaxConcurrency; each has a thread
  std::string unit = "lines";  // for the progress bar
};

inline constexpr int kMaxConcurrency = 256;

struct BatchResult {
  int64_t lines = 0;    // in the output, old ones included
  int64_t skipped = 0;  // were in the output before
  int64_t failed = 0;   // error objects in the output, old ones included
};

// Answers one line. Called from several threads at once.
using Answerer = std::function<absl::StatusOr<Json>(const Json& line)>;

// Answers every line of the input that has no answer in the output yet. A line that is no JSON
// object, or whose answer is an error, becomes an error object. Progress goes to the console's
// `err`. Errors: files that cannot be read or written; an output with more lines than the input.
absl::StatusOr<BatchResult> RunBatch(const BatchOptions& options, const Console& console,
                                     const Answerer& answer);

// Says on `err` what was skipped and what failed, and returns the exit status: 1 if anything did.
int ReportBatch(const BatchResult& result, const Console& console);

}  // namespace dyad::client
