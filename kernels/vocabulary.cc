// Scoring targets and log-sum-exp over the vocabulary, tile by tile.
#include "kernels/vocabulary.h"

#include <algorithm>

#include "kernels/cpu/packed_linear.h"
#include "kernels/cpu/vocabulary.h"

namespace dyad::kernels {
namespace {

constexpr int64_t kChunkTargets = 768;  // scored in one pass over the head
constexpr int64_t kGroupRows = 96;  // rows whose logits of one tile exist at once: 96 KiB a thread

template <typename T>
std::span<T> Room(Scratch& scratch, ScratchUse use, int64_t count) {
  return {scratch.Get<T>(use, count), static_cast<size_t>(count)};
}

// The order of TargetScore::top, and of ranks.
bool Ahead(const TopEntry& a, const TopEntry& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.id < b.id;
}

// Keeps the best of what it is shown, sorted, in memory of others. Entries hold logits.
class TopList {
 public:
  explicit TopList(std::span<TopEntry> best) : best_(best) {
    std::fill(best.begin(), best.end(), TopEntry{-1, -HUGE_VALF});
  }
  void Offer(TopEntry entry) {
    if (best_.empty() || !(entry.logprob >= best_.back().logprob)) return;
    if (best_.back().id >= 0 && !Ahead(entry, best_.back())) return;
    auto place = std::find_if(best_.begin(), best_.end(),
                              [&](const TopEntry& b) { return b.id < 0 || Ahead(entry, b); });
    std::move_backward(place, best_.end() - 1, best_.end());
    *place = entry;
  }

 private:
  std::span<TopEntry> best_;
};

// One pass over the head for at most kChunkTargets targets. Every tile of the vocabulary is one
// task; what it finds goes to its own place, and places are joined in tile order.
class ScorePass {
 public:
  ScorePass(const PackedLinear::Impl& head, ConstRows hidden, std::span<const TargetRow> targets,
            Workspace& workspace);

  void ReduceTile(int64_t tile, Scratch& scratch);
  void FinishTarget(int64_t i, TargetScore& score) const;
  int64_t tiles() const { return tiles_; }

 private:
  struct Slot {
    int64_t row = 0;        // among the gathered ones
    int64_t first_top = 0;  // of its entries in a tile's list
    float logit = 0;        // of the target
  };

  int64_t GroupRows(int64_t first) const { return std::min(kGroupRows, rows_ - first); }
  std::span<TopEntry> TopOf(int64_t tile, size_t i) const {
    return top_.subspan(static_cast<size_t>(tile * top_entries_ + slots_[i].first_top),
                        static_cast<size_t>(targets_[i].top_n));
  }
  float LogitOf(const TargetRow& target, const float* row, Scratch& scratch) const;

  const PackedLinear::Impl& head_;
  std::span<const TargetRow> targets_;
  const int64_t tiles_;
  int64_t rows_ = 0;               // distinct neighbours among the targets' rows
  int64_t top_entries_ = 0;        // per tile
  std::span<Slot> slots_;          // [targets]
  const float* packed_ = nullptr;  // groups of kGroupRows, each packed as a batch of its own
  std::span<TileSum> sums_;        // [tiles, rows]
  std::span<int32_t> ahead_;       // [tiles, targets]
  std::span<TopEntry> top_;        // [tiles, top_entries]
};

ScorePass::ScorePass(const PackedLinear::Impl& head, ConstRows hidden,
                     std::span<const TargetRow> targets, Workspace& workspace)
    : head_(head),
      targets_(targets),
      tiles_((head.out_features + kVocabularyTile - 1) / kVocabularyTile) {
  const auto count = static_cast<int64_t>(targets.size());
  const int64_t width = head.in_features;
  Scratch& scratch = workspace.scratch;
  slots_ = Room<Slot>(scratch, ScratchUse::kTasks, count);
  const std::span<float> gathered = Room<float>(scratch, ScratchUse::kSums, count * width);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (i == 0 || targets[i].row != targets[i - 1].row) {
      std::copy_n(hidden.data + targets[i].row * hidden.stride, width,
                  gathered.begin() + rows_ * width);
      ++rows_;
    }
    slots_[i] = {.row = rows_ - 1, .first_top = top_entries_};
    top_entries_ += targets[i].top_n;
  }
  const std::span<float> packed = Room<float>(scratch, ScratchUse::kRows, rows_ * width);
  packed_ = packed.data();
  for (int64_t first = 0; first < rows_; first += kGroupRows) {
    const int64_t rows = GroupRows(first);
    for (int64_t b = 0; b < RowBlockCount(rows); ++b) {
      PackRowBlock(head.contraction(), {}, {gathered.data() + first * width, width},
                   RowBlockAt(rows, b), packed.data() + first * width);
    }
  }
  workspace.pool.Run(count, [&](int64_t i, Worker& worker) {
    Slot& slot = slots_[static_cast<size_t>(i)];
    slot.logit = LogitOf(targets_[static_cast<size_t>(i)], gathered.data() + slot.row * width,
                         worker.scratch);
  });

  // One piece of scratch, widest elements first.
  const std::span<TopEntry> room = Room<TopEntry>(scratch, ScratchUse::kPartials,
                                                  tiles_ * (top_entries_ + rows_ + count / 2 + 1));
  top_ = room.first(static_cast<size_t>(tiles_ * top_entries_));
  static_assert(sizeof(TopEntry) == sizeof(TileSum));
  std::byte* rest = reinterpret_cast<std::byte*>(room.data() + tiles_ * top_entries_);
  sums_ = {reinterpret_cast<TileSum*>(rest), static_cast<size_t>(tiles_ * rows_)};
  rest += sums_.size_bytes();
  ahead_ = {reinterpret_cast<int32_t*>(rest), static_cast<size_t>(tiles_ * count)};
}

// A row of one is packed as it stands, so this is the chain that the tile computes.
float ScorePass::LogitOf(const TargetRow& target, const float* row, Scratch& scratch) const {
  float logits[kPanelOutputs] = {};
  const int64_t panel = target.target / kPanelOutputs;
  ContractPanels({.contraction = &head_.contraction(),
                  .rows = {row, {}},
                  .tokens = 1,
                  .y = {logits, kPanelOutputs},
                  .first_feature = panel * kPanelOutputs,
                  .outputs = head_.out_features,
                  .bias = head_.panel_bias(),
                  .epilogue = {}},
                 {panel, panel + 1}, scratch);
  return logits[target.target % kPanelOutputs];
}

void ScorePass::ReduceTile(int64_t tile, Scratch& scratch) {
  const int64_t first_id = tile * kVocabularyTile;
  const int64_t ids = std::min(kVocabularyTile, head_.out_features - first_id);
  const int64_t first_panel = first_id / kPanelOutputs;
  const std::span<float> logits =
      Room<float>(scratch, ScratchUse::kLogits, std::min(kGroupRows, rows_) * kVocabularyTile);
  size_t i = 0;
  for (int64_t first = 0; first < rows_; first += kGroupRows) {
    const int64_t rows = GroupRows(first);
    ContractPanels({.contraction = &head_.contraction(),
                    .rows = {packed_ + first * head_.in_features, {}},
                    .tokens = rows,
                    .y = {logits.data(), kVocabularyTile},
                    .first_feature = first_id,
                    .outputs = head_.out_features,
                    .bias = head_.panel_bias(),
                    .epilogue = {}},
                   {first_panel, first_panel + (ids + kPanelOutputs - 1) / kPanelOutputs}, scratch);
    const auto logits_of = [&](int64_t row) {
      return std::span<const float>(logits).subspan(
          static_cast<size_t>((row - first) * kVocabularyTile), static_cast<size_t>(ids));
    };
    for (int64_t row = first; row < first + rows; ++row) {
      sums_[static_cast<size_t>(tile * rows_ + row)] = SumTile(logits_of(row));
    }
    for (; i < targets_.size() && slots_[i].row < first + rows; ++i) {
      const std::span<const float> row = logits_of(slots_[i].row);
      ahead_[static_cast<size_t>(tile) * targets_.size() + i] =
          CountAhead(row, first_id, {slots_[i].logit, targets_[i].target});
      TopList top(TopOf(tile, i));
      if (targets_[i].top_n == 0) continue;
      for (int64_t n = 0; n < ids; ++n) {
        top.Offer({static_cast<int32_t>(first_id + n), row[static_cast<size_t>(n)]});
      }
    }
  }
}

void ScorePass::FinishTarget(int64_t i, TargetScore& score) const {
  const auto index = static_cast<size_t>(i);
  const Slot& slot = slots_[index];
  score.top.resize(
      static_cast<size_t>(std::min<int64_t>(targets_[index].top_n, head_.out_features)));
  TopList top(score.top);
  LogSum total;
  score.rank = 1;
  for (int64_t tile = 0; tile < tiles_; ++tile) {
    total.Add(sums_[static_cast<size_t>(tile * rows_ + slot.row)]);
    score.rank += ahead_[static_cast<size_t>(tile) * targets_.size() + index];
    for (const TopEntry& entry : TopOf(tile, index)) {
      if (entry.id >= 0) top.Offer(entry);
    }
  }
  const float log_sum = total.Get();
  score.logprob = slot.logit - log_sum;
  for (TopEntry& entry : score.top) entry.logprob -= log_sum;
}

}  // namespace

void ScoreTargets(const PackedLinear& head, ConstRows hidden, std::span<const TargetRow> targets,
                  std::span<TargetScore> scores, Workspace& workspace) {
  ThreadPool& pool = workspace.pool;
  for (size_t first = 0; first < targets.size(); first += kChunkTargets) {
    const size_t count = std::min<size_t>(kChunkTargets, targets.size() - first);
    ScorePass pass(head.impl(), hidden, targets.subspan(first, count), workspace);
    pool.Run(pass.tiles(),
             [&](int64_t tile, Worker& worker) { pass.ReduceTile(tile, worker.scratch); });
    pool.Run(static_cast<int64_t>(count),
             [&](int64_t i) { pass.FinishTarget(i, scores[first + static_cast<size_t>(i)]); });
  }
}

void LogSumExp(ConstRows logits, int64_t rows, int64_t vocabulary, std::span<float> result,
               ThreadPool& pool) {
  pool.Run(rows, [&](int64_t row) {
    const float* values = logits.data + row * logits.stride;
    LogSum total;
    for (int64_t first = 0; first < vocabulary; first += kVocabularyTile) {
      const int64_t ids = std::min(kVocabularyTile, vocabulary - first);
      total.Add(SumTile({values + first, static_cast<size_t>(ids)}));
    }
    result[static_cast<size_t>(row)] = total.Get();
  });
}

}  // namespace dyad::kernels
