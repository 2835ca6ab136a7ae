// What a plan may be, and what it costs.
#include "kernels/plan.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace dyad::kernels {
namespace {

// Far beyond any layer; small enough that Check can look at every place of an output.
constexpr int64_t kMostFeatures = int64_t{1} << 28;
constexpr int64_t kMostScratch = int64_t{1} << 18;  // floats a row: 1 MiB
constexpr size_t kMostBuffers = 1024;

// How often a stride is taken: the last index is Σ (count − 1) · stride.
struct Steps {
  int64_t count;
  int64_t stride;
};

// Nothing where a stride is negative or the sum does not fit.
std::optional<int64_t> LastIndex(int64_t offset, std::initializer_list<Steps> axes) {
  int64_t last = offset;
  if (offset < 0) return std::nullopt;
  for (const auto& [count, stride] : axes) {
    int64_t far = 0;
    if (stride < 0 || __builtin_mul_overflow(count - 1, stride, &far) ||
        __builtin_add_overflow(last, far, &last)) {
      return std::nullopt;
    }
  }
  return last;
}

Fault OutOf(const std::string& what, int64_t found, int64_t least, int64_t most) {
  return what + " is " + std::to_string(found) + "; expected [" + std::to_string(least) + ", " +
         std::to_string(most) + "]";
}

// Follows the steps of a plan and what has been written so far.
class Checker {
 public:
  explicit Checker(const Plan& plan) : plan_(plan), written_(plan.widths.size(), false) {}

  Fault Run() {
    Fault fault = CheckWidths();
    if (!fault.empty()) return fault;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      fault = std::visit([&](const auto& step) { return CheckStep(step); }, plan_.steps[i]);
      if (!fault.empty()) return "step " + std::to_string(i) + " of the plan: " + fault;
    }
    if (!written_[1]) return "no step of the plan writes buffer 1, which is y";
    const auto biases = static_cast<int64_t>(plan_.bias.size());
    if (biases != 0 && biases != plan_.out_features()) {
      return OutOf("the plan's bias: size", biases, plan_.out_features(), plan_.out_features());
    }
    return {};
  }

 private:
  Fault CheckWidths() const {
    if (plan_.widths.size() < 2 || plan_.widths.size() > kMostBuffers) {
      return OutOf("the plan's number of buffers", std::ssize(plan_.widths), 2, kMostBuffers);
    }
    int64_t scratch = 0;
    for (size_t i = 0; i < plan_.widths.size(); ++i) {
      if (plan_.widths[i] < 1 || plan_.widths[i] > kMostFeatures) {
        return OutOf("buffer " + std::to_string(i) + " of the plan: width", plan_.widths[i], 1,
                     kMostFeatures);
      }
      if (i >= 2) scratch += plan_.widths[i];
    }
    if (scratch > kMostScratch) return OutOf("the plan's scratch", scratch, 0, kMostScratch);
    return {};
  }

  Fault CheckStep(const Contract& step) {
    for (const auto& [what, size] : {std::pair{"blocks", step.blocks},
                                     {"groups", step.groups},
                                     {"depth", step.depth},
                                     {"outputs", step.outputs}}) {
      if (size < 1 || size > kMostFeatures) return OutOf(what, size, 1, kMostFeatures);
    }
    Fault fault = CheckBuffers(step);
    if (fault.empty()) fault = CheckTerms(step);
    if (fault.empty()) fault = CheckPlaces(step);
    if (!fault.empty()) return fault;
    const auto biases = static_cast<int64_t>(step.bias.size());
    if (biases != 0 && biases != step.blocks * step.outputs) {
      return OutOf("bias: size", biases, step.blocks * step.outputs, step.blocks * step.outputs);
    }
    written_[static_cast<size_t>(step.destination)] = true;
    return {};
  }

  // y is written only: a device may hold a residual there until the end.
  Fault CheckBuffers(const Contract& step) const {
    const int64_t last = std::ssize(plan_.widths) - 1;
    if (step.destination < 1 || step.destination > last) {
      return OutOf("destination", step.destination, 1, last);
    }
    if (step.source < 0 || step.source > last) return OutOf("source", step.source, 0, last);
    if (step.source == 1) return "source is 1, which is y; expected x or scratch";
    if (step.source == step.destination) {
      return "source is the destination, " + std::to_string(step.source) + "; expected another";
    }
    if (step.source != 0 && !written_[static_cast<size_t>(step.source)]) {
      return "source is buffer " + std::to_string(step.source) +
             "; expected one that an earlier step wrote";
    }
    return {};
  }

  static Fault CheckTerms(const Contract& step) {
    if (step.terms.empty()) return "has no term; expected at least one";
    for (const auto& [source, weights] : step.terms) {
      const auto feature = LastIndex(
          source.offset,
          {{step.blocks, source.block}, {step.groups, source.group}, {step.depth, source.stride}});
      if (!feature.has_value()) return "a source view has a negative or too large index";
      const auto weight = LastIndex(0, {{step.blocks, weights.block},
                                        {step.outputs, weights.output},
                                        {step.depth, weights.depth}});
      if (!weight.has_value() || *weight >= weights.elements) {
        return "weights have " + std::to_string(weights.elements) +
               " elements; expected more than the largest index, " +
               (weight.has_value() ? std::to_string(*weight) : "which is negative or too large");
      }
      if (weights.element == Element::kInt8) {
        return "weights are int8; expected float32, bfloat16 or float16";
      }
    }
    return {};
  }

  // Every output of the step by its feature.
  Fault CheckPlaces(const Contract& step) const {
    const View& view = step.view;
    if (!LastIndex(
             view.offset,
             {{step.blocks, view.block}, {step.groups, view.group}, {step.outputs, view.stride}})
             .has_value()) {
      return "the destination view has a negative or too large index";
    }
    if (step.blocks * step.groups > kMostFeatures / step.outputs) {
      return "has more than " + std::to_string(kMostFeatures) + " outputs";
    }
    const int64_t width = plan_.widths[static_cast<size_t>(step.destination)];
    std::vector<bool> taken(static_cast<size_t>(width), false);
    for (int64_t b = 0; b < step.blocks; ++b) {
      for (int64_t u = 0; u < step.groups; ++u) {
        for (int64_t n = 0; n < step.outputs; ++n) {
          const int64_t feature = view.At(b, u, n);
          if (feature >= width) continue;
          if (taken[static_cast<size_t>(feature)]) {
            return "writes feature " + std::to_string(feature) +
                   " of its destination twice; expected once";
          }
          taken[static_cast<size_t>(feature)] = true;
        }
      }
    }
    return {};
  }

  const Plan& plan_;
  std::vector<bool> written_;  // by buffer
};

// Weights that lie at a stride of 0 are one.
int64_t WeightsOf(const Contract& step, const Weights& weights) {
  return (weights.block != 0 ? step.blocks : 1) * (weights.output != 0 ? step.outputs : 1) *
         (weights.depth != 0 ? step.depth : 1);
}

}  // namespace

Fault Check(const Plan& plan) { return Checker(plan).Run(); }

std::vector<bool> WrittenFeatures(const Contract& step, int64_t width) {
  std::vector<bool> written(static_cast<size_t>(width), false);
  for (int64_t b = 0; b < step.blocks; ++b) {
    for (int64_t u = 0; u < step.groups; ++u) {
      for (int64_t n = 0; n < step.outputs; ++n) {
        const int64_t feature = step.view.At(b, u, n);
        if (feature < width) written[static_cast<size_t>(feature)] = true;
      }
    }
  }
  return written;
}

PlanCost Cost(const Plan& plan) {
  PlanCost cost;
  for (const Step& step : plan.steps) {
    const auto& contract = std::get<Contract>(step);
    for (const Term& term : contract.terms) {
      cost.parameters += WeightsOf(contract, term.weights);
      cost.multiply_adds += contract.blocks * contract.groups * contract.outputs * contract.depth;
    }
  }
  for (size_t i = 2; i < plan.widths.size(); ++i) cost.scratch_floats += plan.widths[i];
  return cost;
}

Plan DensePlan(int64_t in, int64_t out, const DenseWeights& weights, std::vector<float> bias) {
  Plan plan;
  plan.structure = "dense";
  plan.widths = {in, out};
  Contract whole;
  whole.depth = in;
  whole.outputs = out;
  whole.terms = {
      {.source = {},
       .weights = {
           .data = weights.data, .elements = in * out, .element = weights.element, .output = in}}};
  plan.steps = {std::move(whole)};
  plan.bias = std::move(bias);
  plan.type = weights.element;
  return plan;
}

}  // namespace dyad::kernels
