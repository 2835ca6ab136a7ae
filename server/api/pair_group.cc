// Some pairs of a ScoreMinimalPairs stream.
#include "server/api/pair_group.h"

#include <utility>

#include "server/api/score_result.h"

namespace dyad {
namespace {

// Whether a failure says something of the stream, not of its pair.
bool EndsStream(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsUnavailable(status);
}

}  // namespace

PairGroup::PairGroup(const PairOptions& options, std::vector<PairPlan> plans, uint64_t client,
                     std::function<void(PairGroup&)> on_end)
    : options_(options),
      on_end_(std::move(on_end)),
      sequences_(OnFailure::kGoOn, [this] { std::exchange(on_end_, nullptr)(*this); }) {
  for (PairPlan& plan : plans) {
    Pair& pair = pairs_.emplace_back(std::move(plan));
    for (Side* side : {&pair.good, &pair.bad}) {
      sequences_.Add(ToEngineRequest(*options.model, side->input, FedWindows(side->input).front(),
                                     0, {.client = client}),
                     *side);
    }
  }
}

std::vector<PairPlan> PairGroup::TakePlans() {
  std::vector<PairPlan> plans;
  plans.reserve(pairs_.size());
  for (Pair& pair : pairs_) {
    plans.push_back({pair.index, std::move(pair.good.input), std::move(pair.bad.input)});
  }
  return plans;
}

std::vector<v1::PairScore> PairGroup::Results() const {
  std::vector<v1::PairScore> results;
  results.reserve(pairs_.size());
  for (const Pair& pair : pairs_) {
    if (!EndsStream(pair.status)) results.push_back(Result(pair));
  }
  return results;
}

absl::Status PairGroup::failure() const {
  for (const Pair& pair : pairs_) {
    if (EndsStream(pair.status)) return pair.status;
  }
  return absl::OkStatus();
}

void PairGroup::AddTo(Call& call) const {
  RpcRecord& record = call.record();
  for (const Pair& pair : pairs_) {
    for (const Side* side : {&pair.good, &pair.bad}) {
      record.prompt_tokens += static_cast<int64_t>(side->input.ids.size());
      record.scored_tokens += static_cast<int64_t>(side->scores.size());
    }
  }
  record.cached_tokens += sequences_.cached_tokens();
  call.AddTiming(sequences_.timing());
}

v1::PairScore PairGroup::Result(const Pair& pair) const {
  if (!pair.status.ok()) return ToPairError(pair.index, pair.status);
  v1::PairScore result = ToPairScore(*options_.row, {pair.good.input, pair.good.scores},
                                     {pair.bad.input, pair.bad.scores});
  result.set_index(pair.index);
  if (options_.return_tokens == ReturnTokens::kYes) {
    *result.mutable_good() = ToTextScore(*options_.model, pair.good.input, pair.good.scores);
    *result.mutable_bad() = ToTextScore(*options_.model, pair.bad.input, pair.bad.scores);
  }
  return result;
}

}  // namespace dyad
