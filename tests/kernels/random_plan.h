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

class RandomPlan {
 public:
  explicit RandomPlan(uint32_t seed, PlanSize size = PlanSize::kSmall)
      : random_(seed), large_(size == PlanSize::kLarge), tiny_(Chance(8)) {
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
    Contract step;
    std::vector<int> sources;
    for (size_t i = 0; i < written_.size(); ++i) {
      if (written_[i] && i != 1) sources.push_back(static_cast<int>(i));
    }
    step.source = sources[static_cast<size_t>(Between(0, std::ssize(sources) - 1))];
    step.blocks = SmallSize();
    step.groups = Chance(3) ? SmallSize() : 1;
    step.depth = Size();
    step.outputs = Size();
    if (large_) {
      step.depth = Between(60, 90);
      step.outputs = Between(200, 400) / step.blocks;
    }
    const int64_t terms = Pick<int64_t>({1, 1, 2, 3});
    for (int64_t i = 0; i < terms; ++i) {
      step.terms.push_back({SourceView(step), WeightsOf(step)});
    }
    step.view = PlaceOutputs(step);
    step.destination = last ? 1 : Destination(step);
    written_[static_cast<size_t>(step.destination)] = true;
    if (Chance(3)) {
      floats_.push_back(Floats(step.blocks * step.outputs));
      step.bias = floats_.back();
    }
    plan_.steps.emplace_back(std::move(step));
  }

  // A buffer of its own, about as wide as the outputs reach, or one that is there.
  int Destination(const Contract& step) {
    const int64_t reach =
        step.view.At(step.blocks - 1, step.groups - 1, step.outputs - 1) + Between(-2, 2);
    const auto buffers = static_cast<int64_t>(written_.size());
    if (Chance(3)) {
      const auto there = static_cast<int>(Between(1, buffers - 1));
      if (there != step.source) return there;
    }
    plan_.widths.push_back(std::max<int64_t>(1, reach));
    written_.push_back(false);
    return static_cast<int>(buffers);
  }

  // Plain, strided, or anything, past the end too.
  View SourceView(const Contract& step) {
    switch (Between(0, 3)) {
      case 0:
        return {.block = step.depth, .group = step.depth * step.blocks};
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
    weights.element = Pick<Element>({Element::kFloat32, Element::kBfloat16, Element::kFloat16});
    floats_.push_back(Floats(weights.elements));
    if (weights.element == Element::kFloat32) {
      weights.data = floats_.back().data();
      return weights;
    }
    halves_.emplace_back();
    for (const float value : floats_.back()) {
      halves_.back().push_back(weights.element == Element::kBfloat16 ? ToBfloat16(value)
                                                                     : ToFloat16(value));
    }
    weights.data = halves_.back().data();
    return weights;
  }

  std::mt19937 random_;
  bool large_, tiny_;
  Plan plan_;
  std::vector<bool> written_;
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<uint16_t>> halves_;
};

}  // namespace dyad::kernels
