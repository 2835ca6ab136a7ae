// The sums that a step of a plan is made of, one for each output, index by index.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/plan.h"

namespace dyad::kernels::reference {

// The value of element `index` of weights that are not int8.
double WeightAt(const void* data, Element element, int64_t index);

// dst[t, feature] += Σ_i src[t, from[i]] · weights[i] + bias, for one output of a step.
struct Sum {
  int64_t feature = 0;
  std::vector<int64_t> from;    // at or past the width: +0
  std::vector<double> weights;  // as stored
  std::optional<float> bias;
  int64_t item = 0;  // of a routed step
  size_t terms = 1;  // one after the other, of equal depth
};

// visit(sum) for each output of the step.
template <typename Visit>
void ForEachSum(const Contract& step, Visit visit) {
  for (int64_t b = 0; b < step.blocks; ++b) {
    for (int64_t n = 0; n < step.outputs; ++n) {
      for (int64_t u = 0; u < step.groups; ++u) {
        Sum sum = {.feature = step.view.At(b, u, n), .from = {}, .weights = {}, .bias = {}};
        for (const auto& [source, w] : step.terms) {
          for (int64_t k = 0; k < step.depth; ++k) {
            const int64_t at = b * w.block + n * w.output + k * w.depth;
            sum.from.push_back(source.At(b, u, k));
            sum.weights.push_back(WeightAt(w.data, w.element, at));
          }
        }
        if (!step.bias.empty()) sum.bias = step.bias[static_cast<size_t>(b * step.outputs + n)];
        sum.item = step.routed.item + b * step.routed.item_block;
        sum.terms = step.terms.size();
        visit(sum);
      }
    }
  }
}

template <typename Visit>
void ForEachSum(const Mix& step, Visit visit) {
  const Weights& w = step.weights;
  for (int64_t i = 0; i < step.to; ++i) {
    for (int64_t k = 0; k < step.width; ++k) {
      Sum sum = {.feature = i * step.width + k, .from = {}, .weights = {}, .bias = {}};
      for (int64_t j = 0; j < step.from; ++j) {
        sum.from.push_back(j * step.width + k);
        sum.weights.push_back(
            WeightAt(w.data, w.element, k * w.block + i * w.output + j * w.depth));
      }
      visit(sum);
    }
  }
}

template <typename Visit>
void ForEachSum(const BlockList& step, Visit visit) {
  const Weights& w = step.weights;
  for (const Place& place : step.places) {
    for (int64_t n = 0; n < place.outputs; ++n) {
      Sum sum = {.feature = place.first + n, .from = {}, .weights = {}, .bias = {}};
      for (int64_t i = 0; i < place.ranges; ++i) {
        const Range& range = step.ranges[static_cast<size_t>(place.first_range + i)];
        for (int64_t at = range.first; at < range.first + range.count; ++at) {
          const auto k = std::ssize(sum.from);
          sum.from.push_back(at);
          sum.weights.push_back(
              WeightAt(w.data, w.element, place.weight + n * w.output + k * w.depth));
        }
      }
      visit(sum);
    }
  }
}

}  // namespace dyad::kernels::reference
