// Places of likeliest ids, and rows of logits, counted by hand.
#include "kernels/answers.h"

#include <gtest/gtest.h>

#include <vector>

namespace dyad::kernels {
namespace {

TEST(AnswersTest, LikeliestIdsFollowEachOtherAndAreNoMoreThanThereAre) {
  const std::vector<ScoreRow> scores = {{0, 1, 3}, {0, 2, 0}, {1, 1, 20}};
  const std::vector<DrawRow> draws = {{.row = 1, .top_n = 2}, {.row = 2, .top_n = 9}};
  StepInput input;
  input.scores = scores;
  input.draws = draws;
  EXPECT_EQ(TopEntries(input, 5), 3 + 5 + 2 + 5);
  std::vector<ScoreResult> score_results(3);
  std::vector<DrawResult> draw_results(2);
  PlaceTops(input, 5, score_results, draw_results);
  EXPECT_EQ(score_results[0].first_top, 0);
  EXPECT_EQ(score_results[2].first_top, 3);
  EXPECT_EQ(draw_results[0].first_top, 8);
  EXPECT_EQ(draw_results[1].first_top, 10);
}

TEST(AnswersTest, OnlyDrawsThatAreNotGreedyLeaveLogits) {
  const std::vector<DrawRow> draws = {{.row = 0}, {.row = 0, .temperature = 1}, {.row = 1}};
  EXPECT_EQ(SampledRows(draws), 1);
}

}  // namespace
}  // namespace dyad::kernels
