// kernels/reference/route.h.
#include "kernels/reference/route.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/exact_math.h"
#include "kernels/reference/lane_sum.h"

namespace dyad::kernels::reference {
namespace {

// No number is the least.
float Ordered(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

}  // namespace

Choice Choose(const Route& route, std::span<const float> logits) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return Ordered(logits[a]) > Ordered(logits[b]); });
  const auto keep = static_cast<size_t>(route.keep);
  const float largest = Ordered(logits[order[0]]), least = Ordered(logits[order[keep - 1]]);
  Choice choice = {std::vector<bool>(logits.size()), std::vector<float>(logits.size(), 0.0f)};
  for (size_t place = 0; place < order.size(); ++place) {
    const size_t item = order[place];
    const bool share = route.rule == Rule::kShare;
    if (share ? Ordered(logits[item]) < least : place >= keep) continue;
    choice.chosen[item] = true;
    choice.weight[item] = share ? logits[item] : exact::Exp(logits[item] - largest);
  }
  const float sum = LaneSum(choice.weight);
  if (route.rule == Rule::kShare) {
    choice.failed = sum == 0 || !std::isfinite(sum);
    if (choice.failed) return {std::vector<bool>(logits.size()), choice.weight, true};
  }
  const float divisor = route.rule == Rule::kShare ? sum / static_cast<float>(logits.size()) : sum;
  for (size_t item = 0; item < logits.size(); ++item) {
    if (!choice.chosen[item]) continue;
    choice.weight[item] /= divisor;
    if (route.rule == Rule::kSoftmaxPlus) choice.weight[item] += 1e-6f;
  }
  return choice;
}

}  // namespace dyad::kernels::reference
