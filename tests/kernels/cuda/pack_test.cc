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

// Where an element lies: kernels/cuda/tensor.h.
size_t TensorIndexOf(const PackedWeights& packed, Element type, int64_t terms, int64_t block,
                     int64_t term, int64_t output, int64_t k) {
  const int64_t panel = block * packed.panels + output / 16;
  const int64_t unit = (panel * terms + term) * packed.vectors + k / 32;
  const int64_t half = k % 32 / 16, lane = output % 8 * 4 + k % 8 / 2;
  const int64_t i = k % 2 + output % 16 / 8 * 2 + k % 16 / 8 * 4;
  return static_cast<size_t>(type == Element::kInt8 ? (unit * 32 + lane) * 16 + half * 8 + i
                                                    : ((unit * 2 + half) * 32 + lane) * 8 + i);
}

TEST(CudaPackTest, PutsEveryWeightWhereTensorCoresWantIt) {
  ThreadPool pool(2);
  const SampleLayer sample({Kind::kTwoTerms, 2, 45, 19}, Element::kBfloat16);
  const Contract step = sample.step();
  const PackedWeights packed = PackTensorWeights(step, Element::kBfloat16, pool);
  EXPECT_EQ(packed.panels, 2);
  EXPECT_EQ(packed.vectors, 2);
  std::vector<uint16_t> left(packed.weights.size() / 2);
  std::memcpy(left.data(), packed.weights.data(), packed.weights.size());
  EXPECT_EQ(left.size(), 2u * 2 * 2 * 2 * 512);
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t t = 0; t < 2; ++t) {
      const Weights& weights = step.terms[static_cast<size_t>(t)].weights;
      for (int64_t o = 0; o < 19; ++o) {
        for (int64_t k = 0; k < 45; ++k) {
          const auto expected = static_cast<const uint16_t*>(
              weights.data)[b * weights.block + o * weights.output + k * weights.depth];
          uint16_t& found = left[TensorIndexOf(packed, Element::kBfloat16, 2, b, t, o, k)];
          ASSERT_EQ(found, expected) << b << " " << t << " " << o << " " << k;
          found = 0;
        }
      }
    }
  }
  for (const uint16_t bits : left) ASSERT_EQ(bits, 0);
}

// A byte is the number plus 128; so is what fills up.
TEST(CudaPackTest, QuantisesForTensorCores) {
  ThreadPool pool(1);
  const std::vector<float> weights = {0.5f, -2.54f, 1.0f / 3.0f};
  const Plan plan = DensePlan(3, 1, {weights.data(), Element::kFloat32});
  const PackedWeights packed =
      PackTensorWeights(std::get<Contract>(plan.steps.front()), Element::kInt8, pool);
  ASSERT_EQ(packed.scales.size(), 16u);
  EXPECT_EQ(packed.scales[0], 2.54f / 127);
  const auto at = [&](int64_t o, int64_t k) {
    return static_cast<int>(packed.weights[TensorIndexOf(packed, Element::kInt8, 1, 0, 0, o, k)]);
  };
  EXPECT_EQ(at(0, 0), 128 + 25);
  EXPECT_EQ(at(0, 1), 128 - 127);
  EXPECT_EQ(at(0, 2), 128 + 17);
  EXPECT_EQ(at(0, 3), 128);
  EXPECT_EQ(at(5, 0), 128);
}

}  // namespace
}  // namespace dyad::kernels::cuda
