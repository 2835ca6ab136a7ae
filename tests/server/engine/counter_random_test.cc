// The shape of what is drawn.
#include "server/engine/counter_random.h"

#include <set>

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

TEST(CounterRandomTest, EachPartOfTheKeyMatters) {
  std::set<uint64_t> draws;
  for (const DrawKey& key : {DrawKey{1, 0, 0}, DrawKey{0, 1, 0}, DrawKey{0, 0, 1}, DrawKey{0, 0, 0},
                             DrawKey{uint64_t{1} << 32, 0, 0}}) {
    draws.insert(RandomAt(key));
  }
  EXPECT_EQ(draws.size(), 5u);
}

TEST(CounterRandomTest, DrawsAreUniform) {
  // 16 bins of 1,000 expected each; six standard deviations are 184.
  int bins[16] = {};
  for (int32_t position = 0; position < 16'000; ++position) {
    ++bins[RandomAt({42, 3, position}) >> 60];
  }
  for (int bin : bins) EXPECT_NEAR(bin, 1000, 184);
}

}  // namespace
}  // namespace dyad::engine
