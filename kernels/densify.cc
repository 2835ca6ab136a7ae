// kernels/densify.h.
#include "kernels/densify.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace dyad::kernels {
namespace {

// Features of x that are multiplied out at once: memory is theirs times the features of buffers.
constexpr int64_t kColumns = 256;

// A buffer as a function of some features of x: for each of its features their weights, and behind
// them a constant.
class Functions {
 public:
  Functions(int64_t features, int64_t inputs)
      : features_(features),
        columns_(inputs + 1),
        values_(static_cast<size_t>(features * columns_)) {}

  int64_t features() const { return features_; }
  double* row(int64_t feature) { return values_.data() + feature * columns_; }
  void AddConstant(int64_t feature, double value) { row(feature)[columns_ - 1] += value; }
  void Add(int64_t feature, double weight, const double* other) {
    double* const to = row(feature);
    for (int64_t i = 0; i < columns_; ++i) to[i] += weight * other[i];
  }

 private:
  int64_t features_;
  int64_t columns_;
  std::vector<double> values_;
};

class Multiplier {
 public:
  // Of inputs [first, first + count).
  Multiplier(const Plan& plan, int64_t first, int64_t count) : first_(first), count_(count) {
    for (size_t i = 1; i < plan.widths.size(); ++i) buffers_.emplace_back(plan.widths[i], count);
    for (const Step& step : plan.steps) {
      std::visit([&](const auto& any) { Run(any); }, step);
    }
  }

  Functions& Of(int buffer) { return buffers_[static_cast<size_t>(buffer) - 1]; }

 private:
  void Run(const Contract& step) {
    for (int64_t b = 0; b < step.blocks; ++b) {
      for (int64_t u = 0; u < step.groups; ++u) {
        for (int64_t n = 0; n < step.outputs; ++n) {
          const int64_t feature = step.view.At(b, u, n);
          if (feature >= Of(step.destination).features()) continue;
          for (const auto& [source, w] : step.terms) {
            for (int64_t k = 0; k < step.depth; ++k) {
              Add(step.source, source.At(b, u, k), step.destination, feature,
                  ValueAt(w, w.At(b, n, k)));
            }
          }
          if (step.bias.empty()) continue;
          Of(step.destination)
              .AddConstant(feature, step.bias[static_cast<size_t>(b * step.outputs + n)]);
        }
      }
    }
  }

  void Run(const Mix& step) {
    const Weights& w = step.weights;
    for (int64_t i = 0; i < step.to; ++i) {
      for (int64_t j = 0; j < step.from; ++j) {
        for (int64_t k = 0; k < step.width; ++k) {
          Add(step.source, j * step.width + k, step.destination, i * step.width + k,
              ValueAt(w, w.At(k, i, j)));
        }
      }
    }
  }

  void Run(const BlockList& step) {
    for (const Place& place : step.places) {
      for (int64_t n = 0; n < place.outputs; ++n) {
        int64_t at = place.weight + n * step.weights.output;
        for (int64_t i = 0; i < place.ranges; ++i) {
          const Range& range = step.ranges[static_cast<size_t>(place.first_range + i)];
          for (int64_t k = 0; k < range.count; ++k, at += step.weights.depth) {
            Add(step.source, range.first + k, step.destination, place.first + n,
                ValueAt(step.weights, at));
          }
        }
      }
    }
  }

  void Run(const Route&) {}  // REQUIRES: there is none

  void Add(int source, int64_t from, int destination, int64_t feature, double weight) {
    if (source == 0) {
      if (from < first_ || from >= first_ + count_) return;
      Of(destination).row(feature)[from - first_] += weight;
    } else if (from < Of(source).features() && weight != 0) {
      Of(destination).Add(feature, weight, Of(source).row(from));
    }
  }

  int64_t first_, count_;
  std::vector<Functions> buffers_;  // all but x
};

// --- Which form ---

// Multiply-adds as they take time: each value that is packed costs as much as `packing` of them, an
// output as much as 6, and outputs fill panels of 32.
struct Product {
  double rows, depth, outputs;  // rows: blocks times groups
  double packing;
};
double Effective(const Product& product) {
  const double panels = std::max(1.0, (product.outputs + 31) / 32);
  const double padded = 32 * static_cast<double>(static_cast<int64_t>(panels));
  return product.rows * product.depth * padded *
         (1 + product.packing / product.outputs + 6 / product.depth);
}

constexpr double kPacking = 10, kPackingOfMix = 3;

double EffectiveCost(const Plan& plan) {
  double cost = 0;
  bool mixed = false;  // the step before was a mix
  for (const Step& step : plan.steps) {
    const bool after_mix = std::exchange(mixed, false);
    if (const auto* const mix = std::get_if<Mix>(&step)) {
      cost += static_cast<double>(mix->from * mix->to * mix->width);
      mixed = true;
    } else if (const auto* const list = std::get_if<BlockList>(&step)) {
      for (const Place& place : list->places) {
        cost += Effective({1, static_cast<double>(DepthOf(*list, place)),
                           static_cast<double>(kPlaceOutputs), kPacking});
      }
    } else if (const auto* const contract = std::get_if<Contract>(&step)) {
      cost += Effective(
          {static_cast<double>(contract->blocks * contract->groups),
           static_cast<double>(contract->depth) * static_cast<double>(contract->terms.size()),
           static_cast<double>(contract->outputs), after_mix ? kPackingOfMix : kPacking});
    }
  }
  return cost;
}

}  // namespace

Plan Densify(const Plan& plan) {
  const int64_t in = plan.in_features(), out = plan.out_features();
  auto matrix = std::make_shared<std::vector<float>>(static_cast<size_t>(in * out));
  std::vector<float> bias;
  bool any_constant = !plan.bias.empty();
  for (int64_t first = 0; first < in; first += kColumns) {
    const int64_t count = std::min(kColumns, in - first);
    Multiplier multiplier(plan, first, count);
    for (int64_t o = 0; o < out; ++o) {
      const double* const row = multiplier.Of(1).row(o);
      float* const to = matrix->data() + o * in + first;
      for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(row[i]);
      if (first > 0) continue;  // constants are the same for all
      any_constant = any_constant || row[count] != 0;
      const double added = plan.bias.empty() ? 0.0 : plan.bias[static_cast<size_t>(o)];
      bias.push_back(static_cast<float>(row[count] + added));
    }
  }
  if (!any_constant) bias.clear();
  Plan dense = DensePlan(in, out, {matrix->data(), Element::kFloat32}, std::move(bias));
  dense.folds.push_back(std::move(matrix));
  dense.structure = plan.structure;
  dense.type = plan.type;
  return dense;
}

Form ChooseForm(const Plan& plan, LayerForm wanted) {
  if (IsRouted(plan)) return {false, "its rows choose what they run"};
  const auto* const whole = std::get_if<Contract>(&plan.steps.front());
  const bool is_dense = plan.steps.size() == 1 && whole != nullptr && whole->blocks == 1 &&
                        whole->groups == 1 && whole->terms.size() == 1;
  if (is_dense) return {false, "it is dense"};
  if (wanted != LayerForm::kAuto) return {wanted == LayerForm::kDense, "as asked for"};
  const auto in = static_cast<double>(plan.in_features());
  const auto out = static_cast<double>(plan.out_features());
  if (static_cast<double>(Cost(plan).parameters) < 0.95 * in * out) {
    return {false, "fewer parameters"};
  }
  if (EffectiveCost(plan) < Effective({1, in, out, kPacking})) return {false, "less to compute"};
  return {true, "the plan saves nothing"};
}

}  // namespace dyad::kernels
