// The old file or the new one, nothing between.
#include "client/replace_file.h"

#include <filesystem>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(ReplaceFileTest, WritesAndReplaces) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.Path("a.html");
  ASSERT_OK(ReplaceFile(path, "one"));
  ASSERT_OK(ReplaceFile(path, "two"));
  EXPECT_EQ(folder.Read("a.html"), "two");
  const std::filesystem::directory_iterator files(folder.Path(""));
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(ReplaceFileTest, WhatIsNoFileStays) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder.Path("d"));
  EXPECT_THAT(ReplaceFile(folder.Path("d"), "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("d is no regular file")));
  EXPECT_THAT(ReplaceFile("/dev/null", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/dev/null")));
  EXPECT_FALSE(ReplaceFile(folder.Path("none/a"), "x").ok());
  EXPECT_TRUE(std::filesystem::is_directory(folder.Path("d")));
}

}  // namespace
}  // namespace dyad::client
