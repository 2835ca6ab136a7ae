// The digest is what the real sha256sum prints.
#include "server/checkpoint/digest.h"

#include <cstdio>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::ScratchFolder;
using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

std::string Shell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  char line[256] = "";
  const char* got = fgets(line, sizeof(line), pipe);
  pclose(pipe);
  return got == nullptr ? "" : std::string(line).substr(0, 64);
}

TEST(DigestTest, EqualsTheTool) {
  const ScratchFolder folder;
  folder.Write("config.json", "{}\n");
  folder.Write("model.safetensors", std::string(3'000'001, 'w'));  // several pieces
  folder.Write("empty", "");
  const auto digest = FilesDigest(folder.path(), {"model.safetensors", "empty", "config.json"});
  ASSERT_OK(digest);
  EXPECT_EQ(*digest, Shell("cd " + folder.path() +
                           " && sha256sum config.json empty model.safetensors | sha256sum"));
  EXPECT_EQ(digest->size(), 64u);
}

TEST(DigestTest, SortsByByteNotByLocale) {
  const ScratchFolder folder;
  for (const char* name : {"B", "a", "_", "0"}) folder.Write(name, name);
  const auto digest = FilesDigest(folder.path(), {"a", "_", "B", "0"});
  ASSERT_OK(digest);
  EXPECT_EQ(*digest, Shell("cd " + folder.path() + " && sha256sum 0 B _ a | sha256sum"));
}

TEST(DigestTest, EscapesNamesAsTheToolDoes) {
  const ScratchFolder folder;
  folder.Write("back\\slash.pth", "x");
  folder.Write("line\nfeed.pth", "y");
  const auto digest = FilesDigest(folder.path(), {"line\nfeed.pth", "back\\slash.pth"});
  ASSERT_OK(digest);
  EXPECT_EQ(*digest, Shell("cd " + folder.path() + " && sha256sum back* line* | sha256sum"));
}

TEST(DigestTest, DependsOnContentAndName) {
  const ScratchFolder folder;
  folder.Write("a", "x");
  folder.Write("b", "x");
  const auto a = FilesDigest(folder.path(), {"a"});
  const auto b = FilesDigest(folder.path(), {"b"});
  folder.Write("a", "y");
  const auto changed = FilesDigest(folder.path(), {"a"});
  ASSERT_OK(a);
  ASSERT_OK(b);
  ASSERT_OK(changed);
  EXPECT_NE(*a, *b);
  EXPECT_NE(*a, *changed);
}

TEST(DigestTest, NamesTheFileThatItCannotRead) {
  const ScratchFolder folder;
  EXPECT_THAT(FilesDigest(folder.path(), {"absent.bin"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent.bin")));
  std::filesystem::create_directory(folder / "inner");
  EXPECT_THAT(FilesDigest(folder.path(), {"inner"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("regular file")));
}

}  // namespace
}  // namespace dyad
