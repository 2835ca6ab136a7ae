// Lines of files and of standard input.
#include "client/line_input.h"

#include <filesystem>
#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/archives.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

std::vector<std::string> All(LineInput& input) {
  std::vector<std::string> lines;
  while (auto line = input.next()) lines.push_back(*std::move(line));
  return lines;
}

TEST(LineInputTest, BlankLinesAreNoLinesAndALastOneWithoutLineFeedIs) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  auto input = LineInput::Open(folder.Write("in", "\na\n\n \t\r\nb\r\n c"), unused);
  ASSERT_OK(input);
  EXPECT_EQ(input->total, 3);
  EXPECT_THAT(All(*input), ElementsAre("a", "b\r", " c"));
  EXPECT_OK(input->fault());
  std::istringstream typed("\na\n\n\nb");
  auto standard_input = LineInput::Open("-", typed);
  EXPECT_THAT(All(*standard_input), ElementsAre("a", "b"));
  EXPECT_OK(standard_input->fault());
}

TEST(LineInputTest, HeadersOfRunsAreNoLines) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  auto input = LineInput::Open(
      folder.Write("in",
                   "{\"dyad_run\":{}}\na\n{\"dyad_run\":{}}\n{\"dyad_runs\":1}\n{\"dyad_run\":"),
      unused);
  ASSERT_OK(input);
  EXPECT_EQ(input->total, 2);
  EXPECT_THAT(All(*input), ElementsAre("a", "{\"dyad_runs\":1}"));
}

TEST(LineInputTest, LinesLongerThanABufferAreWhole) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  const std::string line(200'000, 'x');
  auto input = LineInput::Open(folder.Write("in", line + "\n" + line + "y\n"), unused);
  EXPECT_THAT(All(*input), ElementsAre(line, line + "y"));
}

TEST(LineInputTest, GzipIsUnpacked) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  const std::string gzip = testing::Gzip("a\n\nb\n");
  auto input = LineInput::Open(folder.Write("in.gz", gzip), unused);
  ASSERT_OK(input);
  EXPECT_EQ(input->total, 2);
  EXPECT_THAT(All(*input), ElementsAre("a", "b"));
  // A torn one is told before anything is answered.
  EXPECT_THAT(LineInput::Open(folder.Write("torn.gz", gzip.substr(0, gzip.size() - 9)), unused),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("torn.gz")));
}

TEST(LineInputTest, OfAnArrayTheItemsAreLines) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  for (const std::string& array : {std::string("\xef\xbb\xbf [{\"a\": 1},\r\n {\"b\":[2]}]\r\n"),
                                   testing::Gzip("[{\"a\":1},{\"b\":[2]}]")}) {
    auto input = LineInput::Open(folder.Write("in", array), unused);
    ASSERT_OK(input);
    EXPECT_EQ(input->total, 2);
    EXPECT_THAT(All(*input), ElementsAre("{\"a\":1}", "{\"b\":[2]}"));
  }
  EXPECT_EQ(LineInput::Open(folder.Write("in", "[]"), unused)->total, 0);
  const std::pair<const char*, const char*> faults[] = {
      {"[{\"a\": 1},\n {\"b\": nul}]", "not JSON at line 2, column 11"},
      {"[{\"a\": 1},\n 7]", "item 2: must be a JSON object, found: number"},
      {"[{\"a\": 1}]\n{}", "not JSON at line 2, column 1"}};
  for (const auto& [content, message] : faults) {
    EXPECT_THAT(LineInput::Open(folder.Write("in", content), unused),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
}

TEST(LineInputTest, WhatIsNoTextIsRefusedOnce) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  const std::string binary = std::string("{\"a\":1}\n\x01\x00\x02", 11);
  EXPECT_THAT(LineInput::Open(folder.Write("in", binary), unused),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("in is a binary file")));
  for (const std::string& bytes : {binary, testing::Gzip("a\n")}) {
    std::istringstream piped(bytes);
    auto input = LineInput::Open("-", piped);
    All(*input);
    EXPECT_THAT(input->fault(), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("standard input is a binary file")));
    EXPECT_EQ(input->next(), std::nullopt);
  }
  // Without an end.
  auto zeros = LineInput::Open("/dev/zero", unused);
  EXPECT_EQ(zeros->next(), std::nullopt);
  EXPECT_THAT(zeros->fault(), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("/dev/zero is a binary file")));
}

TEST(LineInputTest, AnEmptyFileHasNoLines) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  auto input = LineInput::Open(folder.Write("in", ""), unused);
  EXPECT_EQ(input->total, 0);
  EXPECT_EQ(input->next(), std::nullopt);
}

TEST(LineInputTest, StandardInputHasNoTotal) {
  std::istringstream standard_input("x\ny\n");
  auto input = LineInput::Open("-", standard_input);
  EXPECT_EQ(input->total, std::nullopt);
  EXPECT_EQ(input->next(), "x");
  EXPECT_EQ(input->next(), "y");
  EXPECT_EQ(input->next(), std::nullopt);
}

TEST(LineInputTest, LinesMayComeFromMemory) {
  LineInput input = LineInput::Of({"x", "", "y"});
  EXPECT_EQ(input.total, 3);
  EXPECT_EQ(input.next(), "x");
  EXPECT_EQ(input.next(), "");
  EXPECT_EQ(input.next(), "y");
  EXPECT_EQ(input.next(), std::nullopt);
  EXPECT_EQ(input.next(), std::nullopt);
}

TEST(LineInputTest, SaysWhyAFileCannotBeRead) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_symlink("gone", folder.Path("dangles"));
  std::filesystem::create_symlink("loops", folder.Path("loops"));
  folder.Write("file", "a\n");
  const struct {
    const char* name;
    const char* reason;
  } rows[] = {
      {"none", "No such file or directory"},
      {"dangles", "No such file or directory"},
      {"loops", "Too many levels of symbolic links"},
      {"file/in", "Not a directory"},
  };
  std::istringstream unused;
  for (const auto& row : rows) {
    const std::string path = folder.Path(row.name);
    EXPECT_EQ(LineInput::Open(path, unused).status().message(),
              absl::StrCat("cannot open ", path, ": ", row.reason));
  }
  EXPECT_THAT(LineInput::Open(folder.Path(""), unused),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a folder")));
}

}  // namespace
}  // namespace dyad::client
