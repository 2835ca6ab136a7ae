// Corpora from folders and archives.
#include "client/blimp_corpus.h"

#include <filesystem>

#include "gtest/gtest.h"
#include "tests/support/archives.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unreadable.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

TEST(BlimpCorpusTest, ReadsAFolderByFileName) {
  const TemporaryFolder folder;
  folder.Write("data/b.jsonl", "b1\nb2");
  folder.Write("data/a.jsonl", "a1\n\na2\n");
  folder.Write("data/README.md", "no");
  const auto corpus = ReadBlimp(folder.Path(""), std::nullopt);
  ASSERT_OK(corpus);
  EXPECT_THAT(corpus->lines, ElementsAre("a1", "a2", "b1", "b2"));
  EXPECT_THAT(corpus->files, ElementsAre("data/a.jsonl", "data/b.jsonl"));
}

TEST(BlimpCorpusTest, ReadsAGzippedTar) {
  const TemporaryFolder folder;
  const std::string path = folder.Path("blimp.tar.gz");
  testing::WriteTarGz(path, {{"data/b.jsonl", "b1\n"},
                             {"data/a.jsonl", "a1\na2\n"},
                             {"data/._a.jsonl", "attributes"},
                             {"data/notes.txt", "no\n"}});
  const auto corpus = ReadBlimp(path, std::nullopt);
  ASSERT_OK(corpus);
  EXPECT_THAT(corpus->lines, ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(corpus->files, ElementsAre());
}

TEST(BlimpCorpusTest, AnOutputIsReadWithoutItsHeader) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a.jsonl", "{\"dyad_run\":{}}\na1\n");
  EXPECT_THAT(ReadBlimp(path, std::nullopt)->lines, ElementsAre("a1"));
}

TEST(BlimpCorpusTest, TheLimitHoldsForEachFile) {
  const TemporaryFolder folder;
  folder.Write("a.jsonl", "a1\na2\na3\n");
  folder.Write("b.jsonl", "b1\n");
  EXPECT_THAT(ReadBlimp(folder.Path(""), 2)->lines, ElementsAre("a1", "a2", "b1"));
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

TEST(BlimpCorpusTest, ReadsAZipAndSingleFiles) {
  const TemporaryFolder folder;
  testing::WriteZip(folder.Path("b.zip"),
                    {{"blimp-master/data/b.jsonl", "b1\n"}, {"blimp-master/README.md", "no"}});
  EXPECT_THAT(ReadBlimp(folder.Path("b.zip"), std::nullopt)->lines, ElementsAre("b1"));
  folder.Write("b.jsonl", "b1\n\nb2\n");
  EXPECT_THAT(ReadBlimp(folder.Path("b.jsonl"), std::nullopt)->lines, ElementsAre("b1", "b2"));
  folder.Write("only/c.jsonl.gz", testing::Gzip("c1\n"));
  EXPECT_THAT(ReadBlimp(folder.Path("only/c.jsonl.gz"), std::nullopt)->lines, ElementsAre("c1"));
  EXPECT_THAT(ReadBlimp(folder.Path("only"), std::nullopt)->lines, ElementsAre("c1"));
}

TEST(BlimpCorpusTest, AFileWithoutUidIsAParadigm) {
  const TemporaryFolder folder;
  folder.Write("data/hypernym.jsonl", "{\"a\": 1}\n{\"a\": 2, \"UID\": \"own\"}\nno JSON\n");
  const auto expected =
      ElementsAre(R"({"a":1,"UID":"hypernym"})", R"({"a": 2, "UID": "own"})", "no JSON");
  EXPECT_THAT(ReadBlimp(folder.Path("data"), std::nullopt)->lines, expected);
  EXPECT_THAT(ReadBlimp(folder.Path("data/hypernym.jsonl"), std::nullopt)->lines, expected);
}

TEST(BlimpCorpusTest, WhatCannotBeReadIsNoAbsence) {
  const TemporaryFolder folder;
  folder.Write("data/a.jsonl", "a1\n");
  const std::string data = folder.Path("data"), link = folder.Path("data/b.jsonl");
  const auto refusal = [&](const std::string& path) {
    const auto corpus = ReadBlimp(path, std::nullopt);
    return std::string(corpus.status().message());
  };
  std::filesystem::create_symlink("gone", link);
  EXPECT_EQ(refusal(data), "cannot open " + link + ": No such file or directory");
  std::filesystem::remove(link);
  std::filesystem::create_symlink("b.jsonl", link);
  EXPECT_EQ(refusal(data), "cannot open " + link + ": Too many levels of symbolic links");
  std::filesystem::remove(link);
  EXPECT_EQ(refusal(data + "/a.jsonl/b"), "cannot open " + data + "/a.jsonl/b: Not a directory");
  testing::WriteTarGz(folder.Path("links.tar.gz"), {{"a.jsonl", "a1\n"}}, {{"b.jsonl", "a.jsonl"}});
  EXPECT_THAT(refusal(folder.Path("links.tar.gz")), HasSubstr("b.jsonl inside is a link"));
}

TEST(BlimpCorpusTest, AFolderWithoutRightsSaysSo) {
  using std::filesystem::perms;
  const TemporaryFolder folder;
  folder.Write("data/a.jsonl", "a1\n");
  std::filesystem::permissions(folder.Path(""), perms::all);
  std::filesystem::permissions(folder.Path("data"), perms::none);
  {
    const testing::WithoutRights nobody;
    EXPECT_EQ(ReadBlimp(folder.Path("data"), std::nullopt).status().message(),
              "cannot read the folder " + folder.Path("data") + ": Permission denied");
  }
  std::filesystem::permissions(folder.Path("data"), perms::owner_all);
}

TEST(BlimpCorpusTest, ATornArchiveIsAnError) {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 20000; ++i) content += std::to_string(i * 7919 % 10007) + "\n";
  testing::WriteTarGz(folder.Path("whole.tar.gz"), {{"a.jsonl", content}});
  const std::string whole = folder.Read("whole.tar.gz");
  const std::string torn = folder.Write("torn.tar.gz", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(ReadBlimp(torn, std::nullopt),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("torn.tar.gz")));
}

TEST(BlimpCorpusTest, TheRealCorpusHasAllItsPairs) {
  const auto path = testing::SharedDir() / "data" / "blimp" / "blimp.tar.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "BLiMP is not here: " << path;
  const auto corpus = ReadBlimp(path.string(), std::nullopt);
  ASSERT_OK(corpus);
  EXPECT_EQ(corpus->lines.size(), 67000u);
}

}  // namespace
}  // namespace dyad::client
