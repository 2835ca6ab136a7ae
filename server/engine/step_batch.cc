// Chunk by chunk; wishes are put in order at the end.
#include "server/engine/step_batch.h"

#include <algorithm>
#include <span>
#include <tuple>

#include "server/engine/counter_random.h"

namespace dyad::engine {
namespace {

auto PlaceOf(const ScoreRow& score) { return std::tie(score.row, score.target, score.set); }

bool SamePlace(const ScoreRow& a, const ScoreRow& b) { return PlaceOf(a) == PlaceOf(b); }

std::span<const int32_t> PagesUpTo(const Sequence& sequence, int32_t end) {
  return std::span(sequence.pages).first(static_cast<size_t>(PagesFor(end)));
}

}  // namespace

// The token before a token predicts it.
ScoredRange ScoredBy(const PlannedChunk& chunk) {
  const Sequence& sequence = *chunk.sequence;
  const int32_t begin = std::max(sequence.next_score(), sequence.stored + 1);
  const int32_t end = std::min(sequence.score_end(), sequence.stored + chunk.tokens + 1);
  return {begin, std::max(begin, end)};
}

bool DrawsToken(const PlannedChunk& chunk) {
  const Sequence& sequence = *chunk.sequence;
  return sequence.generates() && sequence.stored + chunk.tokens == sequence.length();
}

void StepBatch::Fill(const Plan& plan) {
  batch_.ids.clear();
  batch_.chunks.clear();
  batch_.stores.clear();
  batch_.score_rows.clear();
  batch_.draws.clear();
  batch_.adjustments.clear();
  batch_.id_sets = {};
  for (const PlannedChunk& chunk : plan.chunks) {
    if (chunk.tokens == 0) continue;
    const Sequence& sequence = *chunk.sequence;
    const std::span<const int32_t> rows = plan.RowsOf(chunk);
    const int32_t begin = sequence.stored + chunk.shared;
    const int32_t end = sequence.stored + chunk.tokens;
    AddStores(plan, chunk);
    if (begin < end) {
      batch_.chunks.push_back(
          {static_cast<int32_t>(batch_.ids.size()), end - begin, begin, PagesUpTo(sequence, end)});
      batch_.ids.insert(batch_.ids.end(), sequence.ids.begin() + begin, sequence.ids.begin() + end);
    }
    const ScoredRange scored = ScoredBy(chunk);
    for (int32_t i = scored.begin; i < scored.end; ++i) {
      batch_.score_rows.push_back({rows[i - 1 - sequence.stored], sequence.target_at(i),
                                   sequence.request.top_n, sequence.set_at(i)});
    }
    if (scored.begin < scored.end && !sequence.request.sets.empty()) {
      batch_.id_sets = sequence.request.id_sets;
    }
  }
  MergeScores();
  AddDraws(plan);
}

// Shared tokens in a page that is not full, hence not shared: at most 15, in rows of one or several
// chunks. Those in full pages are stored by whoever computes them.
void StepBatch::AddStores(const Plan& plan, const PlannedChunk& chunk) {
  const Sequence& sequence = *chunk.sequence;
  const std::span<const int32_t> rows = plan.RowsOf(chunk);
  const int32_t end = sequence.stored + chunk.shared;
  int32_t begin = std::max(sequence.stored, end / kPageTokens * kPageTokens);
  for (int32_t i = begin; i < end; ++i) {
    const int32_t row = rows[i - sequence.stored];
    if (i + 1 < end && rows[i + 1 - sequence.stored] == row + 1) continue;
    batch_.stores.push_back({row - (i - begin), i + 1 - begin, begin, PagesUpTo(sequence, i + 1)});
    begin = i + 1;
  }
}

void StepBatch::AddDraws(const Plan& plan) {
  const auto row_of = [&](size_t chunk) { return plan.RowsOf(plan.chunks[chunk]).back(); };
  drawing_.clear();
  for (size_t i = 0; i < plan.chunks.size(); ++i) {
    if (plan.chunks[i].tokens > 0 && DrawsToken(plan.chunks[i])) drawing_.push_back(i);
  }
  std::ranges::sort(drawing_, {}, [&](size_t chunk) { return std::pair(row_of(chunk), chunk); });
  draw_of_chunk_.resize(plan.chunks.size());
  for (const size_t chunk : drawing_) {
    const Sequence& sequence = *plan.chunks[chunk].sequence;
    const Sampling& sampling = sequence.request.sampling;
    const std::span<const Adjustment> adjustments = sequence.adjustments.list();
    draw_of_chunk_[chunk] = batch_.draws.size();
    batch_.draws.push_back(
        {.row = row_of(chunk),
         .temperature = sampling.temperature,
         .top_k = sampling.top_k,
         .top_p = sampling.top_p,
         .min_p = sampling.min_p,
         .uniform = RandomAt({sampling.seed, sampling.choice, sequence.length()}),
         .first_adjustment = static_cast<int32_t>(batch_.adjustments.size()),
         .adjustments = static_cast<int32_t>(adjustments.size()),
         .top_n = sequence.request.top_n});
    batch_.adjustments.insert(batch_.adjustments.end(), adjustments.begin(), adjustments.end());
  }
}

void StepBatch::MergeScores() {
  std::vector<ScoreRow>& scores = batch_.score_rows;
  std::sort(scores.begin(), scores.end(), [](const ScoreRow& a, const ScoreRow& b) {
    return std::tuple(PlaceOf(a), b.top_n) < std::tuple(PlaceOf(b), a.top_n);
  });
  scores.erase(std::unique(scores.begin(), scores.end(), SamePlace), scores.end());
}

size_t StepBatch::ScoreIndex(const ScoreRow& asked) const {
  const std::vector<ScoreRow>& scores = batch_.score_rows;
  const auto before = [](const ScoreRow& a, const ScoreRow& b) { return PlaceOf(a) < PlaceOf(b); };
  return std::lower_bound(scores.begin(), scores.end(), asked, before) - scores.begin();
}

}  // namespace dyad::engine
