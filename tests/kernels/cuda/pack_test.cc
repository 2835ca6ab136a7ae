// Packed weights, unpacked, are the weights.
#include "kernels/cuda/pack.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/cuda/contract.h"
#include "kernels/float16.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels::cuda {
namespace {

// Where an element lies: kernels/cuda/contract.h.
int64_t IndexOf(const PackedWeights& packed, int64_t terms, int64_t n, int64_t block, int64_t term,
                int64_t output, int64_t k) {
  const int64_t panel = block * packed.panels + output / 32;
  const int64_t vector = (panel * terms + term) * packed.vectors + k / n;
  return (vector * 32 + output % 32) * n + k % n;
}

TEST(CudaPackTest, PutsEveryWeightInItsPlaceAndZerosElsewhere) {
  ThreadPool pool(2);
  const SampleLayer sample({Kind::kTwoTerms, 2, 13, 35}, Element::kFloat32);
  const Contract step = sample.step();
  const PackedWeights packed = PackWeights(step, Element::kFloat32, pool);
  EXPECT_EQ(packed.panels, 2);
  EXPECT_EQ(packed.vectors, 4);
  std::vector<float> left(packed.weights.size() / sizeof(float));
  std::memcpy(left.data(), packed.weights.data(), packed.weights.size());
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t t = 0; t < 2; ++t) {
      const Weights& weights = step.terms[static_cast<size_t>(t)].weights;
      for (int64_t o = 0; o < 35; ++o) {
        for (int64_t k = 0; k < 13; ++k) {
          float expected;
          std::memcpy(&expected,
                      static_cast<const float*>(weights.data) + b * weights.block +
                          o * weights.output + k * weights.depth,
                      sizeof expected);
          float& found = left[static_cast<size_t>(IndexOf(packed, 2, 4, b, t, o, k))];
          ASSERT_EQ(found, expected) << b << " " << t << " " << o << " " << k;
          found = 0;
        }
      }
    }
  }
  for (const float value : left) ASSERT_EQ(value, 0.0f);
}

TEST(CudaPackTest, NarrowsAndQuantises) {
  ThreadPool pool(1);
  const std::vector<float> weights = {0.5f, -2.54f, 1.0f / 3.0f};
  const Plan plan = DensePlan(3, 1, {weights.data(), Element::kFloat32});
  const auto& step = std::get<Contract>(plan.steps.front());
  const PackedWeights half = PackWeights(step, Element::kBfloat16, pool);
  uint16_t bits;
  std::memcpy(&bits, half.weights.data() + 2 * sizeof bits, sizeof bits);
  EXPECT_EQ(bits, ToBfloat16(1.0f / 3.0f));
  const PackedWeights whole = PackWeights(step, Element::kInt8, pool);
  EXPECT_EQ(whole.scales.size(), 32u);
  EXPECT_EQ(whole.scales[0], 2.54f / 127);
  EXPECT_EQ(static_cast<int8_t>(whole.weights[0]), 25);
  EXPECT_EQ(static_cast<int8_t>(whole.weights[1]), -127);
}

}  // namespace
}  // namespace dyad::kernels::cuda
