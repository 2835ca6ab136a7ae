// A read-only file in memory.
#include "server/checkpoint/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/checkpoint/byte_reader.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::ScratchFolder;
using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

TEST(MappedFileTest, ShowsTheBytesOfTheFile) {
  const ScratchFolder folder;
  folder.Write("a", "some bytes");
  const auto file = MappedFile::Open(folder.path(), "a");
  ASSERT_OK(file);
  EXPECT_EQ(AsText((*file)->bytes()), "some bytes");
  EXPECT_EQ((*file)->name(), "a");
}

TEST(MappedFileTest, AnEmptyFileIsEmpty) {
  const ScratchFolder folder;
  folder.Write("a", "");
  const auto file = MappedFile::Open(folder.path(), "a");
  ASSERT_OK(file);
  EXPECT_TRUE((*file)->bytes().empty());
  (*file)->Release((*file)->bytes());
}

TEST(MappedFileTest, NamesStayInTheFolder) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "inner");
  folder.Write("outside", "x");
  const std::string inner = (folder / "inner").string();
  for (const std::string_view name : {"../outside", "/etc/passwd", "..", ".", "", "a/b"}) {
    EXPECT_THAT(MappedFile::Open(inner, name),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected the plain name")))
        << name;
  }
  using namespace std::string_view_literals;
  EXPECT_FALSE(CheckPlainFileName("a\0b"sv).ok());
  EXPECT_OK(CheckPlainFileName("model-00001-of-00002.safetensors"));
  EXPECT_OK(CheckPlainFileName("..."));
}

TEST(MappedFileTest, FollowsASymbolicLink) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "inner");
  folder.Write("blob", "content");
  std::filesystem::create_symlink("../blob", folder / "inner/link");
  const auto file = MappedFile::Open((folder / "inner").string(), "link");
  ASSERT_OK(file);
  EXPECT_EQ(AsText((*file)->bytes()), "content");
}

TEST(MappedFileTest, RefusesWhatIsNoRegularFile) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "directory");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  for (const std::string_view name : {"directory", "pipe"}) {
    EXPECT_THAT(MappedFile::Open(folder.path(), name),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("regular file")));
  }
  for (const std::string_view name : {"dangling", "absent"}) {
    EXPECT_THAT(MappedFile::Open(folder.path(), name),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr(std::string(name))));
  }
}

// Pages of the mapping that this process holds, by the kernel's account of its mappings.
int64_t ResidentBytes(const void* start) {
  std::ifstream maps("/proc/self/smaps");
  const std::string wanted = absl::StrCat(absl::Hex(start)) + "-";
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(wanted)) here = true;
    if (here && line.starts_with("Rss:")) return 1024 * std::stoll(line.substr(4));
  }
  return -1;
}

TEST(MappedFileTest, ReleasedPagesAreNotResidentButStillReadable) {
  const ScratchFolder folder;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const std::string content(64 * page, 'x');
  folder.Write("a", content);
  const auto file = MappedFile::Open(folder.path(), "a");
  ASSERT_OK(file);
  const auto bytes = (*file)->bytes();
  ASSERT_EQ(AsText(bytes), content);
  const int64_t before = ResidentBytes(bytes.data());
  ASSERT_EQ(before, static_cast<int64_t>(bytes.size()));
  (*file)->Release(bytes.subspan(1, 10 * page));  // nine whole pages inside
  EXPECT_EQ(ResidentBytes(bytes.data()), before - static_cast<int64_t>(9 * page));
  (*file)->Release(bytes);
  EXPECT_EQ(ResidentBytes(bytes.data()), 0);
  EXPECT_EQ(AsText(bytes), content);
}

TEST(MappedFileTest, ReleasingSomethingElseDoesNothing) {
  const ScratchFolder folder;
  folder.Write("a", "x");
  const auto file = MappedFile::Open(folder.path(), "a");
  ASSERT_OK(file);
  const std::string other(100'000, 'y');
  (*file)->Release(std::as_bytes(std::span(other)));
  EXPECT_EQ(other, std::string(100'000, 'y'));
}

}  // namespace
}  // namespace dyad
