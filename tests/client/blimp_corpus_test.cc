// Corpora from folders and archives.
#include "client/blimp_corpus.h"

#include <archive.h>
#include <archive_entry.h>

#include <map>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

// A gzipped tar of these files, in the order of their names.
void WriteTarGz(const std::string& path, const std::map<std::string, std::string>& files) {
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_ustar(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, content] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
}

TEST(BlimpCorpusTest, ReadsAFolderByFileName) {
  const TemporaryFolder folder;
  folder.Write("data/b.jsonl", "b1\nb2");
  folder.Write("data/a.jsonl", "a1\n\na2\n");
  folder.Write("data/README.md", "no");
  const auto lines = ReadBlimp(folder.Path(""), std::nullopt);
  ASSERT_OK(lines);
  EXPECT_THAT(*lines, ElementsAre("a1", "a2", "b1", "b2"));
}

TEST(BlimpCorpusTest, ReadsAGzippedTar) {
  const TemporaryFolder folder;
  const std::string path = folder.Path("blimp.tar.gz");
  WriteTarGz(path, {{"data/b.jsonl", "b1\n"},
                    {"data/a.jsonl", "a1\na2\n"},
                    {"data/._a.jsonl", "attributes"},
                    {"data/notes.txt", "no\n"}});
  const auto lines = ReadBlimp(path, std::nullopt);
  ASSERT_OK(lines);
  EXPECT_THAT(*lines, ElementsAre("a1", "a2", "b1"));
}

TEST(BlimpCorpusTest, TheLimitHoldsForEachFile) {
  const TemporaryFolder folder;
  folder.Write("a.jsonl", "a1\na2\na3\n");
  folder.Write("b.jsonl", "b1\n");
  EXPECT_THAT(*ReadBlimp(folder.Path(""), 2), ElementsAre("a1", "a2", "b1"));
}

TEST(BlimpCorpusTest, NamesAPathThatHoldsNoCorpus) {
  const TemporaryFolder folder;
  EXPECT_THAT(ReadBlimp(folder.Path("none"), std::nullopt),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(ReadBlimp(folder.Path(""), std::nullopt),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no *.jsonl")));
  EXPECT_EQ(ReadBlimp(folder.Write("x.tar.gz", "not an archive"), std::nullopt).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(BlimpCorpusTest, ATornArchiveIsAnError) {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 20000; ++i) content += std::to_string(i * 7919 % 10007) + "\n";
  WriteTarGz(folder.Path("whole.tar.gz"), {{"a.jsonl", content}});
  const std::string whole = folder.Read("whole.tar.gz");
  const std::string torn = folder.Write("torn.tar.gz", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(ReadBlimp(torn, std::nullopt),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("torn.tar.gz")));
}

TEST(BlimpCorpusTest, TheRealCorpusHasAllItsPairs) {
  const auto path = testing::SharedDir() / "data" / "blimp" / "blimp.tar.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "BLiMP is not here: " << path;
  const auto lines = ReadBlimp(path.string(), std::nullopt);
  ASSERT_OK(lines);
  EXPECT_EQ(lines->size(), 67000u);
}

}  // namespace
}  // namespace dyad::client
