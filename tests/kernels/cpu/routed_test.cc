// Which rows chose which items. What routed steps compute is random_plan_test.cc's.
#include "kernels/cpu/routed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "kernels/reference/route.h"

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;

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

}  // namespace
}  // namespace dyad::kernels
