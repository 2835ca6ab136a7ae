// What is absent, what cannot be read, what is something else, and what each message advises.
#include "server/base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unreadable.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string name = fs::temp_directory_path() / "dyad_file_XXXXXX";
    folder_ = mkdtemp(name.data());
    fs::permissions(folder_, static_cast<fs::perms>(0755));
  }
  ~FileTest() override {
    std::error_code ignored;
    fs::permissions(folder_ / "no_rights", fs::perms::all, ignored);
    fs::remove_all(folder_, ignored);
  }
  fs::path Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  fs::path folder_;
};

TEST_F(FileTest, WhatIsThereAndCannotBeReadIsNotAbsent) {
  EXPECT_EQ(*HasEntry(folder_ / "absent"), false);
  EXPECT_THAT(ReadFile(folder_ / "absent", 10), StatusIs(kNotFound, HasSubstr("'absent'")));
  for (const testing::Unreadable& way : testing::kUnreadable) {
    const fs::path path = folder_ / way.name;
    way.make(path);
    const testing::WithoutRights nobody;
    EXPECT_EQ(*HasEntry(path), true) << way.name;
    const auto content = ReadFile(path, 10);
    ASSERT_FALSE(content.ok()) << way.name;
    EXPECT_THAT(std::string(content.status().message()),
                AllOf(HasSubstr(way.name), HasSubstr(way.reason), HasSubstr("a link to ")));
  }
  const testing::WithoutRights nobody;
  EXPECT_THAT(HasEntry(folder_ / "no_rights/file"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("no_rights/file")));
}

TEST_F(FileTest, AFileIsReadWholeAndBounded) {
  EXPECT_EQ(*ReadFile(Write("a", std::string("x\0y", 3)), 3), std::string("x\0y", 3));
  EXPECT_EQ(*ReadFile(Write("empty", ""), 0), "");
  EXPECT_THAT(ReadFile(folder_ / "a", 2),
              StatusIs(kInvalid, HasSubstr("'a': has 3 bytes; at most 2 are read")));
  EXPECT_THAT(ReadFile(folder_, 10), StatusIs(kInvalid, HasSubstr("is not a regular file")));
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(ReadFile(folder_ / "pipe", 10), StatusIs(kInvalid, HasSubstr("regular file")));
}

TEST_F(FileTest, WhatADownloadLeftInAFilesPlaceIsNamed) {
  const fs::path pointer =
      Write("w.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
  EXPECT_THAT(OpenFile::Open(pointer),
              StatusIs(kInvalid, AllOf(HasSubstr("'w.bin': is a Git LFS pointer"),
                                       HasSubstr("'git lfs pull'"))));
  for (const char* page : {"<!DOCTYPE html>\n<html>", "\n <html lang=en>", "<!doctype HTML>"}) {
    EXPECT_THAT(OpenFile::Open(Write("c.json", page)),
                StatusIs(kInvalid, HasSubstr("'c.json': is a web page")));
  }
  EXPECT_OK(OpenFile::Open(Write("merges.txt", "< html\n")));
}

TEST_F(FileTest, AModelsFolderIsToldFromWhatPeopleGiveInItsPlace) {
  EXPECT_OK(CheckModelFolder(folder_));
  EXPECT_THAT(CheckModelFolder("some-org/Some_model-1.3b"),
              StatusIs(kNotFound, AllOf(HasSubstr("no such folder"), HasSubstr("Hugging Face hub"),
                                        HasSubstr("hf download some-org/Some_model-1.3b"))));
  EXPECT_THAT(CheckModelFolder(folder_ / "absent"),
              StatusIs(kNotFound, HasSubstr("no such folder")));
  EXPECT_THAT(CheckModelFolder(Write("model.safetensors", "")),
              StatusIs(kInvalid, AllOf(HasSubstr("is a file"), HasSubstr(folder_.string()))));
  fs::create_directories(folder_ / "models--org--m/snapshots/0a1b2c");
  EXPECT_THAT(CheckModelFolder(folder_ / "models--org--m"),
              StatusIs(kInvalid, HasSubstr("models--org--m/snapshots/0a1b2c")));
  fs::create_symlink("gone", folder_ / "link");
  EXPECT_THAT(CheckModelFolder(folder_ / "link"),
              StatusIs(kNotFound, AllOf(HasSubstr("'link'"), HasSubstr("a link to 'gone'"))));
  fs::create_directory(folder_ / "closed");
  fs::permissions(folder_ / "closed", {});
  const testing::WithoutRights nobody;
  EXPECT_THAT(CheckModelFolder(folder_ / "closed"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("closed")));
}

}  // namespace
}  // namespace dyad
