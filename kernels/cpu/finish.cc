// Scores and draws from one pass over the head, tile by tile of the vocabulary.
#include "kernels/cpu/finish.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/draw.h"
#include "kernels/cpu/narrow_rows.h"
#include "kernels/cpu/score.h"
#include "kernels/cpu/top_list.h"
#include "kernels/cpu/weights.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kChunkWishes = 768;  // served by one pass over the head
constexpr int64_t kGroupRows = 96;  // rows whose logits of one tile exist at once: 96 KiB a thread

template <typename T>
std::span<T> Room(Scratch& scratch, ScratchUse use, int64_t count) {
  return {scratch.Get<T>(use, count), static_cast<size_t>(count)};
}

// Takes the first `count` of a span away and returns them.
template <typename T>
std::span<T> Take(std::span<T>& from, int64_t count) {
  const auto size = static_cast<size_t>(count);
  return std::exchange(from, from.subspan(size)).first(size);
}

// Wishes with the places of their answers.
struct Work {
  std::span<const ScoreRow> scores;
  std::span<const DrawRow> draws;
  std::span<ScoreResult> score_answers;
  std::span<DrawResult> draw_answers;
  std::span<const Adjustment> adjustments;  // of all draws
  std::span<const uint8_t> id_sets;
};

// The first kChunkWishes of both kinds together, in the order of rows.
Work TakeChunk(Work& all) {
  size_t scores = 0, draws = 0;
  while (scores + draws < kChunkWishes && scores + draws < all.scores.size() + all.draws.size()) {
    const bool score_is_next =
        draws == all.draws.size() ||
        (scores < all.scores.size() && all.scores[scores].row <= all.draws[draws].row);
    ++(score_is_next ? scores : draws);
  }
  Work chunk = all;
  chunk.scores = Take(all.scores, scores);
  chunk.draws = Take(all.draws, draws);
  chunk.score_answers = Take(all.score_answers, scores);
  chunk.draw_answers = Take(all.draw_answers, draws);
  return chunk;
}

// One pass over the head for a chunk of wishes. Every tile of the vocabulary is one task; what it
// finds goes to its own place, and places are joined in tile order.
class FinishPass {
 public:
  // `sampled`: logits for the draws that are not greedy, row after row. `top`: of all answers.
  FinishPass(const PackedLinear& head, ConstRows hidden, const Work& work, float* sampled,
             std::span<TopEntry> top, Workspace& workspace);

  int64_t tiles() const { return tiles_; }
  void ReduceTile(int64_t tile, Scratch& scratch);

  int64_t wishes() const { return static_cast<int64_t>(slots_.size()); }
  void AnswerWish(int64_t wish, Scratch& scratch) const;

 private:
  // A wish; those of scores stand before those of draws.
  struct Slot {
    int64_t row = 0;               // among the gathered ones
    int64_t first_top = 0;         // of its entries in a tile's list
    std::span<TopEntry> top = {};  // its answer
    float target_logit = 0;        // of a score
    float* logits = nullptr;       // [vocabulary], adjusted; of a draw that is not greedy
    int64_t set = -1;              // among the wishes for one
  };
  // The likeliest id of a tile, for a draw.
  struct TileBest {
    float adjusted = 0;
    float logit = 0;  // as the model gave it
    int32_t id = 0;
  };

  int64_t Gather(ConstRows hidden, std::span<float> gathered);
  void Pack(const float* gathered, Workspace& workspace);
  float LogitOf(size_t i, const float* gathered, Scratch& scratch) const;
  void ScoreTile(size_t i, int64_t tile, std::span<const float> logits);
  void DrawTile(size_t i, int64_t tile, std::span<float> logits);
  void OfferTop(const Slot& slot, int64_t tile, std::span<const float> logits);
  int64_t GroupRows(int64_t first) const { return std::min(kGroupRows, rows_ - first); }
  size_t At(int64_t tile, size_t i, size_t of) const { return static_cast<size_t>(tile) * of + i; }
  std::span<const Slot> draw_slots() const { return slots_.subspan(work_.scores.size()); }
  std::span<TopEntry> TopOf(int64_t tile, const Slot& slot) const {
    return top_.subspan(static_cast<size_t>(tile * top_entries_ + slot.first_top), slot.top.size());
  }
  std::span<const Adjustment> AdjustmentsOf(const DrawRow& draw) const {
    return work_.adjustments.subspan(static_cast<size_t>(draw.first_adjustment),
                                     static_cast<size_t>(draw.adjustments));
  }
  void AnswerScore(size_t i, float log_sum) const;
  void AnswerDraw(size_t i, float log_sum, Scratch& scratch) const;
  void AnswerTop(const Slot& slot, float log_sum) const;

  const PackedLinear& head_;
  const Work work_;
  const int64_t tiles_;
  int64_t rows_ = 0;               // distinct ones
  int64_t top_entries_ = 0;        // per tile
  int64_t sets_ = 0;               // wishes for one
  std::span<Slot> slots_;          // [wishes]
  const float* packed_ = nullptr;  // groups of kGroupRows, each packed as a batch of its own
  NarrowRows narrow_;              // instead, of a head that is not exact
  std::span<TileSum> sums_;        // [tiles, rows]
  std::span<TileSum> set_sums_;    // [tiles, sets]
  std::span<int32_t> ahead_;       // [tiles, scores]
  std::span<TileBest> best_;       // [tiles, draws]
  std::span<TopEntry> top_;        // [tiles, top_entries]
  std::span<float> unadjusted_;    // [adjustments], what they have changed
};

FinishPass::FinishPass(const PackedLinear& head, ConstRows hidden, const Work& work, float* sampled,
                       std::span<TopEntry> top, Workspace& workspace)
    : head_(head),
      work_(work),
      tiles_((head.out_features() + kVocabularyTile - 1) / kVocabularyTile) {
  Scratch& scratch = workspace.scratch;
  const auto scores = static_cast<int64_t>(work.scores.size());
  const auto draws = static_cast<int64_t>(work.draws.size());
  slots_ = Room<Slot>(scratch, ScratchUse::kTasks, scores + draws);
  const std::span<float> gathered =
      Room<float>(scratch, ScratchUse::kSums, (scores + draws) * head.in_features());
  rows_ = Gather(hidden, gathered);
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto place_top = [&](const auto& wish, const auto& answer) {
      slot.top = top.subspan(static_cast<size_t>(answer.first_top),
                             std::min<size_t>(static_cast<size_t>(wish.top_n),
                                              static_cast<size_t>(head.out_features())));
    };
    slot.first_top = top_entries_;
    if (i < work.scores.size()) {
      place_top(work.scores[i], work.score_answers[i]);
      if (work.scores[i].set != 0) slot.set = sets_++;
    } else {
      const size_t d = i - work.scores.size();
      place_top(work.draws[d], work.draw_answers[d]);
      if (!IsGreedy(work.draws[d])) {
        slot.logits = std::exchange(sampled, sampled + head.out_features());
      }
    }
    top_entries_ += static_cast<int64_t>(slot.top.size());
  }
  Pack(gathered.data(), workspace);
  workspace.pool.Run(scores, [&](int64_t i, Worker& worker) {
    slots_[static_cast<size_t>(i)].target_logit =
        LogitOf(static_cast<size_t>(i), gathered.data(), worker.scratch);
  });
  const std::span<TileSum> sums =
      Room<TileSum>(scratch, ScratchUse::kPartials, tiles_ * (rows_ + sets_));
  sums_ = sums.first(static_cast<size_t>(tiles_ * rows_));
  set_sums_ = sums.subspan(sums_.size());
  ahead_ = Room<int32_t>(scratch, ScratchUse::kRanks, tiles_ * scores);
  best_ = Room<TileBest>(scratch, ScratchUse::kBest, tiles_ * draws);
  top_ = Room<TopEntry>(scratch, ScratchUse::kTop, tiles_ * top_entries_);
  unadjusted_ =
      Room<float>(scratch, ScratchUse::kUnadjusted, static_cast<int64_t>(work.adjustments.size()));
}

// Copies each row that is asked for once, in the order of rows, and says which wishes are of it.
int64_t FinishPass::Gather(ConstRows hidden, std::span<float> gathered) {
  const int64_t width = head_.in_features();
  size_t score = 0, draw = 0;
  int64_t rows = 0;
  while (score < work_.scores.size() || draw < work_.draws.size()) {
    const int32_t row = draw == work_.draws.size() ? work_.scores[score].row
                        : score == work_.scores.size()
                            ? work_.draws[draw].row
                            : std::min(work_.scores[score].row, work_.draws[draw].row);
    std::copy_n(hidden.data + row * hidden.stride, width, gathered.begin() + rows * width);
    for (; score < work_.scores.size() && work_.scores[score].row == row; ++score) {
      slots_[score] = {.row = rows};
    }
    for (; draw < work_.draws.size() && work_.draws[draw].row == row; ++draw) {
      slots_[work_.scores.size() + draw] = {.row = rows};
    }
    ++rows;
  }
  return rows;
}

void FinishPass::Pack(const float* gathered, Workspace& workspace) {
  const int64_t width = head_.in_features();
  const PackedContraction& contraction = head_.contraction();
  if (!contraction.is_exact()) {
    // 8 bits would add more to the error of a logit than all layers before.
    const Arithmetic of_head = contraction.arithmetic == Arithmetic::kInteger8
                                   ? Arithmetic::kInteger16
                                   : contraction.arithmetic;
    narrow_ = PackNarrowRows(contraction, of_head, rows_, {gathered, width}, workspace);
    return;
  }
  auto* packed = workspace.scratch.Get<float>(ScratchUse::kRows, rows_ * width);
  for (int64_t first = 0; first < rows_; first += kGroupRows) {
    const ConstRows from = {gathered + first * width, width};
    for (int64_t b = 0, rows = GroupRows(first); b < RowTileCount(rows); ++b) {
      PackRowTile(contraction, {}, from, RowTileAt(rows, b), packed + first * width);
    }
  }
  packed_ = packed;
}

// A row of one is packed as it stands, so this is the chain that the tile computes.
float FinishPass::LogitOf(size_t i, const float* gathered, Scratch& scratch) const {
  float logits[kPanelOutputs] = {};
  const int64_t row = slots_[i].row, target = work_.scores[i].target;
  const int64_t panel = target / kPanelOutputs;
  ContractPanels({.contraction = &head_.contraction(),
                  .rows = {gathered + row * head_.in_features(), {}},
                  .narrow = narrow_.From(row),
                  .tokens = 1,
                  .y = {logits, kPanelOutputs},
                  .first_feature = panel * kPanelOutputs,
                  .bias = head_.panel_bias(),
                  .epilogue = {}},
                 {panel, panel + 1}, scratch);
  return logits[target % kPanelOutputs];
}

void FinishPass::ReduceTile(int64_t tile, Scratch& scratch) {
  const int64_t first_id = tile * kVocabularyTile;
  const int64_t ids = std::min(kVocabularyTile, head_.out_features() - first_id);
  const int64_t first_panel = first_id / kPanelOutputs;
  const std::span<float> logits =
      Room<float>(scratch, ScratchUse::kLogits, std::min(kGroupRows, rows_) * kVocabularyTile);
  size_t score = 0, draw = 0;
  for (int64_t first = 0; first < rows_; first += kGroupRows) {
    const int64_t rows = GroupRows(first);
    ContractPanels({.contraction = &head_.contraction(),
                    .rows = {packed_ + first * head_.in_features(), {}},
                    .narrow = narrow_.From(first),
                    .tokens = rows,
                    .y = {logits.data(), kVocabularyTile},
                    .first_feature = first_id,
                    .bias = head_.panel_bias(),
                    .epilogue = {}},
                   {first_panel, first_panel + (ids + kPanelOutputs - 1) / kPanelOutputs}, scratch);
    const auto logits_of = [&](int64_t row) {
      return logits.subspan(static_cast<size_t>((row - first) * kVocabularyTile),
                            static_cast<size_t>(ids));
    };
    for (int64_t row = first; row < first + rows; ++row) {
      sums_[static_cast<size_t>(tile * rows_ + row)] = SumTile(logits_of(row));
    }
    for (; score < work_.scores.size() && slots_[score].row < first + rows; ++score) {
      ScoreTile(score, tile, logits_of(slots_[score].row));
    }
    for (; draw < work_.draws.size() && draw_slots()[draw].row < first + rows; ++draw) {
      DrawTile(draw, tile, logits_of(draw_slots()[draw].row));
    }
  }
}

void FinishPass::ScoreTile(size_t i, int64_t tile, std::span<const float> logits) {
  const Slot& slot = slots_[i];
  ahead_[At(tile, i, work_.scores.size())] =
      CountAhead(logits, tile * kVocabularyTile, {slot.target_logit, work_.scores[i].target});
  if (slot.set >= 0) {
    set_sums_[static_cast<size_t>(tile * sets_ + slot.set)] = SumSetOfTile(
        logits, work_.id_sets.subspan(static_cast<size_t>(tile * kVocabularyTile), logits.size()),
        work_.scores[i].set);
  }
  OfferTop(slot, tile, logits);
}

// Adjusts logits in place and then puts them back: other wishes may be of the same row.
void FinishPass::DrawTile(size_t i, int64_t tile, std::span<float> logits) {
  const Slot& slot = draw_slots()[i];
  const int64_t first_id = tile * kVocabularyTile;
  OfferTop(slot, tile, logits);
  const DrawRow& draw = work_.draws[i];
  const std::span<const Adjustment> all = AdjustmentsOf(draw);
  const auto begin = std::ranges::lower_bound(all, first_id, {}, &Adjustment::id);
  const auto end = std::ranges::lower_bound(begin, all.end(), first_id + std::ssize(logits), {},
                                            &Adjustment::id);
  float* const kept = unadjusted_.data() + draw.first_adjustment + (begin - all.begin());
  for (auto by = begin; by != end; ++by) {
    float& logit = logits[static_cast<size_t>(by->id - first_id)];
    kept[by - begin] = logit;
    logit = Adjusted(logit, *by);
  }
  const Best best = BestOf(logits);
  if (slot.logits != nullptr) std::ranges::copy(logits, slot.logits + first_id);
  for (auto by = begin; by != end; ++by) {
    logits[static_cast<size_t>(by->id - first_id)] = kept[by - begin];
  }
  best_[At(tile, i, work_.draws.size())] = {best.logit, logits[static_cast<size_t>(best.index)],
                                            static_cast<int32_t>(first_id + best.index)};
}

void FinishPass::OfferTop(const Slot& slot, int64_t tile, std::span<const float> logits) {
  if (slot.top.empty()) return;
  const auto first_id = static_cast<int32_t>(tile * kVocabularyTile);
  TopList top(TopOf(tile, slot));
  for (size_t n = 0; n < logits.size(); ++n) {
    top.Offer({first_id + static_cast<int32_t>(n), logits[n]});
  }
}

void FinishPass::AnswerWish(int64_t wish, Scratch& scratch) const {
  const auto i = static_cast<size_t>(wish);
  const Slot& slot = slots_[i];
  const auto log_sum =
      static_cast<float>(JoinTiles(&sums_[static_cast<size_t>(slot.row)], tiles_, rows_));
  AnswerTop(slot, log_sum);
  if (i < work_.scores.size()) {
    AnswerScore(i, log_sum);
  } else {
    AnswerDraw(i - work_.scores.size(), log_sum, scratch);
  }
}

void FinishPass::AnswerTop(const Slot& slot, float log_sum) const {
  TopList top(slot.top);
  if (slot.top.empty()) return;
  for (int64_t tile = 0; tile < tiles_; ++tile) {
    for (const TopEntry& entry : TopOf(tile, slot)) {
      if (entry.id >= 0) top.Offer(entry);
    }
  }
  for (TopEntry& entry : slot.top) entry.logprob -= log_sum;
}

void FinishPass::AnswerScore(size_t i, float log_sum) const {
  int32_t rank = 1;
  for (int64_t tile = 0; tile < tiles_; ++tile) rank += ahead_[At(tile, i, work_.scores.size())];
  ScoreResult& answer = work_.score_answers[i];
  answer.logprob = slots_[i].target_logit - log_sum;
  answer.rank = rank;
  answer.set_logprob = 0;
  if (slots_[i].set >= 0) {
    answer.set_logprob =
        JoinTiles(&set_sums_[static_cast<size_t>(slots_[i].set)], tiles_, sets_) - double{log_sum};
  }
}

void FinishPass::AnswerDraw(size_t i, float log_sum, Scratch& scratch) const {
  TileBest best = best_[i];
  for (int64_t tile = 1; tile < tiles_; ++tile) {
    const TileBest& other = best_[At(tile, i, work_.draws.size())];
    if (other.adjusted > best.adjusted) best = other;
  }
  const Slot& slot = draw_slots()[i];
  DrawResult& answer = work_.draw_answers[i];
  if (slot.logits == nullptr) {
    answer.id = best.id;
    answer.logprob = best.logit - log_sum;
    return;
  }
  const DrawRow& draw = work_.draws[i];
  const int32_t id = DrawFrom({slot.logits, static_cast<size_t>(head_.out_features())},
                              best.adjusted, draw, scratch);
  const std::span<const Adjustment> all = AdjustmentsOf(draw);
  const auto by = std::ranges::lower_bound(all, id, {}, &Adjustment::id);
  const float logit =
      by != all.end() && by->id == id
          ? unadjusted_[static_cast<size_t>(draw.first_adjustment + (by - all.begin()))]
          : slot.logits[id];
  answer.id = id;
  answer.logprob = logit - log_sum;
}

}  // namespace

void Finish(const PackedLinear& head, ConstRows hidden, const StepInput& input,
            std::span<float> logits, const Answers& answers, Workspace& workspace) {
  const int64_t vocabulary = head.out_features();
  PlaceTops(input, vocabulary, answers.scores, answers.draws);
  Work rest = {input.scores,  input.draws,       answers.scores,
               answers.draws, input.adjustments, input.id_sets};
  float* sampled = logits.data();
  while (!rest.scores.empty() || !rest.draws.empty()) {
    const Work chunk = TakeChunk(rest);
    FinishPass pass(head, hidden, chunk, sampled, answers.top, workspace);
    workspace.pool.Run(pass.tiles(),
                       [&](int64_t tile, Worker& of) { pass.ReduceTile(tile, of.scratch); });
    workspace.pool.Run(pass.wishes(),
                       [&](int64_t wish, Worker& of) { pass.AnswerWish(wish, of.scratch); });
    sampled += SampledRows(chunk.draws) * vocabulary;
  }
}

}  // namespace dyad::kernels
