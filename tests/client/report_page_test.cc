// A whole page: one file that asks for nothing, whatever stands in the runs.
#include "client/report_page.h"

#include "client/json_line.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/report_files.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::PairLine;
using testing::RunHeaderLine;
using ::testing::StartsWith;
using testing::StatusIs;

class ReportPageTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
};

TEST_F(ReportPageTest, NothingOfTheDataIsMarkup) {
  const std::string evil = "<script>alert(1)</script><img src=x onerror=y>\" onload='z",
                    rtl = "שלום\u202e", long_text(10'000, 'w');
  std::string lines = RunHeaderLine("blimp");
  for (const std::string& text : {evil, rtl, long_text}) {
    lines += PairLine(text, text, 1);
    lines += FormatLine({{"UID", text}, {"error", {{"code", text}, {"message", text}}}}) + "\n";
  }
  const std::string path = folder_.Write(evil.substr(0, 6) + ".jsonl", lines);
  std::string other = RunHeaderLine("blimp", "s", "LM_EVAL");
  for (const std::string& text : {evil, rtl, long_text}) {
    other += PairLine(text, text, -1) +
             FormatLine({{"UID", text}, {"error", {{"code", "x"}, {"message", "y"}}}}) + "\n";
  }
  const auto page = ReportPage({path, folder_.Write("b", other)}, "");
  ASSERT_OK(page);
  EXPECT_THAT(*page, StartsWith("<!DOCTYPE html>\n<html lang=\"en\">"));
  EXPECT_THAT(*page, HasSubstr("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                               "'none'; style-src 'unsafe-inline'\">"));
  for (const char* markup : {"<script", "<img", "<a ", "<link", "<iframe", "javascript:", "http:",
                             "https:", "url(", "@import", " src=", " href="}) {
    std::string data = *page;
    // In the data it stands as text.
    EXPECT_THAT(data, Not(HasSubstr(std::string(markup) == " src=" ? "<img src=" : markup)))
        << markup;
  }
  EXPECT_THAT(*page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(*page, HasSubstr(long_text));
  EXPECT_THAT(*page, HasSubstr("<bdi>good שלום\u202e</bdi>"));
  EXPECT_THAT(*page, HasSubstr("The two runs compared"));
}

TEST_F(ReportPageTest, EveryKindOfRunHasItsPart) {
  const std::string blimp = folder_.Write("a", RunHeaderLine("blimp") + PairLine("u", "p", 1));
  const std::string words =
      folder_.Write("w.jsonl", RunHeaderLine("surprisal") +
                                   "{\"item\":0,\"word\":\"cat\",\"tokens\":1,\"surprisal\":3.5,"
                                   "\"run\":\"0123456789ab\"}\n");
  const std::string people = folder_.Write(
      "b.csv", "source,task,row,accuracy,n\npeople,blimp,p,0.9,\npeople,blimp,typo,0.9,\n");
  const auto page = ReportPage({blimp, words}, people);
  ASSERT_OK(page);
  EXPECT_THAT(*page, HasSubstr("<h1>Report: blimp, surprisal</h1>"));
  EXPECT_THAT(*page, HasSubstr("<h2>blimp</h2>"));
  EXPECT_THAT(*page, HasSubstr("1 words of 1 sentences"));
  EXPECT_THAT(*page, HasSubstr("Baselines of rows that no run has: typo"));
  EXPECT_THAT(*page, HasSubstr("Nothing was refused, nothing failed."));
  EXPECT_THAT(*page, HasSubstr("What the runs are"));
  EXPECT_THAT(*page, Not(HasSubstr("compared")));
}

TEST_F(ReportPageTest, WhatHasNoReportIsNamed) {
  const std::string reading = folder_.Write("r.jsonl", RunHeaderLine("reading"));
  EXPECT_THAT(ReportPage({reading}, ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is an output of reading")));
  const std::string score = folder_.Write("s.jsonl", RunHeaderLine("score") + "{\"sum\":1}\n");
  EXPECT_THAT(ReportPage({score}, ""), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                HasSubstr("answer 1 is no answer of pairs")));
}

}  // namespace
}  // namespace dyad::client
