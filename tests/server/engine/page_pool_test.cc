// Pages change hands between free, held and idle; none is lost.
#include "server/engine/page_pool.h"

#include <set>

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

TEST(PagePoolTest, GivesEachPageOnce) {
  PagePool pool(5);
  std::set<int32_t> taken;
  while (pool.available() > 0) taken.insert(pool.Take());
  EXPECT_EQ(taken, (std::set<int32_t>{0, 1, 2, 3, 4}));
  for (int32_t page : taken) EXPECT_EQ(pool.holders(page), 1);
}

// The model makes memory ready in this order.
TEST(PagePoolTest, FreshPagesComeInAscendingOrder) {
  PagePool pool(6);
  for (int32_t page : {0, 1, 2}) EXPECT_EQ(pool.Take(), page);
  pool.Keep(1);
  pool.Release(1);
  pool.Release(0);
  EXPECT_EQ(pool.Take(), 0);  // used before, so it is ready
  for (int32_t page : {3, 4, 5}) EXPECT_EQ(pool.Take(), page);
  EXPECT_EQ(pool.Take(), 1);
}

TEST(PagePoolTest, FreesAPageWithItsLastHolder) {
  PagePool pool(1);
  const int32_t page = pool.Take();
  pool.Hold(page);
  pool.Release(page);
  EXPECT_EQ(pool.available(), 0);
  pool.Release(page);
  EXPECT_EQ(pool.available(), 1);
  EXPECT_EQ(pool.idle(), 0);
}

TEST(PagePoolTest, TakesFreePagesBeforeIdleOnes) {
  PagePool pool(2);
  const int32_t kept = pool.Take();
  pool.Keep(kept);
  pool.Release(kept);
  EXPECT_EQ(pool.idle(), 1);
  EXPECT_EQ(pool.available(), 2);
  EXPECT_NE(pool.Take(), kept);
  EXPECT_EQ(pool.Take(), kept);
  EXPECT_EQ(pool.available(), 0);
}

TEST(PagePoolTest, ReclaimsIdlePagesInTheOrderOfTheirRelease) {
  PagePool pool(3);
  for (int i = 0; i < 3; ++i) pool.Keep(pool.Take());
  for (int32_t page : {1, 2, 0}) pool.Release(page);
  pool.Hold(2);  // from the middle of the list, and back to its end
  pool.Release(2);
  EXPECT_EQ(pool.Take(), 1);
  EXPECT_EQ(pool.Take(), 0);
  EXPECT_EQ(pool.Take(), 2);
}

TEST(PagePoolTest, AReclaimedPageIsKeptNoLonger) {
  PagePool pool(1);
  pool.Keep(pool.Take());
  pool.Release(0);
  EXPECT_EQ(pool.Take(), 0);
  pool.Release(0);
  EXPECT_EQ(pool.idle(), 0);
  EXPECT_EQ(pool.available(), 1);
}

TEST(PagePoolTest, HoldingAnIdlePageMakesItUnavailable) {
  PagePool pool(1);
  pool.Keep(pool.Take());
  pool.Release(0);
  pool.Hold(0);
  EXPECT_EQ(pool.available(), 0);
  EXPECT_EQ(pool.holders(0), 1);
}

TEST(PagePoolTest, ForgetFreesIdlePagesAndLeavesHeldOnesToTheirHolders) {
  PagePool pool(3);
  for (int i = 0; i < 3; ++i) pool.Keep(pool.Take());
  pool.Release(0);
  pool.Release(1);
  pool.Forget(1);
  pool.Forget(2);
  EXPECT_EQ(pool.idle(), 1);
  EXPECT_EQ(pool.available(), 2);
  pool.Release(2);
  EXPECT_EQ(pool.idle(), 1);
  EXPECT_EQ(pool.available(), 3);
}

}  // namespace
}  // namespace dyad::engine
