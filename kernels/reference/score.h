// The definition of scoring a target: the scores of kernels/step.h from given logits, in double.
// Never tuned.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dyad::kernels::reference {

double LogSumExp(std::span<const double> logits);

// The same over the ids whose `id_sets` have a bit of `set`; −∞ if there are none.
double LogSumExpOfSet(std::span<const double> logits, std::span<const uint8_t> id_sets,
                      uint8_t set);

// 1 + number of ids with a larger logit, or an equal one and a lower id.
int64_t Rank(std::span<const double> logits, int64_t target);

// The ids of the n largest logits, descending; ties by lower id.
std::vector<int64_t> Top(std::span<const double> logits, int64_t n);

}  // namespace dyad::kernels::reference
