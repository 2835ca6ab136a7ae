// A file of minimal pairs through one stream or several, into ordered JSON lines.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/batch.h"
#include "client/connection.h"
#include "client/console.h"
#include "client/json_line.h"
#include "client/pair_stream.h"

namespace dyad::client {

struct PairRunOptions {
  ConnectionOptions connection = {};
  PairStreamOptions stream = {};
  int streams = 1;                    // each with a connection of its own; they share the pairs
  std::string output = "-";           // as BatchOptions; /dev/null for none
  std::optional<int64_t> total = {};  // lines, if known
};

inline constexpr int kMaxStreams = 64;

struct PairRunResult {
  BatchResult batch;
  PairStreamInfo info;     // of the first stream that said; empty if no pair had to be sent
  int64_t scored = 0;      // in this run
  absl::Duration elapsed;  // of this run
};

// The next line, or nothing at the end. Never called by two threads at once.
using LineSource = std::function<std::optional<std::string>()>;
// Answer of line `number`, those of an output that is gone on with included; in any order, never by
// two threads at once.
using AnswerSink = std::function<void(int64_t number, const Json& answer)>;

// Errors: as RunBatch; and what a stream ended with, after its own retries: then the output holds
// the answers so far, and the same run goes on from there.
absl::StatusOr<PairRunResult> RunPairs(const PairRunOptions& options, const Console& console,
                                       const LineSource& lines, const AnswerSink& on_answer);

}  // namespace dyad::client
