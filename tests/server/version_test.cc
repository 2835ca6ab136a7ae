// The build says what it is of.
#include "server/version.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(VersionTest, VersionAndCommitHaveTheirForms) {
  EXPECT_THAT(Version(), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(Commit(), ::testing::MatchesRegex("[0-9a-f]{12}(-dirty)?|unknown"));
}

}  // namespace
}  // namespace dyad
