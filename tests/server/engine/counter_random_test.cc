// Against the published known answers (Random123, kat_vectors), and the shape of what is drawn.
#include "server/engine/counter_random.h"

#include <set>

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

TEST(CounterRandomTest, EqualsThePublishedKnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(Philox({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

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
