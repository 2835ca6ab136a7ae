// Plans of random shapes with random operands, as awkward as a plan may be.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "kernels/float16.h"
#include "kernels/plan.h"

namespace dyad::kernels {

// kLarge: enough work to be shared among threads.
enum class PlanSize { kSmall, kLarge };
// kContractions: those of dense layers alone, for devices that have no kernels for others.
enum class PlanSteps { kAll, kContractions };

class RandomPlan {
 public:
  explicit RandomPlan(uint32_t seed, PlanSize size = PlanSize::kSmall,
                      PlanSteps steps_of = PlanSteps::kAll)
      : random_(seed),
        large_(size == PlanSize::kLarge),
        all_(steps_of == PlanSteps::kAll),
        tiny_(Chance(8)) {
    plan_.type = Pick<Element>({Element::kFloat32, Element::kFloat32, Element::kBfloat16,
                                Element::kFloat16, Element::kInt8});
    plan_.widths = {Size(), Size()};
    if (large_) plan_.widths = {Between(200, 400), Between(200, 400)};
    written_ = {true, false};
    const int64_t steps = large_ ? Between(1, 2) : Between(1, 4);
    for (int64_t i = 0; i < steps; ++i) AddStep(i + 1 == steps);
    if (Chance(2)) plan_.bias = Floats(plan_.out_features());
  }

  const Plan& plan() const { return plan_; }
  // Points into this.
  Plan& plan() { return plan_; }

  bool Chance(int64_t one_in) { return Between(1, one_in) == 1; }
  int64_t Between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random_() % static_cast<uint64_t>(most - least + 1));
  }
  template <typename T>
  T Pick(std::initializer_list<T> values) {
    return values.begin()[Between(0, static_cast<int64_t>(values.size()) - 1)];
  }
  // In [-1, 1], zeros of both signs and numbers whose products underflow among them. In one plan of
  // eight all products underflow, so that the signs of zeros are what is compared.
  std::vector<float> Floats(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) {
      const auto draw = static_cast<uint32_t>(random_());
      value = static_cast<float>(static_cast<int32_t>(draw)) * 0x1p-31f;
      if (tiny_ || draw % 16 == 0) value *= 1e-30f;
      if (draw % 32 == 1) value = draw % 64 == 1 ? 0.0f : -0.0f;
    }
    return values;
  }

 private:
  // 1; around the outputs of a panel, the lanes and rows of a register tile; primes.
  int64_t Size() {
    return Pick<int64_t>({1, 2, 3, 4, 5, 7, 8, 11, 13, 15, 16, 17, 31, 32, 33, 37});
  }
  int64_t SmallSize() { return Pick<int64_t>({1, 1, 1, 2, 3, 4, 5, 8}); }

  void AddStep(bool last) {
    if (all_ && !last && Chance(4)) return AddRoute();
    if (all_ && Chance(6)) return AddMix(last);
    if (all_ && Chance(4)) return AddList(last);
    Contract step;
    step.source = Source();
    step.precise = all_ && Chance(5);
    step.blocks = SmallSize();
    step.groups = Chance(3) ? SmallSize() : 1;
    step.depth = Size();
    step.outputs = Size();
    if (large_) {
      step.depth = Between(60, 90);
      step.outputs = Between(200, 400) / step.blocks;
    }
    const int64_t terms = Pick<int64_t>({1, 1, 2, 3, 6});
    const bool neighbours = Chance(3);
    View view;
    for (int64_t i = 0; i < terms; ++i) {
      if (i == 0 || !neighbours) view = SourceView(step);
      step.terms.push_back({view, WeightsOf(step)});
      ++view.offset;
    }
    step.view = PlaceOutputs(step);
    step.destination =
        last ? 1
             : Destination(step.source,
                           step.view.At(step.blocks - 1, step.groups - 1, step.outputs - 1) +
                               Between(-2, 2));
    if (!routes_.empty() && Chance(2)) step.routed = ItemsOf(step);
    written_[static_cast<size_t>(step.destination)] = true;
    if (Chance(3)) {
      floats_.push_back(Floats(step.blocks * step.outputs));
      step.bias = floats_.back();
    }
    plan_.steps.emplace_back(std::move(step));
  }

  int Source() {
    std::vector<int> sources;
    for (size_t i = 0; i < written_.size(); ++i) {
      if (written_[i] && i != 1) sources.push_back(static_cast<int>(i));
    }
    return sources[static_cast<size_t>(Between(0, std::ssize(sources) - 1))];
  }

  // A buffer of its own of about this width, or one that is there.
  int Destination(int source, int64_t width) {
    const auto buffers = static_cast<int64_t>(written_.size());
    if (Chance(3)) {
      const auto there = static_cast<int>(Between(1, buffers - 1));
      if (there != source) return there;
    }
    return NewBuffer(width);
  }
  int NewBuffer(int64_t width) {
    plan_.widths.push_back(std::max<int64_t>(1, width));
    written_.push_back(false);
    return static_cast<int>(std::ssize(written_)) - 1;
  }

  // As much of the source and destination as there is.
  void AddMix(bool last) {
    Mix step;
    step.source = Source();
    step.destination = last ? 1 : Destination(step.source, Size());
    const int64_t in = plan_.widths[static_cast<size_t>(step.source)];
    const int64_t out = plan_.widths[static_cast<size_t>(step.destination)];
    step.width = Between(1, std::min(in, out));
    step.from = Between(1, std::min<int64_t>(8, in / step.width));
    step.to = Between(1, std::min<int64_t>(8, out / step.width));
    if (Chance(2)) {
      step.weights = {.block = 1, .output = step.from * step.width, .depth = step.width};
    } else {
      step.weights = {.block = step.to * step.from, .output = step.from, .depth = 1};
    }
    step.weights.elements = step.from * step.to * step.width;
    floats_.push_back(Floats(step.weights.elements));
    step.weights.data = floats_.back().data();
    written_[static_cast<size_t>(step.destination)] = true;
    plan_.steps.emplace_back(std::move(step));
  }

  // Places one after the other, with gaps; ranges that overlap, wrap and touch the edges.
  void AddList(bool last) {
    BlockList step;
    step.source = Source();
    step.destination = last ? 1 : Destination(step.source, Size());
    const int64_t in = plan_.widths[static_cast<size_t>(step.source)];
    const int64_t out = plan_.widths[static_cast<size_t>(step.destination)];
    const bool deep = Chance(2);
    int64_t weight = 0;
    for (int64_t next = Between(0, 2); next < out;) {
      Place place = {.first = next, .outputs = std::min(Between(1, kPlaceOutputs), out - next)};
      place.first_range = std::ssize(step.ranges);
      place.ranges = Between(1, 3);
      place.weight = weight;
      for (int64_t i = 0; i < place.ranges; ++i) {
        const int64_t first = i > 0 && Chance(2) ? 0 : Between(0, in - 1);
        step.ranges.push_back({first, Between(1, in - first)});
      }
      weight += kPlaceOutputs * DepthOf(step, place);
      step.places.push_back(place);
      next += place.outputs + (Chance(4) ? Between(0, 3) : 0);
    }
    if (Chance(3)) std::shuffle(step.places.begin(), step.places.end(), random_);
    step.weights =
        deep ? Weights{.output = 1, .depth = kPlaceOutputs} : Weights{.output = 2, .depth = 1};
    step.weights.elements = weight + 2 * kPlaceOutputs;
    StoreWeights(step.weights);
    written_[static_cast<size_t>(step.destination)] = true;
    plan_.steps.emplace_back(std::move(step));
  }

  // Logits of a contraction of their own, sometimes all alike; then their Route.
  void AddRoute() {
    Contract gate;
    gate.source = Source();
    gate.depth = Size();
    gate.outputs = Pick<int64_t>({1, 2, 3, 4, 5, 15, 16, 17, 33});
    gate.precise = !Chance(4);
    gate.terms.push_back({SourceView(gate), WeightsOf(gate)});
    gate.destination = NewBuffer(gate.outputs);
    written_.back() = true;
    Route route = {.logits = gate.destination,
                   .rule = Pick<Rule>({Rule::kSoftmax, Rule::kSoftmaxPlus, Rule::kShare}),
                   .keep = Chance(4) ? gate.outputs : Between(1, gate.outputs)};
    Weights& weights = gate.terms[0].weights;
    if (Chance(4)) {  // ties
      weights.elements -= (gate.outputs - 1) * weights.output;
      weights.output = 0;
    }
    plan_.steps.emplace_back(std::move(gate));
    routes_.push_back(static_cast<int>(std::ssize(plan_.steps)));
    plan_.steps.emplace_back(route);
  }

  // An item for all blocks, or each its own.
  Routed ItemsOf(const Contract& step) {
    const int route = routes_[static_cast<size_t>(Between(0, std::ssize(routes_) - 1))];
    const auto logits =
        static_cast<size_t>(std::get<Route>(plan_.steps[static_cast<size_t>(route)]).logits);
    const int64_t items = plan_.widths[logits];
    Routed routed = {.route = route, .item = Between(0, items - 1), .scaled = !Chance(3)};
    if (step.blocks <= items && Chance(2)) {
      routed.item_block = 1;
      routed.item = Between(0, items - step.blocks);
    }
    return routed;
  }

  // Plain, strided, or anything, past the end too.
  View SourceView(const Contract& step) {
    switch (Between(0, 4)) {
      case 0:
        return {.block = step.depth, .group = step.depth * step.blocks};
      case 3:  // groups side by side
        return {.block = step.groups * step.depth, .group = 1, .stride = step.groups};
      case 1:
        return {.block = 1, .group = step.depth * step.blocks, .stride = step.blocks};
      case 2:
        return {.offset = Between(0, 3), .group = step.depth, .stride = 1};
      default:
        return {Between(0, 5), Between(0, 9), Between(0, 9), Between(0, 3)};
    }
  }

  // One axis inside the other, with gaps.
  View PlaceOutputs(const Contract& step) {
    View view = {.offset = Chance(3) ? Between(1, 4) : 0};
    std::array<std::pair<int64_t*, int64_t>, 3> axes = {
        {{&view.stride, step.outputs}, {&view.block, step.blocks}, {&view.group, step.groups}}};
    if (Chance(2)) std::shuffle(axes.begin(), axes.end(), random_);
    int64_t reach = 1;
    for (const auto& [stride, size] : axes) {
      *stride = reach + (Chance(4) ? Between(0, 2) : 0);
      reach = *stride * (size - 1) + reach;
    }
    return view;
  }

  Weights WeightsOf(const Contract& step) {
    Weights weights;
    switch (Between(0, 3)) {
      case 0:
      case 1:
        weights = {.block = step.outputs * step.depth, .output = step.depth, .depth = 1};
        break;
      case 2:
        weights = {.block = step.outputs, .output = 1, .depth = step.blocks * step.outputs};
        break;
      default:  // some shared, some apart
        weights = {.block = Between(0, 2), .output = Between(0, 3), .depth = Between(0, 3)};
    }
    weights.elements = (step.blocks - 1) * weights.block + (step.outputs - 1) * weights.output +
                       (step.depth - 1) * weights.depth + 1;
    StoreWeights(weights);
    return weights;
  }

  // Numbers for weights of which all but these is known.
  void StoreWeights(Weights& weights) {
    weights.element = Pick<Element>({Element::kFloat32, Element::kBfloat16, Element::kFloat16});
    floats_.push_back(Floats(weights.elements));
    if (weights.element == Element::kFloat32) {
      weights.data = floats_.back().data();
      return;
    }
    halves_.emplace_back();
    for (const float value : floats_.back()) {
      halves_.back().push_back(weights.element == Element::kBfloat16 ? ToBfloat16(value)
                                                                     : ToFloat16(value));
    }
    weights.data = halves_.back().data();
  }

  std::mt19937 random_;
  bool large_, all_, tiny_;
  Plan plan_;
  std::vector<bool> written_;
  std::vector<int> routes_;  // steps
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<uint16_t>> halves_;
};

}  // namespace dyad::kernels
