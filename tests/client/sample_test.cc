// What counts as a difference.
#include "client/sample.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;

TEST(SampleTest, ValuesAreComparedByTheirBits) {
  Sample sample = {.header = {}, .answers = {{16, {{"sum", -3.5}, {"ids", {1, 2}}}}}};
  CompareWith(sample, 16, {{"sum", -3.5}, {"ids", {1, 2}}, {"new", 1}});
  EXPECT_EQ(sample.compared, 1);
  EXPECT_TRUE(sample.differences.empty());
  CompareWith(sample, 16, {{"sum", std::nextafter(-3.5, 0.0)}});
  EXPECT_THAT(sample.differences,
              ElementsAre("answer 17: sum is -3.5 there and -3.4999999999999996 now",
                          "answer 17: ids is [1,2] there and not there now"));
}

}  // namespace
}  // namespace dyad::client
