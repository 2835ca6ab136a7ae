// Outputs of surprisal as strips.
#include "client/report_words.h"

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

std::string Word(int item, const std::string& word, const Json& surprisal) {
  return FormatLine({{"text", "own"},
                     {"item", item},
                     {"word", word},
                     {"tokens", 2},
                     {"surprisal", surprisal},
                     {"run", "0123456789ab"}}) +
         "\n";
}

class ReportWordsTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
};

TEST_F(ReportWordsTest, SentencesAreShadedByBits) {
  const auto report = ReadWordsReport(folder_.Write(
      "a.jsonl",
      RunHeaderLine("surprisal") + Word(0, "<b>", 5.25) + Word(0, "x", nullptr) +
          Word(2, "y", 99.0) +
          "{\"item\":3,\"run\":\"0123456789ab\",\"error\":{\"code\":\"C\",\"message\":\"m\"}}\n"));
  ASSERT_OK(report);
  EXPECT_EQ(report->all_sentences, 3);
  EXPECT_EQ(report->all_words, 3);
  EXPECT_EQ(report->without_value, 1);
  EXPECT_EQ(report->faults.first[0].answer, 4u);
  ASSERT_EQ(report->sentences.size(), 2u);
  const std::string html = WordsHtml(*report);
  EXPECT_THAT(html, HasSubstr("<span class=\"word w2\"><bdi>&lt;b&gt;</bdi><small>5.25</small>"));
  EXPECT_THAT(html, HasSubstr("<span class=\"word\"><bdi>x</bdi><small>–</small>"));
  EXPECT_THAT(html, HasSubstr("<span class=\"word w9\"><bdi>y</bdi><small>99.00</small>"));
  EXPECT_THAT(html, HasSubstr("5.250</td>"));
}

TEST_F(ReportWordsTest, TablesHaveTheirHeaderBeside) {
  folder_.Write("a.csv.run.json", RunHeaderLine("surprisal"));
  const std::string path =
      folder_.Write("a.csv",
                    "text,item,word,tokens,surprisal,run,error\nown,0,a,1,2.5,0123456789ab,\n"
                    "own,1,,,,0123456789ab,INVALID_ARGUMENT: no\n");
  const auto report = ReadWordsReport(path);
  ASSERT_OK(report);
  EXPECT_EQ(report->sentences.size(), 1u);
  EXPECT_EQ(report->sentences[0].words[0].value, 2.5);
  EXPECT_EQ(report->faults.first[0].code, "INVALID_ARGUMENT");
  EXPECT_EQ(report->faults.first[0].message, "no");
}

TEST_F(ReportWordsTest, ThePageIsBounded) {
  std::string lines = RunHeaderLine("surprisal");
  for (int i = 0; i < static_cast<int>(kMaxSentencesOnPage) + 5; ++i) lines += Word(i, "w", 1.0);
  const auto report = ReadWordsReport(folder_.Write("a.jsonl", lines));
  ASSERT_OK(report);
  EXPECT_EQ(report->sentences.size(), kMaxSentencesOnPage);
  EXPECT_THAT(WordsHtml(*report), HasSubstr("Shown are the first 100 of 105 sentences"));
}

TEST_F(ReportWordsTest, OtherFilesAreRefused) {
  EXPECT_THAT(
      ReadWordsReport(folder_.Write("b.jsonl", RunHeaderLine("surprisal") + "{\"item\":0}\n")),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("b.jsonl: row 1 is none of this run")));
}

}  // namespace
}  // namespace dyad::client
