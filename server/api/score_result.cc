// The engine's scores -> TextScore and PairScore.
#include "server/api/score_result.h"

#include <algorithm>
#include <string>

#include "server/api/error_reply.h"

namespace dyad {
namespace {

std::string TokenText(const ServedModel& model, int32_t id) {
  return model.tokenizer->Decode(std::span(&id, 1), DecodeSpecial::kKeep);
}

void AddTop(const ServedModel& model, const engine::TokenScore& score, v1::TopTokens& tops) {
  for (const engine::TopToken& candidate : score.top) {
    v1::TopToken& top = *tops.add_tokens();
    top.set_id(candidate.id);
    top.set_logprob(candidate.logprob);
    if (model.tokenizer != nullptr) top.set_text(TokenText(model, candidate.id));
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
                          std::span<const engine::TokenScore> scores) {
  v1::TextScore result;
  const bool has_top = std::any_of(scores.begin(), scores.end(),
                                   [](const auto& score) { return !score.top.empty(); });
  const size_t first = input.ids.size() - scores.size();
  for (size_t i = 0; i < input.ids.size(); ++i) {
    const engine::TokenScore* score = i < first ? nullptr : &scores[i - first];
    result.add_ids(input.ids[i]);
    result.add_scored(score != nullptr);
    result.add_logprobs(score == nullptr ? 0 : score->logprob);
    result.add_greedy(score != nullptr && score->rank == 1);
    result.add_ranks(score == nullptr ? 0 : score->rank);
    if (model.tokenizer != nullptr) result.add_texts(TokenText(model, input.ids[i]));
    if (has_top) {
      v1::TopTokens& tops = *result.add_top();
      if (score != nullptr) AddTop(model, *score, tops);
    }
  }
  result.mutable_byte_offsets()->Add(input.offsets.begin(), input.offsets.end());
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

v1::PairScore ToPairError(int64_t index, const absl::Status& status) {
  v1::PairScore result;
  result.set_index(index);
  result.mutable_error()->set_code(static_cast<int32_t>(status.code()));
  result.mutable_error()->set_message(BoundedMessage(status));
  return result;
}

}  // namespace dyad
