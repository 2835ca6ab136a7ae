// Which rows chose which items. What routed steps compute is random_plan_test.cc's.
#include "kernels/cpu/routed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/cpu/linear.h"
#include "kernels/reference/route.h"

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

struct Chosen {
  Chosen(const Route& route, int64_t items, const std::vector<float>& logits)
      : tokens(std::ssize(logits) / items),
        memory(static_cast<size_t>(ItemRowsBytes(tokens, items))),
        rows(ChooseItems(route, items, tokens, {logits.data(), items}, memory.data(), workspace)) {}

  ThreadPool pool{2};
  Workspace workspace{pool};
  int64_t tokens;
  std::vector<std::byte> memory;
  ItemRows rows;
};

TEST(RoutedTest, ItemsListTheirRowsInOrder) {
  const Chosen chosen({.rule = Rule::kShare, .keep = 1}, 3, {1, 2, 2, 5, 1, 0, 0, 0, 4});
  EXPECT_THAT(std::vector(chosen.rows.first, chosen.rows.first + 4), ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(std::vector(chosen.rows.rows, chosen.rows.rows + 4), ElementsAre(1, 0, 0, 2));
  EXPECT_THAT(std::vector(chosen.rows.weights, chosen.rows.weights + 4),
              ElementsAre(3.0f, 1.5f, 1.5f, 3.0f));
  EXPECT_EQ(chosen.rows.count(2), 2);
}

TEST(RoutedTest, RowsThatFailAreReportedAndChooseNothing) {
  const Chosen chosen({.rule = Rule::kShare, .keep = 2}, 2, {1, 2, 1, -1, 3, 3});
  EXPECT_THAT(chosen.workspace.failed_rows, ElementsAre(1));
  EXPECT_EQ(chosen.rows.count(0), 2);
  EXPECT_EQ(chosen.rows.first[2], 4);
}

TEST(RoutedTest, EqualsTheDefinition) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    const auto items = static_cast<int64_t>(1 + random() % 40);
    const Route route = {.rule = static_cast<Rule>(random() % 3),
                         .keep = static_cast<int64_t>(1 + random() % items)};
    std::vector<float> logits(static_cast<size_t>(3 * items));
    const bool coarse = random() % 2 == 0;  // ties
    for (float& logit : logits) {
      logit = coarse ? static_cast<float>(random() % 5) - 2
                     : static_cast<float>(static_cast<int32_t>(random())) * 0x1p-29f;
    }
    const Chosen chosen(route, items, logits);
    int32_t at = 0;
    for (int64_t item = 0; item < items; ++item) {
      for (int32_t t = 0; t < 3; ++t) {
        const auto expected = reference::Choose(
            route,
            std::span(logits).subspan(static_cast<size_t>(t * items), static_cast<size_t>(items)));
        if (!expected.chosen[static_cast<size_t>(item)]) continue;
        ASSERT_LT(at, chosen.rows.first[item + 1]);
        EXPECT_EQ(chosen.rows.rows[at], t);
        EXPECT_EQ(chosen.rows.weights[at++], expected.weight[static_cast<size_t>(item)]);
      }
      ASSERT_EQ(at, chosen.rows.first[item + 1]);
    }
  }
}

// Rows 0 to 299 in tiles that threads share: what fails is named by its row of the batch.
TEST(RoutedTest, RowsThatFailInAThreadsOwnTileAreThoseOfTheBatch) {
  constexpr int64_t kWidth = 64, kRows = 300;
  std::vector<float> gates(2 * kWidth, 0.0f), ones(kWidth * kWidth, 1.0f);
  gates[0] = 1.0f;           // logit 0 is feature 0,
  gates[kWidth + 1] = 1.0f;  // logit 1 is feature 1
  Plan plan;
  plan.widths = {kWidth, kWidth, 2};
  const auto product = [&](int destination, const std::vector<float>& values) {
    Contract step;
    step.destination = destination;
    step.depth = kWidth;
    step.outputs = std::ssize(values) / kWidth;
    Weights weights;
    weights.data = values.data();
    weights.elements = std::ssize(values);
    weights.output = kWidth;
    step.terms = {{.source = {}, .weights = weights}};
    return step;
  };
  Contract chosen = product(1, ones);
  chosen.routed.route = 1;
  plan.steps = {product(2, gates), Route{.logits = 2, .rule = Rule::kShare, .keep = 1}, chosen};
  ASSERT_EQ(Check(plan), "");
  std::vector<float> x(kRows * kWidth, 1.0f), y(kRows * kWidth);
  for (const int64_t row : {3, 170, 299}) x[row * kWidth] = x[row * kWidth + 1] = 0;
  const PackedLinear layer(plan);
  ThreadPool pool(2);
  Workspace workspace(pool);
  layer.Apply(kRows, {x.data(), kWidth}, {y.data(), kWidth}, {}, workspace);
  std::vector<int64_t> rows;
  for (const auto& failure : workspace.failures) rows.push_back(failure.row);
  EXPECT_THAT(rows, UnorderedElementsAre(3, 170, 299));
  for (int64_t row = 0; row < kRows; ++row) {
    const bool failed = row == 3 || row == 170 || row == 299;
    EXPECT_EQ(std::isnan(y[row * kWidth]), failed) << row;
  }
}

}  // namespace
}  // namespace dyad::kernels
