// Files that are new, files that are not, and disks that are full.
#include "server/base/new_file.h"

#include <filesystem>

#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::ScratchFolder;
using testing::StatusIs;

TEST(NewFileTest, HoldsWhatWasWritten) {
  const ScratchFolder folder;
  auto file = NewFile::Create(folder / "a");
  ASSERT_OK(file);
  EXPECT_OK(file->Write("one"));
  EXPECT_OK(file->Write(std::as_bytes(std::span("two", 3))));
  EXPECT_OK(file->Close());
  EXPECT_EQ(testing::ReadWhole(folder / "a"), "onetwo");
  EXPECT_OK(WriteNewFile(folder / "b", "three"));
  EXPECT_EQ(testing::ReadWhole(folder / "b"), "three");
}

TEST(NewFileTest, NothingIsWrittenOver) {
  const ScratchFolder folder;
  folder.Write("a", "old");
  EXPECT_THAT(WriteNewFile(folder / "a", "new"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("/a': cannot create it")));
  std::filesystem::create_symlink("nowhere", folder / "link");
  EXPECT_THAT(WriteNewFile(folder / "link", "new"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("link")));
  EXPECT_EQ(testing::ReadWhole(folder / "a"), "old");
}

TEST(NewFileTest, FailuresAreTheSystems) {
  const ScratchFolder folder;
  EXPECT_THAT(WriteNewFile(folder / "none/a", "text"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/a")));
}

}  // namespace
}  // namespace dyad
