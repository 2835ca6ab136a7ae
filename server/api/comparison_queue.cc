// Parses, and cuts into groups.
#include "server/api/comparison_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/base/status_macros.h"

namespace dyad {

ComparisonQueue::ComparisonQueue(const ServerState& state)
    : state_(state),
      max_group_(static_cast<size_t>(std::max(1, state.limits.max_stream_pairs / 4))),
      next_group_(max_group_) {}

absl::StatusOr<std::vector<ComparisonResult>> ComparisonQueue::Add(
    const v1::ScoreMinimalPairsRequest& message) {
  RETURN_IF_ERROR(CheckPairCount(message));
  if (has_options()) {
    RETURN_IF_ERROR(CheckSameOptions(message, options_));
  } else {
    ASSIGN_OR_RETURN(options_, ParsePairOptions(message, state_.models));
  }
  std::vector<ComparisonResult> at_fault;
  const auto add = [&](absl::StatusOr<ComparisonPlan> plan, int64_t index, ComparisonPlan::Of of) {
    if (plan.ok()) {
      plans_.push_back(*std::move(plan));
    } else {
      at_fault.push_back(ToComparisonError({.index = index, .of = of}, plan.status()));
    }
  };
  for (const v1::MinimalPair& pair : message.pairs()) {
    add(ParsePair(pair, options_, state_.limits), pair.index(), ComparisonPlan::Of::kPair);
  }
  for (const v1::ChoiceSet& choice : message.choice_sets()) {
    add(ParseChoice(choice, options_, state_.limits), choice.index(), ComparisonPlan::Of::kChoice);
  }
  return at_fault;
}

std::vector<ComparisonPlan> ComparisonQueue::Take(size_t room) {
  const size_t count = std::min({plans_.size(), next_group_, room});
  next_group_ = std::min(2 * next_group_, max_group_);
  const auto end = plans_.begin() + static_cast<ptrdiff_t>(count);
  std::vector<ComparisonPlan> group(std::move_iterator(plans_.begin()), std::move_iterator(end));
  plans_.erase(plans_.begin(), end);
  return group;
}

void ComparisonQueue::PutBack(std::vector<ComparisonPlan> group) {
  next_group_ = std::max(size_t{1}, group.size() / 2);
  plans_.insert(plans_.begin(), std::move_iterator(group.begin()), std::move_iterator(group.end()));
}

}  // namespace dyad
