// Choices worked by hand.
#include "kernels/reference/route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace dyad::kernels::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

TEST(RouteTest, SoftmaxIsOverTheChosenAlone) {
  const std::vector<float> logits = {1, 3, 2, 0};
  const float second = 1 / (1 + std::exp(1.0f)), first = 1 - second;
  Choice choice = Choose({.rule = Rule::kSoftmax, .keep = 2}, logits);
  EXPECT_THAT(choice.chosen, ElementsAre(false, true, true, false));
  EXPECT_THAT(choice.weight, ElementsAre(0, FloatEq(first), FloatEq(second), 0));
  choice = Choose({.rule = Rule::kSoftmaxPlus, .keep = 2}, logits);
  EXPECT_THAT(choice.weight, ElementsAre(0, FloatEq(first + 1e-6f), FloatEq(second + 1e-6f), 0));
  EXPECT_THAT(Choose({.rule = Rule::kSoftmaxPlus, .keep = 4}, logits).chosen,
              ElementsAre(true, true, true, true));
}

TEST(RouteTest, TiesGoToTheLowerItem) {
  const std::vector<float> logits = {2, 5, 2, 2};
  EXPECT_THAT(Choose({.rule = Rule::kSoftmax, .keep = 3}, logits).chosen,
              ElementsAre(true, true, true, false));
}

// The sum of the kept is 2 + 4 − 1; the mean over all four is 5/4.
TEST(RouteTest, AShareIsOfTheMeanAndMayBeNegative) {
  const Choice choice = Choose({.rule = Rule::kShare, .keep = 3}, std::vector<float>{2, -3, 4, -1});
  EXPECT_THAT(choice.chosen, ElementsAre(true, false, true, true));
  EXPECT_THAT(choice.weight, ElementsAre(1.6f, 0, 3.2f, -0.8f));
  EXPECT_FALSE(choice.failed);
}

TEST(RouteTest, TiesKeepMoreShares) {
  const Choice choice = Choose({.rule = Rule::kShare, .keep = 2}, std::vector<float>{1, 2, 1, 1});
  EXPECT_THAT(choice.chosen, ElementsAre(true, true, true, true));
  EXPECT_THAT(choice.weight, ElementsAre(0.8f, 1.6f, 0.8f, 0.8f));
}

TEST(RouteTest, ASumThatCannotDivideChoosesNothing) {
  for (const std::vector<float>& logits :
       {std::vector<float>{1, -1, -5}, {0, 0, 0}, {INFINITY, 1, 0}, {NAN, NAN, NAN}}) {
    const Choice choice = Choose({.rule = Rule::kShare, .keep = 2}, logits);
    EXPECT_TRUE(choice.failed);
    EXPECT_THAT(choice.chosen, ElementsAre(false, false, false));
  }
}

}  // namespace
}  // namespace dyad::kernels::reference
