// Files inside files; what is broken says so. More in line_input_test and corpus_test.
#include "client/packed_file.h"

#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "gtest/gtest.h"
#include "tests/support/archives.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

// "name:content " of every file inside, or the error.
absl::StatusOr<std::string> Contents(const std::string& path, Packing packing) {
  auto file = PackedFile::Open(path, packing);
  if (!file.ok()) return file.status();
  std::string all;
  while (true) {
    const auto name = file->NextFile();
    if (!name.ok()) return name.status();
    if (!name->has_value()) return all;
    all += **name + ":";
    std::array<char, 3> buffer;
    while (true) {
      const auto count = file->Read(buffer);
      if (!count.ok()) return count.status();
      if (*count == 0) break;
      all.append(buffer.data(), *count);
    }
    all += " ";
  }
}

TEST(PackedFileTest, ReadsTextGzipTarAndZip) {
  const TemporaryFolder folder;
  const std::string text = folder.Write("text", "hello");
  const std::string gzip = folder.Write("text.gz", testing::Gzip("hello"));
  for (const Packing packing : {Packing::kText, Packing::kArchive}) {
    EXPECT_EQ(*Contents(text, packing), "text:hello ");
    EXPECT_EQ(*Contents(gzip, packing), "text.gz:hello ");
    EXPECT_EQ(*Contents(folder.Write("empty", ""), packing), "");
  }
  const testing::ArchivedFiles files = {{"a", "hello"}, {"d/b", "you"}};
  testing::WriteTarGz(folder.Path("x.tar.gz"), files);
  testing::WriteZip(folder.Path("x.zip"), files);
  EXPECT_EQ(*Contents(folder.Path("x.tar.gz"), Packing::kArchive), "a:hello d/b:you ");
  EXPECT_EQ(*Contents(folder.Path("x.zip"), Packing::kArchive), "a:hello d/b:you ");
}

// libarchive knows some formats by a program that unpacks them. What is in a file decides nothing
// of what is run.
TEST(PackedFileTest, StartsNoProgram) {
  const TemporaryFolder folder;
  for (const char* program : {"lrzip", "lzop", "grzip"}) {
    const std::string script = folder.Write(program, "#!/bin/sh\n: > \"$0.ran\"\n");
    ASSERT_EQ(chmod(script.c_str(), 0755), 0);
  }
  const std::string path = std::getenv("PATH");
  setenv("PATH", (folder.Path("") + ":" + path).c_str(), 1);
  for (const std::string& magic :
       {std::string("LRZI\x00\x06", 6), std::string("\x89LZO\x00\r\n\x1a\n", 9),
        std::string("GRZipII\x00\x02\x04:)", 12)}) {
    const std::string file = folder.Write("x.jsonl", magic + std::string(100, 'x'));
    EXPECT_THAT(*Contents(file, Packing::kArchive), HasSubstr(magic));
  }
  setenv("PATH", path.c_str(), 1);
  for (const char* ran : {"lrzip.ran", "lzop.ran", "grzip.ran"}) {
    EXPECT_FALSE(std::filesystem::exists(folder.Path(ran))) << ran;
  }
}

TEST(PackedFileTest, NamesWhatIsBroken) {
  const TemporaryFolder folder;
  const std::string gzip = testing::Gzip(std::string(1000, 'x'));
  EXPECT_THAT(Contents(folder.Write("torn", gzip.substr(0, gzip.size() / 2)), Packing::kText),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("torn: cannot be read")));
  EXPECT_THAT(Contents(folder.Path("none"), Packing::kText),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none: No such file")));
  EXPECT_THAT(Contents(folder.Path(""), Packing::kArchive),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a folder")));
}

}  // namespace
}  // namespace dyad::client
