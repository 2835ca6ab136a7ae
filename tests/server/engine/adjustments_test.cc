// Which ids are adjusted, and by what, as tokens come.
#include "server/engine/adjustments.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(AdjustmentsTest, WithoutPenaltiesThereAreNone) {
  Adjustments adjustments({}, std::vector<int32_t>{1, 2});
  adjustments.Add(3);
  EXPECT_THAT(adjustments.list(), IsEmpty());
}

TEST(AdjustmentsTest, RepetitionWorksOnceOnEachIdOfPromptAndOutput) {
  Sampling sampling;
  sampling.repetition_penalty = 2;
  Adjustments adjustments(sampling, std::vector<int32_t>{9, 2, 9});
  EXPECT_THAT(adjustments.list(), ElementsAre(Adjustment{2, 2}, Adjustment{9, 2}));
  for (const int32_t token : {5, 2, 5}) adjustments.Add(token);
  EXPECT_THAT(adjustments.list(),
              ElementsAre(Adjustment{2, 2}, Adjustment{5, 2}, Adjustment{9, 2}));
}

TEST(AdjustmentsTest, PresenceAndFrequencyWorkOnTheOutputOnly) {
  Sampling sampling;
  sampling.presence_penalty = 1.5f;
  sampling.frequency_penalty = 0.25f;
  Adjustments adjustments(sampling, std::vector<int32_t>{7, 7});
  EXPECT_THAT(adjustments.list(), IsEmpty());
  for (const int32_t token : {7, 1, 7}) adjustments.Add(token);
  EXPECT_THAT(adjustments.list(), ElementsAre(Adjustment{1, 1, 1.75f}, Adjustment{7, 1, 2}));
}

TEST(AdjustmentsTest, BiasJoinsThePenaltiesAndMayRepeat) {
  Sampling sampling;
  sampling.repetition_penalty = 4;
  sampling.frequency_penalty = -1;
  sampling.logit_bias = {{8, 2}, {3, 5}, {8, 1}};
  Adjustments adjustments(sampling, std::vector<int32_t>{8});
  EXPECT_THAT(adjustments.list(), ElementsAre(Adjustment{3, 1, 0, 5}, Adjustment{8, 4, 0, 3}));
  adjustments.Add(3);
  EXPECT_THAT(adjustments.list(), ElementsAre(Adjustment{3, 4, -1, 5}, Adjustment{8, 4, 0, 3}));
}

}  // namespace
}  // namespace dyad::engine
