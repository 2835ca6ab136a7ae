// What the tree finds is what was put in, under that exact prefix only.
#include "server/engine/prefix_tree.h"

#include <numeric>
#include <tuple>

#include "gtest/gtest.h"

namespace dyad::engine {
namespace {

std::array<int32_t, kPageTokens> Ids(int32_t first) {
  std::array<int32_t, kPageTokens> ids;
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

class PrefixTreeTest : public ::testing::Test {
 protected:
  CachedPage Add(NodeId parent, int32_t first, const PageScores& scores = {}) {
    return tree_.Insert(parent, Ids(first), tree_.Take(), scores);
  }

  PagePool pool_{4};
  PrefixTree tree_{pool_};
};

TEST_F(PrefixTreeTest, FindsAPageByItsIdsAndItsParent) {
  const CachedPage a = Add(kRootNode, 0);
  const CachedPage b = Add(a.node, 100);
  EXPECT_EQ(tree_.Find(kRootNode, Ids(0))->page, a.page);
  EXPECT_EQ(tree_.Find(a.node, Ids(100))->page, b.page);
  EXPECT_FALSE(tree_.Find(kRootNode, Ids(100)).has_value());
  EXPECT_FALSE(tree_.Find(b.node, Ids(100)).has_value());
  auto other = Ids(0);
  other.back() = 7;
  EXPECT_FALSE(tree_.Find(kRootNode, other).has_value());
}

TEST_F(PrefixTreeTest, TheSamePageTwiceLeavesOneCopy) {
  const CachedPage first = Add(kRootNode, 0);
  const int32_t second = tree_.Take();
  const CachedPage held = tree_.Insert(kRootNode, Ids(0), second, {});
  EXPECT_EQ(held.page, first.page);
  EXPECT_EQ(held.node, first.node);
  EXPECT_EQ(pool_.holders(first.page), 2);
  EXPECT_EQ(pool_.holders(second), 0);
}

TEST_F(PrefixTreeTest, InsertingTheTreesOwnPageAgainChangesNoHolder) {
  const CachedPage first = Add(kRootNode, 0);
  EXPECT_EQ(tree_.Insert(kRootNode, Ids(0), first.page, {}).page, first.page);
  EXPECT_EQ(pool_.holders(first.page), 1);
}

TEST_F(PrefixTreeTest, MissingScoresAreFilledInAndKnownOnesStay) {
  PageScores some = {};
  some[3] = {-1.5f, 2};
  const CachedPage page = Add(kRootNode, 0, some);
  PageScores more = {};
  more[3] = {-9, 9};
  more[4] = {-0.25f, 1};
  tree_.Insert(kRootNode, Ids(0), tree_.Take(), more);
  EXPECT_EQ(tree_.scores(page.page)[3].rank, 2);
  EXPECT_EQ(tree_.scores(page.page)[4].logprob, -0.25f);
  EXPECT_EQ(tree_.scores(page.page)[5].rank, 0);
}

TEST_F(PrefixTreeTest, ABestTokenIsFilledInAndNeverLost) {
  PageScores plain = {}, with_best = {};
  plain[3] = with_best[3] = {-1.5f, 2};
  with_best[3].best = {7, -0.5f};
  for (const auto& [first, then, parent] :
       {std::tuple(plain, with_best, NodeId{0}), std::tuple(with_best, plain, NodeId{9})}) {
    const CachedPage page = Add(parent, 0, first);
    tree_.Insert(parent, Ids(0), tree_.Take(), then);
    tree_.Insert(parent, Ids(0), tree_.Take(), {});
    EXPECT_EQ(tree_.scores(page.page)[3].best, (TopToken{7, -0.5f}));
    EXPECT_EQ(tree_.scores(page.page)[3].rank, 2);
    EXPECT_LT(tree_.scores(page.page)[4].best.id, 0);
  }
}

TEST_F(PrefixTreeTest, AReclaimedPageIsFoundNoMore) {
  const CachedPage a = Add(kRootNode, 0);
  pool_.Release(a.page);
  EXPECT_TRUE(tree_.Find(kRootNode, Ids(0)).has_value());
  for (int i = 0; i < 4; ++i) tree_.Take();
  EXPECT_FALSE(tree_.Find(kRootNode, Ids(0)).has_value());
}

TEST_F(PrefixTreeTest, AChildIsNotFoundUnderAParentThatCameBack) {
  const CachedPage parent = Add(kRootNode, 0);
  const CachedPage child = Add(parent.node, 100);
  pool_.Release(parent.page);  // before its child, as a careless holder would
  for (int i = 0; i < 3; ++i) tree_.Take();
  const CachedPage again = tree_.Insert(kRootNode, Ids(0), parent.page, {});
  EXPECT_EQ(again.page, parent.page);
  EXPECT_NE(again.node, parent.node);
  EXPECT_FALSE(tree_.Find(again.node, Ids(100)).has_value());
  EXPECT_EQ(pool_.holders(child.page), 1);
}

TEST_F(PrefixTreeTest, ClearForgetsAllAndFreesIdlePages) {
  const CachedPage held = Add(kRootNode, 0);
  const CachedPage idle = Add(kRootNode, 50);
  pool_.Release(idle.page);
  tree_.Clear();
  EXPECT_FALSE(tree_.Find(kRootNode, Ids(0)).has_value());
  EXPECT_FALSE(tree_.Find(kRootNode, Ids(50)).has_value());
  EXPECT_EQ(pool_.idle(), 0);
  EXPECT_EQ(pool_.available(), 3);
  pool_.Release(held.page);
  EXPECT_EQ(pool_.idle(), 0);
  EXPECT_EQ(pool_.available(), 4);
}

// Enough pages with equal ids that hashes, of which a set compares seven bits, meet by chance.
TEST(PrefixTreeManyPagesTest, EqualIdsUnderOtherParentsAreOtherPages) {
  constexpr int32_t kPages = 1000;
  PagePool pool(kPages);
  PrefixTree tree(pool);
  for (NodeId parent = 0; parent < kPages; ++parent) tree.Insert(parent, Ids(0), tree.Take(), {});
  EXPECT_EQ(pool.available(), 0);
  for (NodeId parent = 0; parent < kPages; ++parent) {
    EXPECT_EQ(tree.Find(parent, Ids(0))->node, parent + 1);
    EXPECT_FALSE(tree.Find(kPages + parent, Ids(0)).has_value());
  }
}

TEST_F(PrefixTreeTest, HashesDependOnEveryIdAndOnTheParent) {
  const uint64_t hash = PrefixTree::KeyHash(kRootNode, Ids(0));
  EXPECT_NE(hash, PrefixTree::KeyHash(1, Ids(0)));
  for (int32_t slot = 0; slot < kPageTokens; ++slot) {
    auto ids = Ids(0);
    ids[slot] += 1;
    EXPECT_NE(hash, PrefixTree::KeyHash(kRootNode, ids)) << slot;
  }
}

}  // namespace
}  // namespace dyad::engine
