// kernels/reference/score.h.
#include "kernels/reference/score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dyad::kernels::reference {
namespace {

bool Ahead(std::span<const double> logits, int64_t a, int64_t b) {
  const double left = logits[static_cast<size_t>(a)], right = logits[static_cast<size_t>(b)];
  return left != right ? left > right : a < b;
}

}  // namespace

double LogSumExp(std::span<const double> logits) {
  const double maximum = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - maximum);
  return maximum + std::log(sum);
}

double LogSumExpOfSet(std::span<const double> logits, std::span<const uint8_t> id_sets,
                      uint8_t set) {
  std::vector<double> of_set;
  for (size_t id = 0; id < logits.size(); ++id) {
    if ((id_sets[id] & set) != 0) of_set.push_back(logits[id]);
  }
  return of_set.empty() ? -HUGE_VAL : LogSumExp(of_set);
}

int64_t Rank(std::span<const double> logits, int64_t target) {
  int64_t rank = 1;
  for (int64_t id = 0; id < static_cast<int64_t>(logits.size()); ++id) {
    if (Ahead(logits, id, target)) ++rank;
  }
  return rank;
}

std::vector<int64_t> Top(std::span<const double> logits, int64_t n) {
  std::vector<int64_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), int64_t{0});
  std::sort(ids.begin(), ids.end(), [&](int64_t a, int64_t b) { return Ahead(logits, a, b); });
  ids.resize(std::min(ids.size(), static_cast<size_t>(n)));
  return ids;
}

}  // namespace dyad::kernels::reference
