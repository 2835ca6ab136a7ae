// A file of minimal pairs through one stream or several, into ordered JSON lines.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/batch.h"
#include "client/connection.h"
#include "client/console.h"
#include "client/line_input.h"
#include "client/pair_stream.h"

namespace dyad::client {

struct PairRunOptions {
  ConnectionOptions connection = {};
  PairStreamOptions stream = {};
  int64_t streams = 1;       // each with a connection of its own; they share the pairs
  std::string output = "-";  // as BatchOptions; /dev/null for none
};

inline constexpr int64_t kMaxStreams = 64;

struct PairRunResult {
  BatchResult batch;
  PairStreamInfo info;  // of the first stream that said; empty if no pair had to be sent
  int64_t scored = 0;   // in this run
};

// Errors: of Batch::Open and Batch::Finish; what a stream ended with, after its own retries: then
// the output holds the answers so far, and the same run goes on from there.
absl::StatusOr<PairRunResult> RunPairs(const PairRunOptions& options, const Console& console,
                                       LineInput lines, const AnswerSink& on_answer);

}  // namespace dyad::client
