// What a plan may be, and what it costs.
#include "kernels/plan.h"

#include <algorithm>
#include <optional>
#include <tuple>
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
    for (now_ = 0; now_ < plan_.steps.size(); ++now_) {
      fault = std::visit([&](const auto& step) { return CheckStep(step); }, plan_.steps[now_]);
      if (!fault.empty()) return "step " + std::to_string(now_) + " of the plan: " + fault;
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
    Fault fault = CheckBuffers(step.source, step.destination);
    if (fault.empty()) fault = CheckTerms(step);
    if (fault.empty()) fault = CheckPlaces(step);
    if (fault.empty()) fault = CheckRouted(step);
    if (!fault.empty()) return fault;
    const auto biases = static_cast<int64_t>(step.bias.size());
    if (biases != 0 && biases != step.blocks * step.outputs) {
      return OutOf("bias: size", biases, step.blocks * step.outputs, step.blocks * step.outputs);
    }
    written_[static_cast<size_t>(step.destination)] = true;
    return {};
  }

  Fault CheckStep(const Mix& step) {
    for (const auto& [what, size] :
         {std::pair{"from", step.from}, {"to", step.to}, {"width", step.width}}) {
      if (size < 1 || size > kMostFeatures) return OutOf(what, size, 1, kMostFeatures);
    }
    Fault fault = CheckBuffers(step.source, step.destination);
    if (!fault.empty()) return fault;
    for (const auto& [what, count, buffer] : {std::tuple{"source", step.from, step.source},
                                              {"destination", step.to, step.destination}}) {
      if (count * step.width <= WidthOf(buffer)) continue;
      return std::string(what) + " is buffer " + std::to_string(buffer) + " of width " +
             std::to_string(WidthOf(buffer)) + "; expected at least " +
             std::to_string(count * step.width);
    }
    if (step.weights.element != Element::kFloat32) return "weights are not float32";
    fault = CheckWeights(step.weights, 0, step.width, step.to, step.from);
    written_[static_cast<size_t>(step.destination)] = true;
    return fault;
  }

  Fault CheckStep(const BlockList& step) {
    Fault fault = CheckBuffers(step.source, step.destination);
    if (!fault.empty()) return fault;
    for (const Range& range : step.ranges) {
      const int64_t width = WidthOf(step.source);
      if (range.first >= 0 && range.count >= 1 && range.count <= width - range.first) continue;
      return "a range is [" + std::to_string(range.first) + ", + " + std::to_string(range.count) +
             "); expected a part of [0, " + std::to_string(width) + ")";
    }
    const int64_t width = WidthOf(step.destination);
    std::vector<bool> taken(static_cast<size_t>(width), false);
    for (const Place& place : step.places) {
      if (place.outputs < 1 || place.outputs > kPlaceOutputs) {
        return OutOf("a place's outputs", place.outputs, 1, kPlaceOutputs);
      }
      if (place.first < 0 || place.first > width - place.outputs) {
        return OutOf("a place's first output", place.first, 0, width - place.outputs);
      }
      for (int64_t n = place.first; n < place.first + place.outputs; ++n) {
        if (taken[static_cast<size_t>(n)]) return WrittenTwice(n);
        taken[static_cast<size_t>(n)] = true;
      }
      fault = CheckRanges(step, place);
      if (!fault.empty()) return fault;
    }
    written_[static_cast<size_t>(step.destination)] = true;
    return {};
  }

  static Fault CheckRanges(const BlockList& step, const Place& place) {
    if (place.ranges < 1 || place.first_range < 0 ||
        place.first_range > std::ssize(step.ranges) - place.ranges) {
      return "a place's ranges are [" + std::to_string(place.first_range) + ", + " +
             std::to_string(place.ranges) + "); expected a part of [0, " +
             std::to_string(step.ranges.size()) + ")";
    }
    const int64_t depth = DepthOf(step, place);
    if (depth > kMostFeatures) return OutOf("a place's depth", depth, 1, kMostFeatures);
    return depth == 0 ? Fault() : CheckWeights(step.weights, place.weight, 1, place.outputs, depth);
  }

  Fault CheckStep(const Route& step) const {
    if (step.logits < 2 || step.logits >= std::ssize(plan_.widths)) {
      return OutOf("logits", step.logits, 2, std::ssize(plan_.widths) - 1);
    }
    if (!written_[static_cast<size_t>(step.logits)]) {
      return "logits are buffer " + std::to_string(step.logits) +
             "; expected one that an earlier step wrote";
    }
    if (step.keep < 1 || step.keep > WidthOf(step.logits)) {
      return OutOf("keep", step.keep, 1, WidthOf(step.logits));
    }
    return {};
  }

  // Its Route stands before it, and its items are those of the Route.
  Fault CheckRouted(const Contract& step) const {
    const Routed& routed = step.routed;
    if (routed.route < 0) return {};
    const auto index = static_cast<size_t>(routed.route);
    const Route* const route = index < now_ ? std::get_if<Route>(&plan_.steps[index]) : nullptr;
    if (route == nullptr) {
      return "route is step " + std::to_string(routed.route) + "; expected an earlier Route";
    }
    const auto last = LastIndex(routed.item, {{step.blocks, routed.item_block}});
    const int64_t items = WidthOf(route->logits);
    if (last.has_value() && *last < items) return {};
    return "items begin at " + std::to_string(routed.item) + "; expected all in [0, " +
           std::to_string(items) + ")";
  }

  int64_t WidthOf(int buffer) const { return plan_.widths[static_cast<size_t>(buffer)]; }

  // y is written only: a device may hold a residual there until the end.
  Fault CheckBuffers(int source, int destination) const {
    const int64_t last = std::ssize(plan_.widths) - 1;
    if (destination < 1 || destination > last) return OutOf("destination", destination, 1, last);
    if (source < 0 || source > last) return OutOf("source", source, 0, last);
    if (source == 1) return "source is 1, which is y; expected x or scratch";
    if (source == destination) {
      return "source is the destination, " + std::to_string(source) + "; expected another";
    }
    if (source != 0 && !written_[static_cast<size_t>(source)]) {
      return "source is buffer " + std::to_string(source) +
             "; expected one that an earlier step wrote";
    }
    return {};
  }

  // Weights of `blocks` times `outputs` times `depth`, from element `first` on.
  static Fault CheckWeights(const Weights& weights, int64_t first, int64_t blocks, int64_t outputs,
                            int64_t depth) {
    const auto last = LastIndex(
        first, {{blocks, weights.block}, {outputs, weights.output}, {depth, weights.depth}});
    if (!last.has_value() || *last >= weights.elements) {
      return "weights have " + std::to_string(weights.elements) +
             " elements; expected more than the largest index, " +
             (last.has_value() ? std::to_string(*last) : "which is negative or too large");
    }
    if (weights.element == Element::kInt8) {
      return "weights are int8; expected float32, bfloat16 or float16";
    }
    return {};
  }

  static Fault WrittenTwice(int64_t feature) {
    return "writes feature " + std::to_string(feature) + " of its destination twice; expected once";
  }

  static Fault CheckTerms(const Contract& step) {
    if (step.terms.empty()) return "has no term; expected at least one";
    for (const auto& [source, weights] : step.terms) {
      const auto feature = LastIndex(
          source.offset,
          {{step.blocks, source.block}, {step.groups, source.group}, {step.depth, source.stride}});
      if (!feature.has_value()) return "a source view has a negative or too large index";
      Fault fault = CheckWeights(weights, 0, step.blocks, step.outputs, step.depth);
      if (!fault.empty()) return fault;
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
          if (taken[static_cast<size_t>(feature)]) return WrittenTwice(feature);
          taken[static_cast<size_t>(feature)] = true;
        }
      }
    }
    return {};
  }

  const Plan& plan_;
  std::vector<bool> written_;  // by buffer
  size_t now_ = 0;             // the step that is looked at
};

// Weights that lie at a stride of 0 are one.
int64_t ParametersOf(const Contract& step, const Weights& weights) {
  return (weights.block != 0 ? step.blocks : 1) * (weights.output != 0 ? step.outputs : 1) *
         (weights.depth != 0 ? step.depth : 1);
}

}  // namespace

Fault Check(const Plan& plan) { return Checker(plan).Run(); }

std::vector<bool> WrittenFeatures(const Step& step, int64_t width) {
  std::vector<bool> written(static_cast<size_t>(width), false);
  const auto write = [&](int64_t first, int64_t count) {
    std::fill_n(written.begin() + first, count, true);
  };
  if (const auto* const mix = std::get_if<Mix>(&step)) write(0, mix->to * mix->width);
  if (const auto* const list = std::get_if<BlockList>(&step)) {
    for (const Place& place : list->places) write(place.first, place.outputs);
  }
  const auto* const contract = std::get_if<Contract>(&step);
  if (contract == nullptr || contract->routed.route >= 0) return written;
  for (int64_t b = 0; b < contract->blocks; ++b) {
    for (int64_t u = 0; u < contract->groups; ++u) {
      for (int64_t n = 0; n < contract->outputs; ++n) {
        const int64_t feature = contract->view.At(b, u, n);
        if (feature < width) written[static_cast<size_t>(feature)] = true;
      }
    }
  }
  return written;
}

int64_t DepthOf(const BlockList& step, const Place& place) {
  int64_t depth = 0;
  for (int64_t i = 0; i < place.ranges; ++i) {
    depth += step.ranges[static_cast<size_t>(place.first_range + i)].count;
  }
  return depth;
}

std::string_view KindOf(const Step& step) {
  if (std::holds_alternative<Mix>(step)) return "mixes";
  if (std::holds_alternative<BlockList>(step)) return "lists";
  if (std::holds_alternative<Route>(step)) return "routes";
  const auto& contract = std::get<Contract>(step);
  return contract.precise || contract.routed.route >= 0 ? "routed steps" : "";
}

bool IsOfOneItem(const Plan& plan, size_t buffer) {
  const Routed* of = nullptr;
  const auto is_it = [buffer](int other) { return static_cast<size_t>(other) == buffer; };
  const auto uses = [&](const auto* of_kind) {
    return of_kind != nullptr && (is_it(of_kind->source) || is_it(of_kind->destination));
  };
  for (const Step& step : plan.steps) {
    const auto* const route = std::get_if<Route>(&step);
    if (route != nullptr && is_it(route->logits)) return false;
    if (uses(std::get_if<Mix>(&step)) || uses(std::get_if<BlockList>(&step))) return false;
    const auto* const contract = std::get_if<Contract>(&step);
    if (!uses(contract)) continue;
    const bool writes = is_it(contract->destination);
    const Routed& routed = contract->routed;
    if (routed.route < 0 || routed.item_block != 0 || (writes && routed.scaled)) return false;
    if (of != nullptr && (of->route != routed.route || of->item != routed.item)) return false;
    of = &routed;
  }
  return of != nullptr && buffer != 1;  // y is every row's
}

bool IsRouted(const Plan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(),
                     [](const Step& step) { return std::holds_alternative<Route>(step); });
}

PlanCost Cost(const Plan& plan) {
  PlanCost cost;
  std::vector<int64_t> routed(plan.steps.size(), 0);  // multiply-adds of all items, by their Route
  for (const Step& step : plan.steps) {
    if (const auto* const mix = std::get_if<Mix>(&step)) {
      cost.parameters += mix->from * mix->to * mix->width;
      cost.multiply_adds += mix->from * mix->to * mix->width;
    } else if (const auto* const list = std::get_if<BlockList>(&step)) {
      for (const Place& place : list->places) {
        cost.parameters += place.outputs * DepthOf(*list, place);
        cost.multiply_adds += place.outputs * DepthOf(*list, place);
      }
    } else if (const auto* const contract = std::get_if<Contract>(&step)) {
      const int route = contract->routed.route;
      int64_t& multiply_adds = route < 0 ? cost.multiply_adds : routed[static_cast<size_t>(route)];
      for (const Term& term : contract->terms) {
        cost.parameters += ParametersOf(*contract, term.weights);
        multiply_adds += contract->blocks * contract->groups * contract->outputs * contract->depth;
      }
    }
  }
  for (size_t i = 0; i < routed.size(); ++i) {
    if (routed[i] == 0) continue;
    const auto& route = std::get<Route>(plan.steps[i]);
    const int64_t items = plan.widths[static_cast<size_t>(route.logits)];
    cost.multiply_adds +=
        static_cast<int64_t>(static_cast<double>(routed[i]) * static_cast<double>(route.keep) /
                             static_cast<double>(items));
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
