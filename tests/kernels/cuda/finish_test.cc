// Scores, ranks, likeliest ids and draws of every kind: the CPU's answers, bit for bit.
//
// Vocabularies: 1; a partial group of lanes; around a tile of 256 ids; two tiles and a prime rest.
#include "kernels/cuda/finish.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/step_arrays.h"
#include "tests/kernels/cuda/twin_devices.h"

namespace dyad::kernels::cuda {
namespace {

// Scores and draws of some rows, with adjustments; some rows are asked for often, some never.
StepArrays Wanted(int32_t rows, int32_t vocabulary) {
  StepArrays step;
  for (int32_t row = 0; row < rows; ++row) {
    if (row % 4 == 3) continue;
    step.scores.push_back(
        {row, row * 37 % vocabulary, row % 3 == 0 ? 20 : 0, static_cast<uint8_t>(row % 8)});
    if (row % 3 == 0) step.scores.push_back({row, row * 91 % vocabulary, 3, 1});
  }
  for (int32_t row = 0; row < rows; ++row) {
    if (row % 5 == 1) continue;
    DrawRow draw = {.row = row, .uniform = 0x9e3779b97f4a7c15u * static_cast<uint64_t>(row + 1)};
    if (row % 2 == 0) draw.temperature = 0.8f;
    if (row % 4 == 2) draw.top_k = 9;
    if (row % 8 >= 6) draw.top_p = 0.7f;
    draw.top_n = row % 3;
    draw.first_adjustment = static_cast<int32_t>(step.adjustments.size());
    for (int32_t id = row % 7; row % 3 == 0 && id < vocabulary; id += 40) {
      step.adjustments.push_back(
          {.id = id, .penalty = 1.5f, .subtract = 0.25f, .add = id % 3 == 0 ? 1.0f : 0.0f});
    }
    draw.adjustments = static_cast<int32_t>(step.adjustments.size()) - draw.first_adjustment;
    step.draws.push_back(draw);
  }
  return step;
}

// All numbers of the answers, in order.
std::vector<float> Answers(Device& device, const Plan& head, StepArrays step,
                           const std::vector<float>& hidden) {
  // Set 1: every third id of every other tile; set 2: the rest; set 4: none.
  std::vector<uint8_t> id_sets;
  for (int64_t id = 0; id < head.out_features(); ++id) {
    id_sets.push_back(id % 3 == 1 && id / 256 % 2 == 0 ? 1 : 2);
  }
  step.id_sets = id_sets;
  const auto layer = device.Pack(head);
  const int64_t rows = std::ssize(hidden) / head.in_features();
  const Matrix states = device.Allocate(rows, head.in_features());
  device.Write(states, hidden);
  const Matrix room = device.Allocate(std::ssize(step.draws) + 1, head.out_features());
  device.Begin(step.view());
  device.Finish(*layer, states, room);
  const StepOutput output = device.End();
  EXPECT_EQ(output.error, "");
  std::vector<float> numbers;
  for (const ScoreResult& score : output.scores) {
    numbers.insert(numbers.end(), {score.logprob, static_cast<float>(score.rank),
                                   static_cast<float>(score.first_top)});
    // Both halves of the double.
    const auto high = static_cast<float>(score.set_logprob);
    numbers.insert(numbers.end(),
                   {high, std::isinf(high) ? 0 : static_cast<float>(score.set_logprob - high)});
  }
  for (const DrawResult& draw : output.draws) {
    numbers.insert(numbers.end(),
                   {draw.logprob, static_cast<float>(draw.id), static_cast<float>(draw.first_top)});
  }
  for (const TopEntry& entry : output.top) {
    numbers.insert(numbers.end(), {entry.logprob, static_cast<float>(entry.id)});
  }
  return numbers;
}

TEST(CudaFinishTest, AnswersAsTheCpuDoes) {
  constexpr int64_t kHidden = 24;
  for (const int64_t vocabulary : {1, 13, 255, 256, 257, 2 * 256 + 37}) {
    const TwinDevices twins;
    const std::vector<float> weights = RandomFloats(kHidden * vocabulary, 1);
    const Plan head = DensePlan(kHidden, vocabulary, {weights.data(), Element::kFloat32});
    const std::vector<float> hidden = RandomFloats(9 * kHidden, 2);
    const StepArrays step = Wanted(9, static_cast<int32_t>(vocabulary));
    twins.ExpectSame([&](Device& device) { return Answers(device, head, step, hidden); });
  }
}

// More rows than have logits at once, draws on both sides of that edge among them.
TEST(CudaFinishTest, AnswersManyRows) {
  constexpr int64_t kHidden = 4, kVocabulary = 20, kRows = 264;
  const TwinDevices twins;
  const std::vector<float> weights = RandomFloats(kHidden * kVocabulary, 1);
  const Plan head = DensePlan(kHidden, kVocabulary, {weights.data(), Element::kFloat32});
  const std::vector<float> hidden = RandomFloats(kRows * kHidden, 2);
  StepArrays step;
  for (int32_t row = 0; row < kRows; ++row) step.scores.push_back({row, row % 20, 0});
  for (int32_t row = 250; row < kRows; ++row) {
    step.draws.push_back({.row = row, .temperature = 0.8f, .uniform = uint64_t{1} << (row - 200)});
  }
  twins.ExpectSame([&](Device& device) { return Answers(device, head, step, hidden); });
}

// Equal logits, infinite ones, and rows of numbers that are none.
TEST(CudaFinishTest, AnswersWhereLogitsTieOrAreNoNumbers) {
  constexpr int64_t kVocabulary = 300;
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const TwinDevices twins;
  std::vector<float> weights(kVocabulary);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 5);
  const Plan head = DensePlan(1, kVocabulary, {weights.data(), Element::kFloat32});
  for (const float state : {1.0f, -1.0f, 0.0f, nan, 1e38f}) {
    const StepArrays step = Wanted(1, kVocabulary);
    twins.ExpectSame([&](Device& device) { return Answers(device, head, step, {state}); });
  }
  weights[7] = infinity;
  weights[260] = -infinity;
  const StepArrays step = Wanted(1, kVocabulary);
  twins.ExpectSame([&](Device& device) { return Answers(device, head, step, {1.0f}); });
}

TEST(WishesTest, TakesEachRowOnceAndKeepsTheOrderOfRows) {
  StepArrays step;
  step.scores = {{2, 5, 4}, {7, 1, 0}};
  step.draws = {{.row = 2, .top_n = 30}, {.row = 4, .temperature = 1}};
  Wishes wishes;
  wishes.Take(step.view(), 10);
  EXPECT_EQ(wishes.rows, (std::vector<int32_t>{2, 4, 7}));
  EXPECT_EQ(wishes.index, (std::vector<int32_t>{0, 0, 1, 1}));
  EXPECT_EQ(wishes.sampled, 1);
  EXPECT_EQ(wishes.draws[0].first_top, 4);
  EXPECT_EQ(wishes.top.size(), 4u + 10u);
}

TEST(CudaFinishTest, AStepThatAsksForNothingEnds) {
  const TwinDevices twins;
  const std::vector<float> weights(8, 1.0f);
  const Plan head = DensePlan(1, 8, {weights.data(), Element::kFloat32});
  twins.ExpectSame([&](Device& device) { return Answers(device, head, {}, {1.0f}); });
}

}  // namespace
}  // namespace dyad::kernels::cuda
