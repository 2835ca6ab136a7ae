// What Check refuses, and what a plan costs. What plans compute is reference/plan_test.cc's.
#include "kernels/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace dyad::kernels {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<float> kWeights(64);

// x [6] in 2 blocks of 3 to h [8], that in one block to y [5].
Plan TwoSteps() {
  Contract in;
  in.destination = 2;
  in.blocks = 2;
  in.depth = 3;
  in.outputs = 4;
  in.terms = {{{.block = 3}, {.data = kWeights.data(), .elements = 24, .block = 12, .output = 3}}};
  in.view = {.block = 4};
  Contract out;
  out.source = 2;
  out.depth = 8;
  out.outputs = 5;
  out.terms = {{{.stride = 1}, {.data = kWeights.data(), .elements = 40, .output = 8}}};
  Plan plan;
  plan.widths = {6, 5, 8};
  plan.steps = {in, out};
  return plan;
}

TEST(CheckTest, PassesWhatIsWhole) {
  EXPECT_EQ(Check(TwoSteps()), "");
  EXPECT_EQ(Check(DensePlan(3, 2, {kWeights.data()}, {1, 2})), "");
}

struct Damage {
  const char* what;
  std::function<void(Plan&, Contract& in, Contract& out)> apply;
};

TEST(CheckTest, NamesWhatIsDamaged) {
  static const std::vector<float> three(3);
  const Damage damages[] = {
      {"number of buffers is 1; expected [2,", [](Plan& p, auto&, auto&) { p.widths = {6}; }},
      {"buffer 2 of the plan: width is 0", [](Plan& p, auto&, auto&) { p.widths[2] = 0; }},
      {"scratch is 262145; expected", [](Plan& p, auto&, auto&) { p.widths[2] = 262145; }},
      {"bias: size is 3; expected [5, 5]",
       [](Plan& p, auto&, auto&) {
         p.bias = {1, 2, 3};
       }},
      {"writes buffer 1, which is y", [](Plan& p, auto&, auto&) { p.steps.pop_back(); }},
      {"step 0 of the plan: blocks is 0", [](Plan&, auto& in, auto&) { in.blocks = 0; }},
      {"groups is -1", [](Plan&, auto& in, auto&) { in.groups = -1; }},
      {"step 1 of the plan: depth is 0", [](Plan&, auto&, auto& out) { out.depth = 0; }},
      {"outputs is 1099511627776", [](Plan&, auto&, auto& out) { out.outputs = int64_t{1} << 40; }},
      {"destination is 0; expected [1, 2]", [](Plan&, auto& in, auto&) { in.destination = 0; }},
      {"destination is 3; expected [1, 2]", [](Plan&, auto& in, auto&) { in.destination = 3; }},
      {"source is -1; expected [0, 2]", [](Plan&, auto& in, auto&) { in.source = -1; }},
      {"source is 1, which is y", [](Plan&, auto&, auto& out) { out.source = 1; }},
      {"source is the destination, 2", [](Plan&, auto& in, auto&) { in.source = 2; }},
      {"source is buffer 2; expected one that an earlier step wrote",
       [](Plan& p, auto&, auto&) { std::swap(p.steps[0], p.steps[1]); }},
      {"has no term", [](Plan&, auto& in, auto&) { in.terms.clear(); }},
      {"source view", [](Plan&, auto& in, auto&) { in.terms[0].source.stride = -1; }},
      {"source view", [](Plan&, auto& in, auto&) { in.terms[0].source.offset = -1; }},
      {"source view", [](Plan&, auto& in, auto&) { in.terms[0].source.block = INT64_MAX; }},
      {"have 23 elements; expected more than the largest index, 23",
       [](Plan&, auto& in, auto&) { in.terms[0].weights.elements = 23; }},
      {"largest index, 26", [](Plan&, auto& in, auto&) { in.terms[0].weights.output = 4; }},
      {"negative", [](Plan&, auto& in, auto&) { in.terms[0].weights.depth = -1; }},
      {"int8", [](Plan&, auto& in, auto&) { in.terms[0].weights.element = Element::kInt8; }},
      {"destination view", [](Plan&, auto& in, auto&) { in.view.block = -4; }},
      {"writes feature 3 of its destination twice",
       [](Plan&, auto& in, auto&) { in.view.block = 3; }},
      {"writes feature 0 of its destination twice", [](Plan&, auto& in, auto&) { in.groups = 2; }},
      {"bias: size is 3; expected [8, 8]", [](Plan&, auto& in, auto&) { in.bias = three; }},
  };
  for (const Damage& damage : damages) {
    Plan plan = TwoSteps();
    damage.apply(plan, std::get<Contract>(plan.steps[0]), std::get<Contract>(plan.steps[1]));
    EXPECT_THAT(Check(plan), HasSubstr(damage.what));
  }
}

// More outputs than Check would look at one by one.
TEST(CheckTest, BoundsTheOutputsOfAStep) {
  Plan plan = TwoSteps();
  auto& in = std::get<Contract>(plan.steps[0]);
  in.groups = int64_t{1} << 27;
  in.view.group = 1;
  EXPECT_THAT(Check(plan), HasSubstr("has more than 268435456 outputs"));
}

TEST(CheckTest, RaggedEdgesAreNoFault) {
  Plan plan = TwoSteps();
  plan.widths = {5, 3, 7};
  EXPECT_EQ(Check(plan), "");
}

TEST(CostTest, CountsWeightsOnceAndMultiplyAddsForEachGroup) {
  Plan plan = TwoSteps();
  PlanCost cost = Cost(plan);
  EXPECT_EQ(cost.parameters, 24 + 40);
  EXPECT_EQ(cost.multiply_adds, 24 + 40);
  EXPECT_EQ(cost.scratch_floats, 8);
  auto& in = std::get<Contract>(plan.steps[0]);
  in.groups = 3;
  in.terms.push_back(in.terms[0]);
  in.terms[1].weights.block = 0;  // both blocks have the same weights
  cost = Cost(plan);
  EXPECT_EQ(cost.parameters, 24 + 12 + 40);
  EXPECT_EQ(cost.multiply_adds, 3 * 2 * 24 + 40);
}

TEST(WrittenFeaturesTest, AreThoseOfAllBlocksGroupsAndOutputsThatFit) {
  Contract step;
  step.blocks = 2;
  step.groups = 2;
  step.outputs = 2;
  step.view = {.offset = 1, .block = 1, .group = 4, .stride = 2};
  // 1, 3, 5, 7 and 2, 4, 6, 8, of which the last does not fit.
  EXPECT_EQ(WrittenFeatures(step, 8),
            (std::vector<bool>{false, true, true, true, true, true, true, true}));
  step.blocks = 1;
  EXPECT_EQ(WrittenFeatures(step, 6), (std::vector<bool>{false, true, false, true, false, true}));
}

TEST(DensePlanTest, IsOneBlockOverEverything) {
  const Plan plan = DensePlan(6, 12, {kWeights.data(), Element::kBfloat16}, std::vector<float>(12));
  EXPECT_EQ(plan.in_features(), 6);
  EXPECT_EQ(plan.out_features(), 12);
  EXPECT_EQ(plan.structure, "dense");
  EXPECT_EQ(plan.type, Element::kBfloat16);
  EXPECT_EQ(plan.bias.size(), 12u);
  ASSERT_EQ(plan.steps.size(), 1u);
  const auto& whole = std::get<Contract>(plan.steps[0]);
  EXPECT_EQ(whole.blocks, 1);
  EXPECT_EQ(whole.outputs, 12);
  EXPECT_EQ(whole.depth, 6);
  ASSERT_EQ(whole.terms.size(), 1u);
  EXPECT_EQ(whole.terms[0].weights.output, 6);
}

TEST(ElementTest, KnowsItsBytes) {
  EXPECT_EQ(ElementBytes(Element::kFloat32), 4);
  EXPECT_EQ(ElementBytes(Element::kBfloat16), 2);
  EXPECT_EQ(ElementBytes(Element::kFloat16), 2);
  EXPECT_EQ(ElementBytes(Element::kInt8), 1);
}

}  // namespace
}  // namespace dyad::kernels
