// Which routed steps run at once. That bits stay those of the plan's order: random_plan_test.cc.
#include "kernels/cpu/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;

// x of 8 features, y of 4; a gate of 4 items, their Route at step 1; buffers from 3 on of 4.
Plan GatedPlan(int buffers) {
  Plan plan;
  plan.widths = {8, 4, 4};
  for (int i = 0; i < buffers; ++i) plan.widths.push_back(4);
  Contract gate;
  gate.destination = 2;
  gate.depth = 8;
  gate.outputs = 4;
  gate.terms = {{}};
  plan.steps = {gate, Route{.logits = 2}};
  return plan;
}

Contract ChosenStep(int source, int destination, int64_t item) {
  Contract step;
  step.source = source;
  step.destination = destination;
  step.blocks = 2;
  step.depth = 2;
  step.outputs = 2;
  step.terms = {{{.block = 2}, {}}};
  step.view = {.block = 2};
  step.routed = {.route = 1, .item = item, .scaled = destination == 1};
  return step;
}

std::vector<std::vector<size_t>> StepsOf(const Plan& plan) {
  std::vector<std::vector<size_t>> steps;
  for (const Stage& stage : StagesOf(plan)) steps.push_back(stage.steps);
  return steps;
}

TEST(StagesTest, FirstStepsOfAllExpertsThenTheirLastOnes) {
  Plan plan = GatedPlan(3);
  for (int expert = 0; expert < 3; ++expert) {
    plan.steps.emplace_back(ChosenStep(0, 3 + expert, expert));
    plan.steps.emplace_back(ChosenStep(3 + expert, 1, expert));
  }
  EXPECT_THAT(StepsOf(plan), ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2, 4, 6),
                                         ElementsAre(3, 5, 7)));
  EXPECT_FALSE(StagesOf(plan)[2].in_order);
  EXPECT_TRUE(StagesOf(plan)[3].in_order);
}

TEST(StagesTest, RowsOfBlocksGoThroughAllOfThem) {
  Plan plan = GatedPlan(0);
  for (int64_t row = 0; row < 3; ++row) {
    Contract step = ChosenStep(0, 1, row);
    step.terms[0].source = {.offset = 2 * row, .block = 0};
    step.routed.item_block = 1;
    plan.steps.emplace_back(step);
  }
  EXPECT_THAT(StepsOf(plan), ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2, 3, 4)));
}

TEST(StagesTest, WhatDependsOnAnEarlierStepWaitsForIt) {
  Plan plan = GatedPlan(2);
  plan.steps.emplace_back(ChosenStep(0, 3, 0));
  plan.steps.emplace_back(ChosenStep(3, 4, 0));  // reads what the step before wrote
  plan.steps.emplace_back(ChosenStep(4, 1, 0));
  plan.steps.emplace_back(ChosenStep(0, 3, 0));  // adds to what was read
  plan.steps.emplace_back(ChosenStep(3, 1, 0));
  EXPECT_THAT(StepsOf(plan),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2), ElementsAre(3),
                          ElementsAre(4), ElementsAre(5), ElementsAre(6)));
}

TEST(StagesTest, OtherBlocksAreStagesOfTheirOwn) {
  const auto second = [](auto change) {
    Plan plan = GatedPlan(0);
    plan.steps.emplace_back(ChosenStep(0, 1, 0));
    Contract other = ChosenStep(0, 1, 1);
    change(other);
    plan.steps.emplace_back(other);
    return StepsOf(plan).size();
  };
  EXPECT_EQ(second([](Contract&) {}), 3u);
  EXPECT_EQ(second([](Contract& step) { step.view.block = 1; }), 4u);
  EXPECT_EQ(second([](Contract& step) { step.outputs = 1; }), 4u);
  EXPECT_EQ(second([](Contract& step) { step.blocks = 1; }), 4u);
  EXPECT_EQ(second([](Contract& step) { step.terms[0].source.stride = 2; }), 4u);
  EXPECT_EQ(second([](Contract& step) { step.terms.push_back({}); }), 4u);
  EXPECT_EQ(second([](Contract& step) { step.routed.item_block = 1; }), 4u);
}

}  // namespace
}  // namespace dyad::kernels
