// A sorted list: draws take it as it stands.
#include "server/engine/adjustments.h"

#include <algorithm>

namespace dyad::engine {

Adjustments::Adjustments(const Sampling& sampling, std::span<const int32_t> prompt)
    : repetition_(sampling.repetition_penalty),
      presence_(sampling.presence_penalty),
      frequency_(sampling.frequency_penalty) {
  if (repetition_ != 1) {
    std::vector<int32_t> ids(prompt.begin(), prompt.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (const int32_t id : ids) list_.push_back({.id = id, .penalty = repetition_});
    counts_.resize(list_.size());
  }
  for (const auto& [id, bias] : sampling.logit_bias) list_[PlaceOf(id)].add += bias;
}

void Adjustments::Add(int32_t token) {
  if (repetition_ == 1 && presence_ == 0 && frequency_ == 0) return;
  const size_t place = PlaceOf(token);
  list_[place].penalty = repetition_;
  list_[place].subtract = presence_ + frequency_ * static_cast<float>(++counts_[place]);
}

// Of an id in the list, to which it is added if it is not there.
size_t Adjustments::PlaceOf(int32_t id) {
  const auto place = std::ranges::lower_bound(list_, id, {}, &Adjustment::id);
  const auto index = place - list_.begin();
  if (place == list_.end() || place->id != id) {
    list_.insert(place, {.id = id});
    counts_.insert(counts_.begin() + index, 0);
  }
  return static_cast<size_t>(index);
}

}  // namespace dyad::engine
