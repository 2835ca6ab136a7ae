// Nodes are found by exactly what is before them, and forgotten with the step.
#include "server/engine/row_trie.h"

#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/model.h"

namespace dyad::engine {
namespace {

TEST(RowTrieTest, FindsANodeByWhatIsBeforeItAndItsId) {
  RowTrie trie(8);
  const TriePrefix a = trie.Add(kEmptyPrefix, 5, {0, 30});
  const TriePrefix ab = trie.Add(a, 6, {1, 31});
  EXPECT_EQ(trie.Find(kEmptyPrefix, 5), a);
  EXPECT_EQ(trie.Find(a, 6), ab);
  EXPECT_EQ(trie.node(ab).row, 1);
  EXPECT_EQ(trie.node(ab).page, 31);
  EXPECT_FALSE(trie.Find(kEmptyPrefix, 6).has_value());
  EXPECT_FALSE(trie.Find(a, 5).has_value());
  EXPECT_FALSE(trie.Find(ab, 6).has_value());
}

TEST(RowTrieTest, APrefixInAPageIsNoOther) {
  RowTrie trie(100);
  std::vector<TriePrefix> prefixes = {kEmptyPrefix};
  for (const int32_t page : {0, 1, 2, 1'000'000}) {
    for (int32_t tokens = 1; tokens <= kPageTokens; ++tokens) {
      prefixes.push_back(PrefixInPage(page, tokens));
    }
  }
  for (size_t i = 0; i < prefixes.size(); ++i) {
    EXPECT_FALSE(trie.Find(prefixes[i], 7).has_value());
    trie.Add(prefixes[i], 7, {static_cast<int32_t>(i), 0});
  }
  for (size_t i = 0; i < prefixes.size(); ++i) {
    EXPECT_EQ(trie.node(*trie.Find(prefixes[i], 7)).row, static_cast<int32_t>(i));
  }
}

TEST(RowTrieTest, TheFirstRowStaysAndATokenWithoutOneTakesTheNext) {
  RowTrie trie(4);
  const TriePrefix first = trie.Add(kEmptyPrefix, 1, {3, 10});
  EXPECT_EQ(trie.Add(kEmptyPrefix, 1, {4, 11}), first);
  EXPECT_EQ(trie.node(first).row, 3);
  const TriePrefix stored = trie.Add(first, 1, {RowNode::kNoRow, 12});
  EXPECT_EQ(trie.Add(first, 1, {5, 13}), stored);
  EXPECT_EQ(trie.node(stored).row, 5);
  EXPECT_EQ(trie.node(stored).page, 13);
}

TEST(RowTrieTest, AClearedTrieIsEmptyAndHoldsAsManyAgain) {
  RowTrie trie(3);
  for (int32_t step = 0; step < 1000; ++step) {
    TriePrefix prefix = kEmptyPrefix;
    for (int32_t i = 0; i < 3; ++i) {
      EXPECT_FALSE(trie.Find(prefix, i).has_value());
      prefix = trie.Add(prefix, i, {step + i, 0});
      EXPECT_EQ(trie.node(prefix).row, step + i);
    }
    trie.Clear();
  }
}

TEST(RowTrieTest, WithoutNodesNothingIsFound) {
  RowTrie trie(0);
  EXPECT_FALSE(trie.Find(kEmptyPrefix, 0).has_value());
}

// Few ids and many steps, so that keys collide and probing runs around the table's end.
TEST(RowTrieTest, AgreesWithAMapOfWholePaths) {
  std::mt19937 random(7);
  RowTrie trie(200);
  for (int step = 0; step < 200; ++step) {
    std::map<std::vector<int32_t>, int32_t> rows;
    while (rows.size() < 190) {
      std::vector<int32_t> path;
      TriePrefix prefix = kEmptyPrefix;
      for (auto depth = 1 + random() % 6; depth > 0; --depth) {
        path.push_back(static_cast<int32_t>(random() % 4));
        const auto row = static_cast<int32_t>(rows.size());
        const auto found = trie.Find(prefix, path.back());
        ASSERT_EQ(found.has_value(), rows.contains(path));
        prefix = trie.Add(prefix, path.back(), {row, 0});
        ASSERT_EQ(trie.node(prefix).row, rows.try_emplace(path, row).first->second);
        if (rows.size() == 200) break;
      }
    }
    trie.Clear();
  }
}

}  // namespace
}  // namespace dyad::engine
