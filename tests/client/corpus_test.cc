// Corpora from folders and archives.
#include "client/corpus.h"

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

TEST(CorpusTest, ReadsAFolderByFileName) {
  const TemporaryFolder folder;
  folder.Write("data/b.jsonl", "b1\nb2");
  folder.Write("data/a.jsonl", "a1\n\na2\n");
  folder.Write("data/README.md", "no");
  const auto corpus = ReadCorpus(folder.Path(""), {});
  ASSERT_OK(corpus);
  EXPECT_THAT(corpus->lines, ElementsAre("a1", "a2", "b1", "b2"));
  EXPECT_THAT(corpus->files, ElementsAre("data/a.jsonl", "data/b.jsonl"));
}

TEST(CorpusTest, ReadsAGzippedTar) {
  const TemporaryFolder folder;
  const std::string path = folder.Path("blimp.tar.gz");
  testing::WriteTarGz(path, {{"data/b.jsonl", "b1\n"},
                             {"data/a.jsonl", "a1\na2\n"},
                             {"data/._a.jsonl", "attributes"},
                             {"data/notes.txt", "no\n"}});
  const auto corpus = ReadCorpus(path, {});
  ASSERT_OK(corpus);
  EXPECT_THAT(corpus->lines, ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(corpus->files, ElementsAre());
}

TEST(CorpusTest, AnOutputIsReadWithoutItsHeader) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a.jsonl", "{\"dyad_run\":{}}\na1\n");
  EXPECT_THAT(ReadCorpus(path, {})->lines, ElementsAre("a1"));
}

TEST(CorpusTest, LinesAreLookedAtBeforeAnythingIsScored) {
  const TemporaryFolder folder;
  folder.Write("a.jsonl", "{\"k\":1}\n");
  folder.Write("b.jsonl", "{\"k\":1}\n\n{\"n\":1}\n");
  const CorpusReading reading = {.file_key = "file", .check = [](const Json& line) {
                                   return line.contains("k")
                                              ? absl::OkStatus()
                                              : absl::InvalidArgumentError("lacks the key k");
                                 }};
  EXPECT_THAT(
      ReadCorpus(folder.Path(""), reading),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b.jsonl: line 3: lacks the key k")));
  EXPECT_THAT(ReadCorpus(folder.Path("a.jsonl"), reading)->lines,
              ElementsAre(R"({"k":1,"file":"a"})"));
  folder.Write("a.jsonl", "no JSON\n");
  EXPECT_THAT(ReadCorpus(folder.Path("a.jsonl"), reading),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a.jsonl: line 1: not JSON")));
}

TEST(CorpusTest, TablesAndArraysBecomeLines) {
  const TemporaryFolder folder;
  const std::string csv =
      "\xef\xbb\xbf"
      "a,b\r\n1,\"x\r\ny\"\r\n";
  const auto row = ElementsAre(R"({"a":"1","b":"x\r\ny","UID":"t"})");
  EXPECT_THAT(ReadCorpus(folder.Write("t.csv", csv), {})->lines, row);
  EXPECT_THAT(ReadCorpus(folder.Write("t.csv.gz", testing::Gzip(csv)), {})->lines, row);
  // What is compressed is told by its bytes, what it is by its name or the flag.
  EXPECT_THAT(ReadCorpus(folder.Write("packed/t.csv", testing::Gzip(csv)), {})->lines, row);
  EXPECT_THAT(ReadCorpus(folder.Write("t.txt", csv), {.format = TableFormat::kCsv})->lines, row);
  EXPECT_THAT(ReadCorpus(folder.Write("t.tsv", "a\tb\n1\t2\n"), {})->lines,
              ElementsAre(R"({"a":"1","b":"2","UID":"t"})"));
  EXPECT_THAT(ReadCorpus(folder.Write("t.json", "[{\"a\":1},{\"UID\":\"u\"}]"), {})->lines,
              ElementsAre(R"({"a":1,"UID":"t"})", R"({"UID":"u"})"));
  // Of a folder and an archive lines of JSON, or what the flag says.
  const CorpusReading tables = {.format = TableFormat::kCsv};
  folder.Write("data/a.jsonl", "a1\n");
  folder.Write("data/b.csv", "a\n1\n");
  EXPECT_THAT(ReadCorpus(folder.Path("data"), {})->lines, ElementsAre("a1"));
  EXPECT_THAT(ReadCorpus(folder.Path("data"), tables)->lines,
              ElementsAre(R"({"a":"1","UID":"b"})"));
  testing::WriteZip(folder.Path("b.zip"), {{"b.csv", "a\n1\n"}, {"c.jsonl", "c1\n"}});
  EXPECT_THAT(ReadCorpus(folder.Path("b.zip"), {})->lines, ElementsAre("c1"));
  EXPECT_THAT(ReadCorpus(folder.Path("b.zip"), tables)->lines,
              ElementsAre(R"({"a":"1","UID":"b"})"));
}

TEST(CorpusTest, KeysStandInOtherColumns) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a.csv", "n,acceptable,bad\n1,x,y\n");
  EXPECT_THAT(ReadCorpus(path, {.columns = {{"good", "acceptable"}}})->lines,
              ElementsAre(R"({"n":"1","good":"x","bad":"y","UID":"a"})"));
  EXPECT_THAT(ReadCorpus(path, {.columns = {{"good", "none"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("a.csv: line 2: lacks the key 'none' of --columns")));
  EXPECT_THAT(ReadCorpus(path, {.columns = {{"n", "bad"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("line 2: has the key 'n' beside 'bad'")));
}

TEST(CorpusTest, WhatIsNoTextOrEmptyIsNamed) {
  const TemporaryFolder folder;
  const auto fails = [&](const std::string& name, const std::string& content, const char* message) {
    EXPECT_THAT(ReadCorpus(folder.Write(name, content), {}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  fails("a.jsonl", "", "a.jsonl is empty");
  fails("a.csv", "", "a.csv is empty");
  fails("b.jsonl", "\n \n", "b.jsonl has no lines");
  fails("b.json", "[]", "b.json has no lines");
  fails("b.csv", "a,b\n", "b.csv has no lines");
  fails("c.jsonl",
        std::string("\x7f"
                    "ELF\0\0",
                    6),
        "c.jsonl: has a zero byte: a binary file");
  fails("c.txt", "{}\n", "c.txt is no archive with *.jsonl files, and none itself; --format says");
  fails("d.csv", "a,b\n1,2\n1\n", "d.csv: line 3, column 2: the record has 1 columns");
  testing::WriteZip(folder.Path("e.csv"), {{"x.md", "no"}});  // an archive under another name
  EXPECT_THAT(
      ReadCorpus(folder.Path("e.csv"), {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no archive with *.jsonl")));
}

TEST(CorpusTest, TheLimitHoldsForEachFile) {
  const TemporaryFolder folder;
  folder.Write("a.jsonl", "a1\na2\na3\n");
  folder.Write("b.jsonl", "b1\n");
  EXPECT_THAT(ReadCorpus(folder.Path(""), {.limit = 2})->lines, ElementsAre("a1", "a2", "b1"));
}

TEST(CorpusTest, NamesAPathThatHoldsNoCorpus) {
  const TemporaryFolder folder;
  EXPECT_THAT(ReadCorpus(folder.Path("none"), {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(ReadCorpus(folder.Path(""), {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no *.jsonl")));
  EXPECT_EQ(ReadCorpus(folder.Write("x.tar.gz", "not an archive"), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(CorpusTest, ReadsAZipAndSingleFiles) {
  const TemporaryFolder folder;
  testing::WriteZip(folder.Path("b.zip"),
                    {{"blimp-master/data/b.jsonl", "b1\n"}, {"blimp-master/README.md", "no"}});
  EXPECT_THAT(ReadCorpus(folder.Path("b.zip"), {})->lines, ElementsAre("b1"));
  folder.Write("b.jsonl", "b1\n\nb2\n");
  EXPECT_THAT(ReadCorpus(folder.Path("b.jsonl"), {})->lines, ElementsAre("b1", "b2"));
  folder.Write("only/c.jsonl.gz", testing::Gzip("c1\n"));
  EXPECT_THAT(ReadCorpus(folder.Path("only/c.jsonl.gz"), {})->lines, ElementsAre("c1"));
  EXPECT_THAT(ReadCorpus(folder.Path("only"), {})->lines, ElementsAre("c1"));
}

TEST(CorpusTest, AFileWithoutUidIsAParadigm) {
  const TemporaryFolder folder;
  folder.Write("data/hypernym.jsonl", "{\"a\": 1}\n{\"a\": 2, \"UID\": \"own\"}\nno JSON\n");
  const auto expected =
      ElementsAre(R"({"a":1,"UID":"hypernym"})", R"({"a": 2, "UID": "own"})", "no JSON");
  EXPECT_THAT(ReadCorpus(folder.Path("data"), {})->lines, expected);
  EXPECT_THAT(ReadCorpus(folder.Path("data/hypernym.jsonl"), {})->lines, expected);
}

TEST(CorpusTest, WhatCannotBeReadIsNoAbsence) {
  const TemporaryFolder folder;
  folder.Write("data/a.jsonl", "a1\n");
  const std::string data = folder.Path("data"), link = folder.Path("data/b.jsonl");
  const auto refusal = [&](const std::string& path) {
    const auto corpus = ReadCorpus(path, {});
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

TEST(CorpusTest, AFolderWithoutRightsSaysSo) {
  using std::filesystem::perms;
  const TemporaryFolder folder;
  folder.Write("data/a.jsonl", "a1\n");
  std::filesystem::permissions(folder.Path(""), perms::all);
  std::filesystem::permissions(folder.Path("data"), perms::none);
  {
    const testing::WithoutRights nobody;
    EXPECT_EQ(ReadCorpus(folder.Path("data"), {}).status().message(),
              "cannot read the folder " + folder.Path("data") + ": Permission denied");
  }
  std::filesystem::permissions(folder.Path("data"), perms::owner_all);
}

TEST(CorpusTest, ATornArchiveIsAnError) {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; i < 20000; ++i) content += std::to_string(i * 7919 % 10007) + "\n";
  testing::WriteTarGz(folder.Path("whole.tar.gz"), {{"a.jsonl", content}});
  const std::string whole = folder.Read("whole.tar.gz");
  const std::string torn = folder.Write("torn.tar.gz", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(ReadCorpus(torn, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("torn.tar.gz")));
}

TEST(CorpusTest, TheRealCorpusHasAllItsPairs) {
  const auto path = testing::SharedDir() / "data" / "blimp" / "blimp.tar.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "BLiMP is not here: " << path;
  const auto corpus = ReadCorpus(path.string(), {});
  ASSERT_OK(corpus);
  EXPECT_EQ(corpus->lines.size(), 67000u);
}

}  // namespace
}  // namespace dyad::client
