// Some pairs and choices of a ScoreMinimalPairs stream.
#include "server/api/comparison_group.h"

#include <utility>

namespace dyad {
namespace {

// Whether a failure says something of the stream, not of what was compared.
bool EndsStream(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsUnavailable(status);
}

}  // namespace

ComparisonGroup::ComparisonGroup(const PairOptions& options, std::vector<ComparisonPlan> plans,
                                 uint64_t client, std::function<void(ComparisonGroup&)> on_end)
    : options_(options),
      on_end_(std::move(on_end)),
      sequences_(OnFailure::kGoOn, [this] { std::exchange(on_end_, nullptr)(*this); }) {
  for (ComparisonPlan& plan : plans) {
    Comparison& comparison = comparisons_.emplace_back();
    comparison.plan = {plan.index, plan.of};
    for (ScoreInput& text : plan.texts) {
      Side& side = comparison.sides.emplace_back(std::move(text), comparison.status);
      sequences_.Add(ToEngineRequest(*options.model, side.input, FedWindows(side.input).front(), 0,
                                     {.client = client}),
                     side);
    }
  }
}

std::vector<ComparisonPlan> ComparisonGroup::TakePlans() {
  std::vector<ComparisonPlan> plans;
  plans.reserve(comparisons_.size());
  for (Comparison& comparison : comparisons_) {
    ComparisonPlan& plan = plans.emplace_back(comparison.plan);
    for (Side& side : comparison.sides) plan.texts.push_back(std::move(side.input));
  }
  return plans;
}

std::vector<ComparisonResult> ComparisonGroup::Results() const {
  std::vector<ComparisonResult> results;
  results.reserve(comparisons_.size());
  for (const Comparison& comparison : comparisons_) {
    if (!EndsStream(comparison.status)) results.push_back(Result(comparison));
  }
  return results;
}

absl::Status ComparisonGroup::failure() const {
  for (const Comparison& comparison : comparisons_) {
    if (EndsStream(comparison.status)) return comparison.status;
  }
  return absl::OkStatus();
}

void ComparisonGroup::AddTo(Call& call) const {
  RpcRecord& record = call.record();
  for (const Comparison& comparison : comparisons_) {
    for (const Side& side : comparison.sides) {
      record.prompt_tokens += static_cast<int64_t>(side.input.ids.size());
      record.scored_tokens += static_cast<int64_t>(side.scores.size());
    }
  }
  record.cached_tokens += sequences_.cached_tokens();
  call.AddTiming(sequences_.timing());
}

ComparisonResult ComparisonGroup::Result(const Comparison& comparison) const {
  if (!comparison.status.ok()) return ToComparisonError(comparison.plan, comparison.status);
  std::vector<ScoredText> texts;
  for (const Side& side : comparison.sides) texts.push_back({side.input, side.scores});
  const auto tokens_of = [&](const ScoredText& text) {
    return ToTextScore(*options_.model, text.input, text.scores);
  };
  const bool with_tokens = options_.return_tokens == ReturnTokens::kYes;
  if (comparison.plan.of == ComparisonPlan::Of::kChoice) {
    v1::ChoiceScore result = ToChoiceScore(*options_.row, texts);
    result.set_index(comparison.plan.index);
    for (const ScoredText& text : texts) {
      if (with_tokens) *result.add_options() = tokens_of(text);
    }
    return result;
  }
  v1::PairScore result = ToPairScore(*options_.row, texts[0], texts[1]);
  result.set_index(comparison.plan.index);
  if (with_tokens) {
    *result.mutable_good() = tokens_of(texts[0]);
    *result.mutable_bad() = tokens_of(texts[1]);
  }
  return result;
}

}  // namespace dyad
