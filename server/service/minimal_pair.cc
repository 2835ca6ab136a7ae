// One pair of a ScoreMinimalPairs stream.
#include "server/service/minimal_pair.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/service/parse_score.h"
#include "server/service/score_result.h"

namespace dyad {

PairInFlight::PairInFlight(const PairOptions& options, int64_t index, PairOwner& owner)
    : options_(options), index_(index), owner_(owner) {
  good_.pair = this;
  bad_.pair = this;
}

absl::StatusOr<std::unique_ptr<PairInFlight>> PairInFlight::Create(const PairOptions& options,
                                                                   const RequestLimits& limits,
                                                                   const v1::MinimalPair& pair,
                                                                   PairOwner& owner) {
  const Layout layout = {*options.model, limits, *options.row, options.special_tokens};
  std::unique_ptr<PairInFlight> result(new PairInFlight(options, pair.index(), owner));
  ASSIGN_OR_RETURN(result->good_.input, LayOutText(layout, {"good", pair.good()}));
  ASSIGN_OR_RETURN(result->bad_.input, LayOutText(layout, {"bad", pair.bad()}));
  return result;
}

std::vector<engine::Submission> PairInFlight::Submissions(absl::Time deadline) {
  std::vector<engine::Submission> submissions;
  for (Side* side : {&good_, &bad_}) {
    if (side->input.scored_tokens() == 0) continue;
    submissions.push_back({ToEngineRequest(side->input, 0, deadline), side});
  }
  running_ = static_cast<int>(submissions.size());
  return submissions;
}

void PairInFlight::OnSideEnd(const engine::Outcome& outcome) {
  timing_ = outcome.timing;
  cached_tokens_ += outcome.cached_tokens;
  if (status_.ok()) status_ = outcome.status;
  if (--running_ == 0) owner_.OnPairEnd(this);
}

v1::PairScore PairInFlight::Result() const {
  v1::PairScore result;
  if (status_.ok()) {
    result = ToPairScore(*options_.row, {good_.input, good_.scores}, {bad_.input, bad_.scores});
    if (options_.return_tokens) {
      *result.mutable_good() = ToTextScore(*options_.model, good_.input, good_.scores);
      *result.mutable_bad() = ToTextScore(*options_.model, bad_.input, bad_.scores);
    }
  } else {
    result = ToPairError(status_);
  }
  result.set_index(index_);
  return result;
}

int64_t PairInFlight::prompt_tokens() const {
  return static_cast<int64_t>(good_.input.ids.size() + bad_.input.ids.size());
}

int64_t PairInFlight::scored_tokens() const {
  return static_cast<int64_t>(good_.scores.size() + bad_.scores.size());
}

}  // namespace dyad
