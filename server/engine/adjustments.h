// Penalties and bias of one sequence as changes to single logits, kept up as tokens come.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/engine/model.h"
#include "server/engine/request.h"

namespace dyad::engine {

// Repetition works once on each id of prompt and output; presence and frequency on each id of the
// output; bias on its own ids.
class Adjustments {
 public:
  // Cost: O(prompt log prompt) if repetition is penalised.
  Adjustments(const Sampling& sampling, std::span<const int32_t> prompt);

  // Notes a generated token. Cost: a binary search, and a move of what lies behind a new id.
  void Add(int32_t token);

  // Ascending by id. Bounded by the distinct ids of the sequence and its biases.
  std::span<const Adjustment> list() const { return list_; }

 private:
  size_t PlaceOf(int32_t id);

  float repetition_;
  float presence_;
  float frequency_;
  std::vector<Adjustment> list_;
  std::vector<int32_t> counts_;  // in the output, of each id in the list
};

}  // namespace dyad::engine
