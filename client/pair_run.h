// Lines of minimal pairs over ScoreMinimalPairs, through one stream or several of any length, into
// ordered JSON lines.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/batch.h"
#include "client/connection.h"
#include "client/line_input.h"
#include "dyad/v1/scoring.pb.h"
#include "server/base/console.h"

namespace dyad::client {

struct PairRunOptions {
  ConnectionOptions connection = {};
  // Each with a connection of its own; they share the pairs.
  int64_t streams = 1;
  // What the lines are of; see OrderedOutput::Open.
  std::string input = {};
  std::string output = "-";  // as BatchOptions; /dev/null for none
  Describe describe = [] { return RunDescription(); };
  OldErrors old_errors = OldErrors::kAreAnswers;
  Headers headers = Headers::kOfFiles;
  Sample* sample = nullptr;  // as Batch::Options
  std::string prefix = {};   // in front of the names of an answer's keys

  std::string model = {};  // empty: the server's only one
  v1::Convention convention = v1::CONVENTION_UNSPECIFIED;
  v1::SpecialTokens special_tokens = v1::SPECIAL_TOKENS_UNSPECIFIED;

  // How far a stream's newest pair may be ahead of its oldest without a result, in pairs; >= 1.
  // Bounds what waits here.
  int64_t window = 512;
  // 1 ... 1024; fewer where they would be more bytes than the server takes in a message.
  int64_t pairs_per_message = 16;
  // A stream that the server breaks (ErrorOwner::kServer) is opened again and the pairs without a
  // result are sent again, up to this many times without one new result; for a full queue, until it
  // has room.
  int max_reopenings = 4;
  absl::Duration first_backoff = absl::Milliseconds(100);  // grows threefold each time
};

inline constexpr int64_t kMaxStreams = 64;

struct PairRunResult {
  BatchResult batch = {};
  int64_t scored = 0;  // in this run, errors included
  // What the server said about the stream, or what the header says of its run; empty if no pair had
  // to be sent and there is no header.
  v1::Convention convention = v1::CONVENTION_UNSPECIFIED;
  std::string model = {};
  std::string model_digest = {};
};

// A stream has two threads: one writes, one reads. A pair that is too large for any message is its
// line's error and is not sent.
// Errors: of Batch::Open and Batch::Finish; what a stream ended with, after the reopenings: then
// the output holds the answers so far, and the same run goes on from there.
absl::StatusOr<PairRunResult> RunPairs(const PairRunOptions& options, const Console& console,
                                       LineInput lines, const AnswerSink& on_answer);

}  // namespace dyad::client
