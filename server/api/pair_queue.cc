// Parses pairs and cuts them into groups.
#include "server/api/pair_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/api/score_result.h"
#include "server/base/status_macros.h"

namespace dyad {

PairQueue::PairQueue(const ServerState& state)
    : state_(state),
      max_group_(static_cast<size_t>(std::max(1, state.limits.max_stream_pairs / 4))),
      next_group_(max_group_) {}

absl::StatusOr<std::vector<v1::PairScore>> PairQueue::Add(
    const v1::ScoreMinimalPairsRequest& message) {
  RETURN_IF_ERROR(CheckPairCount(message));
  if (has_options()) {
    RETURN_IF_ERROR(CheckSameOptions(message, options_));
  } else {
    ASSIGN_OR_RETURN(options_, ParsePairOptions(message, state_.models));
  }
  std::vector<v1::PairScore> at_fault;
  for (const v1::MinimalPair& pair : message.pairs()) {
    absl::StatusOr<PairPlan> plan = ParsePair(pair, options_, state_.limits);
    if (plan.ok()) {
      pairs_.push_back(*std::move(plan));
    } else {
      at_fault.push_back(ToPairError(pair.index(), plan.status()));
    }
  }
  return at_fault;
}

std::vector<PairPlan> PairQueue::Take(size_t room) {
  const size_t count = std::min({pairs_.size(), next_group_, room});
  next_group_ = std::min(2 * next_group_, max_group_);
  const auto end = pairs_.begin() + static_cast<ptrdiff_t>(count);
  std::vector<PairPlan> group(std::move_iterator(pairs_.begin()), std::move_iterator(end));
  pairs_.erase(pairs_.begin(), end);
  return group;
}

void PairQueue::PutBack(std::vector<PairPlan> group) {
  next_group_ = std::max(size_t{1}, group.size() / 2);
  pairs_.insert(pairs_.begin(), std::move_iterator(group.begin()), std::move_iterator(group.end()));
}

}  // namespace dyad
