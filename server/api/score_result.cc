// The engine's scores -> TextScore and PairScore.
#include "server/api/score_result.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "server/api/error_reply.h"
#include "server/api/token_result.h"

namespace dyad {
namespace {

void AddSpans(const ServedModel& model, const ScoreInput& input,
              std::span<const engine::TokenScore> places, v1::TextScore& result) {
  const ScoredRun run = {input.ids, model.word_id_sets, input.scored_from, input.scored_end(),
                         places};
  for (const TokenSpan& word : input.spans.words) {
    *result.add_words() = ToSpanScore(input.spans, word, run);
  }
  for (const TokenSpan& region : input.spans.regions) {
    *result.add_regions() = ToSpanScore(input.spans, region, run);
  }
  if (input.sets.empty()) return;
  result.mutable_boundary_logprobs()->Resize(static_cast<int>(input.ids.size()) + 1, 0);
  for (size_t i = 0; i < places.size(); ++i) {
    result.set_boundary_logprobs(input.scored_from + static_cast<int>(i), places[i].set_logprob);
  }
}

}  // namespace

ScoreTotal Total(std::span<const engine::TokenScore> scores) {
  ScoreTotal total;
  for (const engine::TokenScore& score : scores) total.sum += score.logprob;
  if (!scores.empty()) total.mean = total.sum / static_cast<double>(scores.size());
  return total;
}

v1::TextScore ToTextScore(const ServedModel& model, const ScoreInput& input,
                          std::span<const engine::TokenScore> places) {
  v1::TextScore result;
  const auto scores = places.first(static_cast<size_t>(input.scored_tokens()));
  const bool has_top = std::any_of(scores.begin(), scores.end(),
                                   [](const auto& score) { return !score.top.empty(); });
  for (int32_t i = 0; i < std::ssize(input.ids); ++i) {
    const int32_t id = input.ids[static_cast<size_t>(i)];
    const bool is_scored = i >= input.scored_from && i < input.scored_end();
    const engine::TokenScore* score =
        is_scored ? &scores[static_cast<size_t>(i - input.scored_from)] : nullptr;
    result.add_ids(id);
    result.add_scored(is_scored);
    result.add_logprobs(is_scored ? score->logprob : 0);
    result.add_greedy(is_scored && score->rank == 1);
    result.add_ranks(is_scored ? score->rank : 0);
    if (model.tokenizer != nullptr) result.add_texts(TokenText(model, id));
    if (has_top) {
      v1::TopTokens& tops = *result.add_top();
      if (!is_scored) continue;
      for (const engine::TopToken& token : score->top)
        *tops.add_tokens() = ToTopToken(model, token);
    }
  }
  result.mutable_byte_offsets()->Add(input.offsets.begin(), input.offsets.end());
  AddSpans(model, input, places, result);
  const ScoreTotal total = Total(scores);
  result.set_sum(total.sum);
  result.set_mean(total.mean);
  result.set_scored_tokens(static_cast<int32_t>(scores.size()));
  return result;
}

v1::PairScore ToPairScore(const ConventionRow& row, const ScoredText& good, const ScoredText& bad) {
  const ScoreTotal good_total = Total(good.scores);
  const ScoreTotal bad_total = Total(bad.scores);
  const double margin = row.reduction == Reduction::kMean ? good_total.mean - bad_total.mean
                                                          : good_total.sum - bad_total.sum;
  v1::PairScore result;
  result.set_good_sum(good_total.sum);
  result.set_bad_sum(bad_total.sum);
  result.set_good_mean(good_total.mean);
  result.set_bad_mean(bad_total.mean);
  result.set_good_scored_tokens(static_cast<int32_t>(good.scores.size()));
  result.set_bad_scored_tokens(static_cast<int32_t>(bad.scores.size()));
  result.set_margin(margin);
  result.set_tie(margin == 0);
  result.set_correct(margin >= 0);
  const auto [good_end, bad_end] = std::mismatch(good.input.ids.begin(), good.input.ids.end(),
                                                 bad.input.ids.begin(), bad.input.ids.end());
  if (good_end != good.input.ids.end() || bad_end != bad.input.ids.end()) {
    result.set_first_difference(static_cast<int32_t>(good_end - good.input.ids.begin()));
  }
  return result;
}

v1::ChoiceScore ToChoiceScore(const ConventionRow& row, std::span<const ScoredText> texts) {
  v1::ChoiceScore result;
  for (const ScoredText& text : texts) {
    const ScoreTotal total = Total(text.scores);
    result.add_sums(total.sum);
    result.add_means(total.mean);
    result.add_scored_tokens(static_cast<int32_t>(text.scores.size()));
  }
  const auto& decides = row.reduction == Reduction::kMean ? result.means() : result.sums();
  const auto best = std::max_element(decides.begin(), decides.end());
  result.set_best(static_cast<int32_t>(best - decides.begin()));
  result.set_tie(std::count(decides.begin(), decides.end(), *best) > 1);
  return result;
}

ComparisonResult ToComparisonError(const ComparisonPlan& plan, const absl::Status& status) {
  const auto with_error = [&](auto result) -> ComparisonResult {
    result.set_index(plan.index);
    result.mutable_error()->set_code(static_cast<int32_t>(status.code()));
    result.mutable_error()->set_message(BoundedMessage(status));
    return result;
  };
  return plan.of == ComparisonPlan::Of::kPair ? with_error(v1::PairScore())
                                              : with_error(v1::ChoiceScore());
}

}  // namespace dyad
