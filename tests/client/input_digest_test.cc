// Digests against those of coreutils' sha256sum.
#include "client/input_digest.h"

#include <sys/stat.h>

#include "gtest/gtest.h"
#include "server/base/sha256.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

TEST(InputDigestTest, AFileIsItsBytes) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("in", "abc");
  EXPECT_EQ(
      FormatLine(*DescribeFile(path)),
      FormatLine({{"name", path},
                  {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                  {"bytes", 3}}));
  EXPECT_EQ((*DescribeFile(folder.Write("empty", "")))["sha256"], Sha256Of(""));
  const std::string large(3'000'000, 'x');
  EXPECT_EQ((*DescribeFile(folder.Write("large", large)))["sha256"], Sha256Of(large));
}

// printf 1 > b; printf 2 > a/c: sha256sum a/c b | sha256sum
TEST(InputDigestTest, AFolderIsTheLinesOfSha256sum) {
  const TemporaryFolder folder;
  folder.Write("b", "1");
  folder.Write("a/c", "2");
  folder.Write("unused", "3");
  const auto described = DescribeFolder(folder.Path(""), {"b", "a/c"});
  ASSERT_OK(described);
  EXPECT_EQ((*described)["bytes"], 2);
  EXPECT_EQ((*described)["sha256"], Sha256Of(Sha256Of("2") + "  a/c\n" + Sha256Of("1") + "  b\n"));
  folder.Write("new\nline", "4");
  EXPECT_EQ((*DescribeFolder(folder.Path(""), {"new\nline"}))["sha256"],
            Sha256Of("\\" + Sha256Of("4") + "  new\\nline\n"));
}

TEST(InputDigestTest, WhatCanBeReadOnlyOnceHasANameAlone) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(*DescribeFile(folder.Path("pipe")), (Json{{"name", folder.Path("pipe")}}));
  EXPECT_FALSE(DescribeFile("-")->contains("sha256"));
}

TEST(InputDigestTest, NamesWhatCannotBeRead) {
  EXPECT_THAT(DescribeFile("/nowhere/in"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/in")));
  EXPECT_THAT(DescribeFolder("/nowhere", {"in"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/in")));
}

}  // namespace
}  // namespace dyad::client
