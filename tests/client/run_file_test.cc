// Headers where they stand: in the file, beside it, nowhere.
#include "client/run_file.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/report_files.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::RunHeaderLine;
using testing::StatusIs;

TEST(RunFileTest, TheHeaderIsTheFirstLineOrBesideATable) {
  const testing::TemporaryFolder folder;
  const std::string header = RunHeaderLine("surprisal");
  auto run = ReadRunFile(folder.Write("a.jsonl", header + "{}\n"));
  ASSERT_OK(run);
  EXPECT_EQ(run->header["task"]["name"], "surprisal");
  EXPECT_EQ(run->begin, static_cast<int64_t>(header.size()));
  EXPECT_EQ(run->layout.format, TableFormat::kJsonLines);

  folder.Write("a.csv.run.json", header);
  run = ReadRunFile(folder.Write("a.csv", "item\n"));
  ASSERT_OK(run);
  EXPECT_EQ(run->begin, 0);
  EXPECT_EQ(run->layout.format, TableFormat::kCsv);
}

TEST(RunFileTest, WhatANameDoesNotTellTheHeaderBesideDoes) {
  const testing::TemporaryFolder folder;
  Json header = (*ParseLine(RunHeaderLine("surprisal")))["dyad_run"];
  header["options"] = {{"format", "tsv"}, {"prefix", "x_"}};
  folder.Write("out.run.json", FormatLine({{"dyad_run", header}}));
  const auto run = ReadRunFile(folder.Write("out", "x_item\n"));
  ASSERT_OK(run);
  EXPECT_EQ(run->begin, 0);
  EXPECT_EQ(run->layout.format, TableFormat::kTsv);
  EXPECT_EQ(run->layout.prefix, "x_");
}

TEST(RunFileTest, ATableOfReadingIsAsWhatItRead) {
  const testing::TemporaryFolder folder;
  Json header = (*ParseLine(RunHeaderLine("reading")))["dyad_run"];
  header["input"]["name"] = "times.tsv.gz";
  header["options"] = {{"format", "csv"}};
  folder.Write("out.run.json", FormatLine({{"dyad_run", header}}));
  auto run = ReadRunFile(folder.Write("out", "index\n"));
  ASSERT_OK(run);
  EXPECT_EQ(run->layout.format, TableFormat::kTsv);
  EXPECT_EQ(run->layout.item, "index");
  header["input"]["name"] = "times";
  header["options"] = Json::object();
  folder.Write("out.run.json", FormatLine({{"dyad_run", header}}));
  run = ReadRunFile(folder.Path("out"));
  ASSERT_OK(run);
  EXPECT_EQ(run->layout.format, TableFormat::kCsv);
}

TEST(RunFileTest, OtherFilesAreRefused) {
  const testing::TemporaryFolder folder;
  EXPECT_THAT(
      ReadRunFile(folder.Write("a.jsonl", "notes\n")),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("a.jsonl: it has no header")));
  EXPECT_FALSE(ReadRunFile(folder.Write("a.csv", "a\n1\n")).ok());  // none beside it
  EXPECT_THAT(ReadRunFile(folder.Path("none")).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace dyad::client
