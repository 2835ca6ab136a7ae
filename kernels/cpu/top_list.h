// The best of many ids, kept sorted in memory of others.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/step.h"

namespace dyad::kernels {

// Entries hold logits: descending, of equal ones the lower id first, which is the order of ranks.
// Places that are not taken have id -1.
class TopList {
 public:
  explicit TopList(std::span<TopEntry> best) : best_(best) {
    std::fill(best.begin(), best.end(), TopEntry{-1, -HUGE_VALF});
  }

  // NaN is never taken. Cost: a comparison if the list is full and its last is better.
  void Offer(TopEntry entry) {
    if (best_.empty() || !(entry.logprob >= best_.back().logprob)) return;
    if (best_.back().id >= 0 && !Ahead(entry, best_.back())) return;
    auto place = std::find_if(best_.begin(), best_.end(),
                              [&](const TopEntry& b) { return b.id < 0 || Ahead(entry, b); });
    std::move_backward(place, best_.end() - 1, best_.end());
    *place = entry;
  }

 private:
  static bool Ahead(const TopEntry& a, const TopEntry& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.id < b.id;
  }

  std::span<TopEntry> best_;
};

}  // namespace dyad::kernels
