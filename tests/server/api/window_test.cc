// Windows against the definition: what lm-evaluation-harness calls rolling, and every shape.
#include "server/api/window.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

namespace dyad {
namespace {

void ExpectWindow(const Window& window, int32_t begin, int32_t end, int32_t scored_from) {
  EXPECT_EQ(window.begin, begin);
  EXPECT_EQ(window.end, end);
  EXPECT_EQ(window.scored_from, scored_from);
}

TEST(WindowTest, TheHarnessesRollingWindowsHaveNoOverlapButTheFirstToken) {
  // 10 tokens after a prefix, 4 fed at a time: 4, 4 and the last 2 of a full window.
  const auto windows = WindowsOf(1, 11, {5, 4});
  ASSERT_EQ(windows.size(), 3u);
  ExpectWindow(windows[0], 0, 5, 1);
  ExpectWindow(windows[1], 4, 9, 5);
  ExpectWindow(windows[2], 6, 11, 9);
}

TEST(WindowTest, AShortTextIsOneWindow) {
  const auto windows = WindowsOf(1, 3, {5, 4});
  ASSERT_EQ(windows.size(), 1u);
  ExpectWindow(windows[0], 0, 3, 1);
}

TEST(WindowTest, WindowsThatScoreNothingAreLeftOut) {
  const auto windows = WindowsOf(7, 11, {5, 2});
  ASSERT_EQ(windows.size(), 2u);
  ExpectWindow(windows[0], 4, 9, 7);
  ExpectWindow(windows[1], 6, 11, 9);
  EXPECT_TRUE(WindowsOf(11, 11, {5, 2}).empty());
}

// Each token is scored once, in order, and sees as many tokens before it as the definition says.
TEST(WindowTest, EveryTokenIsScoredOnceInEveryShape) {
  for (int32_t end = 1; end < 40; ++end) {
    for (int32_t tokens = 2; tokens < 12; ++tokens) {
      for (int32_t stride = 1; stride < tokens; ++stride) {
        for (const int32_t from : {1, 2, end / 2, end}) {
          if (from < 1 || from > end) continue;
          int32_t next = from, last_end = 0;
          for (const Window& window : WindowsOf(from, end, {tokens, stride})) {
            ASSERT_EQ(window.scored_from, next);
            ASSERT_GT(window.scored_from, window.begin);
            ASSERT_LE(window.end - window.begin, tokens);
            ASSERT_TRUE(window.begin == 0 || window.end - window.begin == tokens);
            ASSERT_GT(window.end, last_end);
            next = last_end = window.end;
          }
          ASSERT_EQ(next, end);
        }
      }
    }
  }
}

}  // namespace
}  // namespace dyad
