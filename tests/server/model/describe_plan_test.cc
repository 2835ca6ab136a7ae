// Texts and bytes of plans, worked by hand.
#include "server/model/describe_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/linear.h"
#include "tests/server/model/loading.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::BlockList;
using kernels::Contract;
using kernels::Element;
using kernels::Mix;
using kernels::Plan;
using kernels::Route;
using ::testing::ElementsAre;

Contract ContractOf(int64_t blocks, int64_t depth, int64_t outputs) {
  Contract step;
  step.blocks = blocks;
  step.depth = depth;
  step.outputs = outputs;
  step.terms = {{.source = {}, .weights = {.block = depth * outputs, .output = depth, .depth = 1}}};
  return step;
}

Plan PlanOf(std::vector<kernels::Step> steps) {
  Plan plan;
  plan.widths = {12, 8, 6};
  plan.steps = std::move(steps);
  return plan;
}

TEST(DescribePlanTest, EveryStepHasItsWords) {
  Contract two = ContractOf(3, 4, 2);
  two.destination = 2;
  two.groups = 5;
  two.terms.push_back(two.terms[0]);
  Mix mix = {.source = 2, .destination = 3, .from = 3, .to = 4, .width = 2, .weights = {}};
  BlockList list;
  list.places = {{.first = 0, .outputs = 2, .first_range = 0, .ranges = 2, .weight = 0},
                 {.first = 2, .outputs = 1, .first_range = 1, .ranges = 1, .weight = 10}};
  list.ranges = {{0, 2}, {5, 3}};
  EXPECT_THAT(StepTexts(PlanOf({two, mix, list, ContractOf(1, 12, 8)})),
              ElementsAre("contract x -> h2: 3 blocks of 5 groups of 4 -> 2, 2 terms",
                          "mix h2 -> h3: 3 -> 4, width 2", "list x -> y: 2 places, 13 weights",
                          "contract x -> y: 12 -> 8"));
}

TEST(DescribePlanTest, RoutedStepsAreTold) {
  Contract gate = ContractOf(1, 12, 6);
  gate.destination = 2;
  gate.precise = true;
  Contract routed = ContractOf(2, 6, 4);
  routed.routed = {.route = 1, .item = 0, .item_block = 1};
  Contract later = routed;
  later.routed.item = 2;
  const Route share = {.logits = 2, .rule = kernels::Rule::kShare, .keep = 4};
  EXPECT_THAT(StepTexts(PlanOf({gate, share, routed, later})),
              ElementsAre("contract x -> h2: 12 -> 6, float32", "route by h2: 4 of 6, by shares",
                          "2 times: contract x -> y: 2 blocks of 6 -> 4, for rows that chose it"));
}

TEST(DescribePlanTest, LongPlansAreCut) {
  std::vector<kernels::Step> steps;
  for (int64_t i = 0; i < 1000; ++i) steps.push_back(ContractOf(1, 1 + i % 2, 1));
  const std::vector<std::string> texts = StepTexts(PlanOf(steps));
  ASSERT_EQ(texts.size(), kMostStepTexts + 1);
  EXPECT_EQ(texts.back(), "992 steps more");
}

TEST(DescribePlanTest, BytesCountTypesScalesAndBiases) {
  Plan plan = PlanOf({ContractOf(3, 4, 2)});
  EXPECT_EQ(WeightBytes(plan), 4 * 24);
  plan.type = Element::kBfloat16;
  EXPECT_EQ(WeightBytes(plan), 2 * 24);
  plan.type = Element::kInt8;
  EXPECT_EQ(WeightBytes(plan), 24 + 4 * 6);
  plan.bias.resize(8);
  EXPECT_EQ(WeightBytes(plan), 24 + 4 * 6 + 4 * 8);
  std::get<Contract>(plan.steps[0]).precise = true;
  EXPECT_EQ(WeightBytes(plan), 4 * 24 + 4 * 8);
  Plan mixed = PlanOf({Mix{.from = 3, .to = 4, .width = 2, .weights = {}}});
  mixed.type = Element::kInt8;
  EXPECT_EQ(WeightBytes(mixed), 4 * 24);
}

// What is described is what the layer's cost is counted from.
TEST(DescribePlanTest, ALayerIsDescribedWithItsTensors) {
  testing::FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.fc.weight", {32, 32}, StoredType::kBfloat16);
  checkpoint.AddShape("model.fc.gates.0.weight", {16, 32});
  checkpoint.AddShape("model.fc.gates.0.bias", {16});
  testing::Loading loading(checkpoint, LoadPass::kCheck);
  ASSERT_OK(LoadLinear(loading.context, "model.fc", {32, 32}, Bias::kNone));
  const LinearInfo& info = loading.context.tally.layers.at(0);
  EXPECT_EQ(info.kind, "block_sparse_dynamic");
  ASSERT_EQ(info.tensors.size(), 3u);
  EXPECT_EQ(info.tensors[2].name, "model.fc.weight");
  EXPECT_EQ(info.tensors[2].type, "bfloat16");
  EXPECT_EQ(info.tensors[2].shape, (std::vector<int64_t>{32, 32}));
  EXPECT_TRUE(info.routed);
  EXPECT_FALSE(info.multiplied_out);
  EXPECT_FALSE(info.biased);
  EXPECT_EQ(info.form_reason, "its rows choose what they run");
  EXPECT_EQ(info.multiply_adds, 16 * 32 + 32 * 32 / 2);  // half of the blocks, and all of the gate
  EXPECT_FALSE(info.pays());                             // no less than a dense layer
  EXPECT_EQ(info.weight_bytes, 2 * 32 * 32 + 4 * 16 * 32);
  EXPECT_EQ(info.dense_weight_bytes, 2 * 32 * 32);
}

}  // namespace
}  // namespace dyad
