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

// A mix, a list, a gate with its choice, and a step routed by it.
Plan OtherSteps() {
  Plan plan;
  plan.widths = {6, 5, 4, 3};
  const Mix mix = {.source = 0,
                   .destination = 2,
                   .from = 3,
                   .to = 2,
                   .width = 2,
                   .weights = {kWeights.data(), 12, Element::kFloat32, 1, 6, 2}};
  BlockList list = {
      .source = 2, .destination = 3, .places = {}, .ranges = {{0, 2}, {3, 1}}, .weights = {}};
  list.places = {{.first = 0, .outputs = 2, .first_range = 0, .ranges = 2, .weight = 0}};
  list.weights = {kWeights.data(), 6, Element::kFloat32, 0, 1, 2};
  Contract chosen;
  chosen.blocks = 2;
  chosen.depth = 3;
  chosen.outputs = 2;
  chosen.terms = {{{}, {kWeights.data(), 12, Element::kFloat32, 6, 3, 1}}};
  chosen.view = {.block = 2};
  chosen.routed = {.route = 2, .item = 0, .item_block = 1, .scaled = true};
  plan.steps = {mix, list, Route{.logits = 3, .rule = Rule::kShare, .keep = 2}, chosen};
  return plan;
}

TEST(CheckTest, NamesWhatIsDamagedInOtherSteps) {
  ASSERT_EQ(Check(OtherSteps()), "");
  const std::pair<const char*, std::function<void(std::vector<Step>&)>> damages[] = {
      {"step 0 of the plan: from is 0", [](auto& s) { std::get<Mix>(s[0]).from = 0; }},
      {"source is buffer 0 of width 6; expected at least 8",
       [](auto& s) { std::get<Mix>(s[0]).from = 4; }},
      {"destination is buffer 2 of width 4; expected at least 6",
       [](auto& s) { std::get<Mix>(s[0]).to = 3; }},
      {"largest index, 12", [](auto& s) { std::get<Mix>(s[0]).weights.block = 2; }},
      {"not float32", [](auto& s) { std::get<Mix>(s[0]).weights.element = Element::kFloat16; }},
      {"a range is [3, + 2)", [](auto& s) { std::get<BlockList>(s[1]).ranges[1].count = 2; }},
      {"a range is [-1", [](auto& s) { std::get<BlockList>(s[1]).ranges[0].first = -1; }},
      {"outputs is 33", [](auto& s) { std::get<BlockList>(s[1]).places[0].outputs = 33; }},
      {"first output is 2", [](auto& s) { std::get<BlockList>(s[1]).places[0].first = 2; }},
      {"ranges are [1, + 2)", [](auto& s) { std::get<BlockList>(s[1]).places[0].first_range = 1; }},
      {"ranges are [0, + 0)", [](auto& s) { std::get<BlockList>(s[1]).places[0].ranges = 0; }},
      {"largest index, 6", [](auto& s) { std::get<BlockList>(s[1]).places[0].weight = 1; }},
      {"writes feature 0 of its destination twice",
       [](auto& s) {
         auto& places = std::get<BlockList>(s[1]).places;
         places.push_back(places[0]);
       }},
      {"logits is 1", [](auto& s) { std::get<Route>(s[2]).logits = 1; }},
      {"keep is 4; expected [1, 3]", [](auto& s) { std::get<Route>(s[2]).keep = 4; }},
      {"route is step 1", [](auto& s) { std::get<Contract>(s[3]).routed.route = 1; }},
      {"route is step 4", [](auto& s) { std::get<Contract>(s[3]).routed.route = 4; }},
      {"items begin at 2; expected all in [0, 3)",
       [](auto& s) { std::get<Contract>(s[3]).routed.item = 2; }},
      {"logits are buffer 3; expected one that an earlier step wrote",
       [](auto& s) { std::swap(s[1], s[2]); }},
  };
  for (const auto& [what, apply] : damages) {
    Plan plan = OtherSteps();
    apply(plan.steps);
    EXPECT_THAT(Check(plan), HasSubstr(what));
  }
}

TEST(CostTest, CountsOfRoutedStepsWhatARowChooses) {
  const PlanCost cost = Cost(OtherSteps());
  EXPECT_EQ(cost.parameters, 12 + 6 + 12);
  EXPECT_EQ(cost.multiply_adds, 12 + 6 + 12 * 2 / 3);
  EXPECT_TRUE(IsRouted(OtherSteps()));
  EXPECT_FALSE(IsRouted(TwoSteps()));
}

TEST(WrittenFeaturesTest, OfOtherSteps) {
  const Plan plan = OtherSteps();
  EXPECT_EQ(WrittenFeatures(plan.steps[0], 5), (std::vector<bool>{true, true, true, true, false}));
  EXPECT_EQ(WrittenFeatures(plan.steps[1], 3), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(WrittenFeatures(plan.steps[2], 1), (std::vector<bool>{false}));
  EXPECT_EQ(WrittenFeatures(plan.steps[3], 1), (std::vector<bool>{false}));
  EXPECT_EQ(KindOf(plan.steps[1]), "lists");
  EXPECT_EQ(KindOf(TwoSteps().steps[0]), "");
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
