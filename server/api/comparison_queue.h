// The pairs and choices of a ScoreMinimalPairs stream that were read and not submitted yet.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/parse_score.h"
#include "server/api/score_result.h"
#include "server/api/server_state.h"

namespace dyad {

// Also knows how many of them to submit at once. A group is at most a quarter of max_stream_pairs,
// so that several run at a time: while one's results are written, the others keep the engine's
// steps full. A group that the engine's queue has no room for comes back and is halved.
//
// Threads: one at a time.
class ComparisonQueue {
 public:
  explicit ComparisonQueue(const ServerState& state);

  // Parses a message's pairs and choices. Those that are at fault are answered here; the others
  // join the queue. The first message sets the options. Cost: that of encoding. Errors: as
  // CheckPairCount, ParsePairOptions and CheckSameOptions.
  absl::StatusOr<std::vector<ComparisonResult>> Add(const v1::ScoreMinimalPairsRequest& message);

  // Of the stream, once the first message was added.
  bool has_options() const { return options_.model != nullptr; }
  const PairOptions& options() const { return options_; }

  bool empty() const { return plans_.empty(); }
  // The next group, of at most `room` pairs.
  std::vector<ComparisonPlan> Take(size_t room);
  // That group, which was refused as a whole.
  void PutBack(std::vector<ComparisonPlan> group);

 private:
  const ServerState& state_;
  const size_t max_group_;
  size_t next_group_;
  PairOptions options_;
  std::deque<ComparisonPlan> plans_;
};

}  // namespace dyad
