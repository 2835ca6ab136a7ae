// Misspelt names.
#include "server/base/nearest.h"

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(NearestTest, CountsLettersToInsertDropAndChange) {
  EXPECT_EQ(SpellingDistance("model", "model"), 0);
  EXPECT_EQ(SpellingDistance("models", "model"), 1);
  EXPECT_EQ(SpellingDistance("modl", "model"), 1);
  EXPECT_EQ(SpellingDistance("modle", "model"), 2);
  EXPECT_EQ(SpellingDistance("", "abc"), 3);
  EXPECT_EQ(SpellingDistance("abc", ""), 3);
  EXPECT_EQ(SpellingDistance("kitten", "sitting"), 3);
}

TEST(NearestTest, CaseDashesAndUnderscoresDoNotCount) {
  EXPECT_EQ(SpellingDistance("maxNewTokens", "max_new_tokens"), 0);
  EXPECT_EQ(SpellingDistance("--max-new-tokens", "--max_new_tokens"), 0);
}

TEST(NearestTest, NamesTheNearestOrNone) {
  const std::vector<std::string> names = {"max_new_tokens", "model", "top_k", "top_p"};
  EXPECT_EQ(NearestName("max-new-tokens", names), "max_new_tokens");
  EXPECT_EQ(NearestName("max_tokens", names), "max_new_tokens");
  EXPECT_EQ(NearestName("modle", names), "model");
  EXPECT_EQ(NearestName("top_q", names), "top_k");
  EXPECT_EQ(NearestName("temperature", names), "");
  EXPECT_EQ(NearestName("x", {}), "");
}

}  // namespace
}  // namespace dyad
