// A mix by its formula, over widths around those of vectors. Its bits are random_plan_test.cc's.
#include "kernels/cpu/mix.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/isa.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

TEST(MixTest, IsItsFormulaOnEveryInstructionSet) {
  for (const int64_t width : {1, 7, 8, 15, 16, 17, 33}) {
    Mix step = {.from = 3, .to = 2, .width = width, .weights = {}};
    const std::vector<float> weights = RandomFloats(6 * width, 1);
    step.weights = {weights.data(), 6 * width, Element::kFloat32, 1, 3 * width, width};
    PackedMix mix = PackMix(step);
    const std::vector<float> x = RandomFloats(11 * 3 * width, 2);
    const std::vector<float> start = RandomFloats(11 * 2 * width, 3);
    for (const Combine combine : {Combine::kAssign, Combine::kAccumulate}) {
      mix.combine = combine;
      for (const std::string_view name : SupportedIsas()) {
        const WithIsa isa(name);
        std::vector<float> y = start;
        const MixJob job = {&mix, 11, {x.data(), 3 * width}, {y.data(), 2 * width}};
        for (int64_t i = 0; i < 2; ++i) MixBlock(job, i);
        for (int64_t t = 0; t < 11; ++t) {
          for (int64_t at = 0; at < 2 * width; ++at) {
            const auto feature = static_cast<size_t>(t * 2 * width + at);
            float sum = combine == Combine::kAssign ? 0.0f : start[feature];
            for (int64_t j = 0; j < 3; ++j) {
              const int64_t k = at % width;
              sum = std::fma(x[static_cast<size_t>((t * 3 + j) * width + k)],
                             weights[static_cast<size_t>((at / width * 3 + j) * width + k)], sum);
            }
            ASSERT_EQ(y[feature], sum) << width << " " << name << " " << t << " " << at;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
