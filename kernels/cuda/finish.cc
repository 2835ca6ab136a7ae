// kernels/cuda/finish.h.
#include "kernels/cuda/finish.h"

#include <algorithm>
#include <span>

#include "kernels/answers.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/weights.h"
#include "kernels/cuda/rows.h"
#include "kernels/draw.h"

namespace dyad::kernels::cuda {
namespace {

constexpr int64_t kRowsAtOnce = 256;  // whose logits exist at once

bool IsSampled(const StepInput& input, const Wish& wish, size_t draw) {
  return wish.target < 0 && !IsGreedy(input.draws[draw]);
}

// Draws from a row of logits, which it changes.
DrawResult DrawOnHost(const DrawRow& draw, std::span<const Adjustment> all, std::span<float> logits,
                      float log_sum, Scratch& scratch) {
  const auto adjustments = all.subspan(static_cast<size_t>(draw.first_adjustment),
                                       static_cast<size_t>(draw.adjustments));
  std::vector<float> unadjusted;
  for (const Adjustment& by : adjustments) {
    float& logit = logits[static_cast<size_t>(by.id)];
    unadjusted.push_back(logit);
    logit = Adjusted(logit, by);
  }
  DrawResult result;
  result.id = DrawFrom(logits, BestOf(logits).logit, draw, scratch);
  const auto by = std::ranges::lower_bound(adjustments, result.id, {}, &Adjustment::id);
  const bool is_adjusted = by != adjustments.end() && by->id == result.id;
  const float logit = is_adjusted ? unadjusted[static_cast<size_t>(by - adjustments.begin())]
                                  : logits[static_cast<size_t>(result.id)];
  result.logprob = logit - log_sum;
  return result;
}

}  // namespace

void Wishes::Take(const StepInput& input, int64_t ids) {
  rows.clear(), wishes.clear(), index.clear();
  scores.assign(input.scores.size(), {});
  draws.assign(input.draws.size(), {});
  top.assign(static_cast<size_t>(TopEntries(input, ids)), {});
  PlaceTops(input, ids, scores, draws);
  sampled = SampledRows(input.draws);
  has_sets = std::ranges::any_of(input.scores, [](const ScoreRow& row) { return row.set != 0; });
  const auto add = [&](int32_t row, Wish wish, size_t of) {
    if (rows.empty() || rows.back() != row) rows.push_back(row);
    wish.row = static_cast<int32_t>(rows.size()) - 1;
    wish.top_n = static_cast<int32_t>(std::min<int64_t>(wish.top_n, ids));
    wishes.push_back(wish);
    index.push_back(static_cast<int32_t>(of));
  };
  size_t score = 0, draw = 0;
  while (score < scores.size() || draw < draws.size()) {
    const bool score_is_next =
        draw == draws.size() ||
        (score < scores.size() && input.scores[score].row <= input.draws[draw].row);
    if (score_is_next) {
      const ScoreRow& wanted = input.scores[score];
      add(wanted.row,
          {.target = wanted.target,
           .top_n = wanted.top_n,
           .first_top = scores[score].first_top,
           .set = wanted.set},
          score);
      ++score;
    } else {
      const DrawRow& wanted = input.draws[draw];
      add(wanted.row,
          {.top_n = wanted.top_n,
           .first_top = draws[draw].first_top,
           .first_adjustment = wanted.first_adjustment,
           .adjustments = wanted.adjustments},
          draw);
      ++draw;
    }
  }
}

void Finisher::Queue(Runtime& runtime, const CudaLayer& head, DeviceRows hidden,
                     const StepInput& input, const Wishes& wishes, const WishPointers& on_device,
                     Room<float>& scratch) {
  ids_ = head.out_features();
  const int64_t width = head.in_features();
  const int64_t tiles = (ids_ + kVocabularyTile - 1) / kVocabularyTile;
  const auto count = std::ssize(wishes.wishes);
  const DeviceRows gathered = {hidden_.Get(runtime, kRowsAtOnce * width), width};
  const DeviceRows logits = {logits_.Get(runtime, kRowsAtOnce * ids_), ids_};
  TileSum* const sums = tiles_.Get(runtime, kRowsAtOnce * tiles);
  double* const log_sums = log_sums_.Get(runtime, kRowsAtOnce);
  const int64_t set_wishes = wishes.has_sets ? count : 0;
  TileSum* const set_sums = set_tiles_.Get(runtime, set_wishes * tiles);
  double* const set_log_sums = set_log_sums_.Get(runtime, set_wishes);
  Answer* const answers = answers_.Get(runtime, count);
  TopEntry* const top = top_.Get(runtime, std::ssize(wishes.top));
  sampled_logits_ = sampled_.Get(runtime, wishes.sampled * ids_);
  float* next_sampled = sampled_logits_;

  int64_t first_wish = 0;
  for (int64_t first = 0; first < std::ssize(wishes.rows); first += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, std::ssize(wishes.rows) - first);
    LaunchGather(runtime, {.rows = rows,
                           .columns = width,
                           .index = on_device.rows + first,
                           .x = hidden,
                           .y = gathered});
    head.Run(runtime, scratch, {.rows = rows, .x = gathered, .y = logits});
    LaunchLogSums(
        runtime,
        {.rows = rows, .ids = ids_, .logits = logits, .tiles = sums, .log_sums = log_sums});
    int64_t end = first_wish;
    for (; end < count && wishes.wishes[static_cast<size_t>(end)].row < first + rows; ++end) {
      const Wish& wish = wishes.wishes[static_cast<size_t>(end)];
      const auto of = static_cast<size_t>(wishes.index[static_cast<size_t>(end)]);
      if (!IsSampled(input, wish, of)) continue;
      runtime.CopyToHost(next_sampled, logits.data + (wish.row - first) * ids_,
                         ids_ * static_cast<int64_t>(sizeof(float)));
      next_sampled += ids_;
    }
    if (wishes.has_sets) {
      LaunchLogSums(runtime, {.rows = end - first_wish,
                              .ids = ids_,
                              .logits = logits,
                              .wishes = on_device.wishes + first_wish,
                              .first_row = static_cast<int32_t>(first),
                              .id_sets = on_device.id_sets,
                              .tiles = set_sums,
                              .log_sums = set_log_sums});
    }
    LaunchAnswers(runtime, {.wishes = end - first_wish,
                            .ids = ids_,
                            .first_row = static_cast<int32_t>(first),
                            .logits = logits,
                            .log_sums = log_sums,
                            .set_log_sums = set_log_sums,
                            .wish = on_device.wishes + first_wish,
                            .adjustments = on_device.adjustments,
                            .answers = answers + first_wish,
                            .top = top});
    first_wish = end;
  }
  Answer* const found = answers_on_host_.Get(runtime, count);
  TopEntry* const found_top = top_on_host_.Get(runtime, std::ssize(wishes.top));
  runtime.CopyToHost(found, answers, count * static_cast<int64_t>(sizeof(Answer)));
  runtime.CopyToHost(found_top, top,
                     std::ssize(wishes.top) * static_cast<int64_t>(sizeof(TopEntry)));
  found_ = found;
  found_top_ = found_top;
}

void Finisher::Collect(const StepInput& input, Wishes& wishes, Workspace& workspace) {
  std::copy_n(found_top_, wishes.top.size(), wishes.top.begin());
  float* next_sampled = sampled_logits_;
  for (size_t i = 0; i < wishes.wishes.size(); ++i) {
    const Wish& wish = wishes.wishes[i];
    const Answer& answer = found_[i];
    const auto of = static_cast<size_t>(wishes.index[i]);
    if (wish.target >= 0) {
      wishes.scores[of].logprob = answer.logprob;
      wishes.scores[of].rank = answer.value;
      wishes.scores[of].set_logprob = answer.set_logprob;
      continue;
    }
    DrawResult& draw = wishes.draws[of];
    if (!IsSampled(input, wish, of)) {
      draw.id = answer.value;
      draw.logprob = answer.logprob;
      continue;
    }
    const DrawResult drawn =
        DrawOnHost(input.draws[of], input.adjustments, {next_sampled, static_cast<size_t>(ids_)},
                   answer.log_sum, workspace.scratch);
    draw.id = drawn.id;
    draw.logprob = drawn.logprob;
    next_sampled += ids_;
  }
}

}  // namespace dyad::kernels::cuda
