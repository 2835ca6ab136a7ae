// What a page says of runs of a task.
#include "client/report_task.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/report_files.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::PairLine;
using testing::RunHeaderLine;

class ReportTaskTest : public ::testing::Test {
 protected:
  TaskReport Read(const std::string& lines, const std::string& baselines = "") {
    return *ReadTaskReport(folder_.Write("a", RunHeaderLine("blimp") + lines), baselines);
  }
  testing::TemporaryFolder folder_;
};

TEST_F(ReportTaskTest, TheSentenceHasWhatAPaperNeeds) {
  const std::string text =
      TaskSentence(Read(PairLine("u", "p", 1) + PairLine("v", "p", -1) + PairLine("v", "p", 0)));
  EXPECT_THAT(text,
              HasSubstr("demo (digest ddddeeeeffff) on blimp, convention BABYLM: mean accuracy "
                        "over 2 rows 0.7500 (95 % interval "));
  EXPECT_THAT(
      text, HasSubstr("; 0.6667 of 3 items (95 % interval 0.2077 to 0.9385, Wilson); 1 tie, won"));
  EXPECT_THAT(text, HasSubstr("Run 0123456789ab."));
  EXPECT_THAT(TaskSentence(Read("")), HasSubstr("no item has a score"));
  TaskReport part = Read(PairLine("u", "p", 1));
  EXPECT_THAT(TaskSentence(part), HasSubstr(", Wilson); no ties. Run "));
  part.run.header["options"]["limit"] = 60;
  EXPECT_THAT(TaskSentence(part),
              HasSubstr(" on blimp, the first 60 lines of each file, convention"));
}

TEST_F(ReportTaskTest, RowsAreSortedInsideTheirPhenomenon) {
  const std::string people = folder_.Write(
      "b.csv", "source,task,row,accuracy,n\npeople,blimp,p,0.9,20\npeople,blimp,macro,0.8,\n");
  const TaskReport report =
      Read(PairLine("worse", "p", -1) + PairLine("better", "p", 1) + PairLine("x", "q", 1), people);
  const std::string html = TaskHtml({&report});
  EXPECT_THAT(html, HasSubstr("Accuracy by phenomenon"));
  const size_t table = html.find("Every row, inside its phenomenon");
  ASSERT_NE(table, std::string::npos);
  EXPECT_LT(html.find("better", table), html.find("worse", table));
  EXPECT_THAT(html, HasSubstr("<div class=\"dot group\"><span><bdi>q</bdi>"));
  EXPECT_THAT(html, HasSubstr("people 0.9000, 0.6990 to 0.9721 (n = 20)"));
  EXPECT_THAT(html, HasSubstr("<p>macro: <bdi>people 0.8000</bdi></p>"));
  EXPECT_THAT(html, HasSubstr("Margin of the right text"));
  EXPECT_THAT(html, HasSubstr("line class=\"chance\" x1=\"50.00%\""));
  // Where each phenomenon is a row, it stands once.
  const TaskReport flat = Read(PairLine("p", "p", 1) + PairLine("q", "q", 1));
  EXPECT_THAT(TaskHtml({&flat}), Not(HasSubstr("Accuracy by phenomenon")));
}

TEST_F(ReportTaskTest, RunsStandSideBySide) {
  const TaskReport a = Read(PairLine("u", "u", 1)), b = Read(PairLine("u", "u", -1));
  const std::string html = TaskHtml({&a, &b});
  EXPECT_THAT(html, Not(HasSubstr("dot group")));
  EXPECT_THAT(html, HasSubstr("u, run 1: 1.0000"));
  EXPECT_THAT(html, HasSubstr("u, run 2: 0.0000"));
  EXPECT_THAT(html, HasSubstr("Margins, run 2"));
}

TEST_F(ReportTaskTest, NotesSayWhatFailedAndWhatIsMissing) {
  ReportFaults faults;
  for (size_t i = 1; i <= kMaxFaultsOnPage + 1; ++i) {
    faults.Add(i, {{"code", "INTERNAL"}, {"message", "<m>"}});
  }
  const Json header = {{"input", {{"items", 1000}}}};
  const std::string html = NotesHtml("f<", faults, 2, 30, header);
  EXPECT_THAT(html, HasSubstr("<bdi>f&lt;</bdi>"));
  EXPECT_THAT(html, HasSubstr("21 items failed with INTERNAL"));
  EXPECT_THAT(html, HasSubstr("2 items without a label"));
  EXPECT_THAT(html, HasSubstr("the run is not finished: 30 of 1,000 items"));
  EXPECT_THAT(html, HasSubstr("no digest"));
  EXPECT_THAT(html, HasSubstr("The first 20 that failed"));
  EXPECT_THAT(html, HasSubstr("<bdi>&lt;m&gt;</bdi>"));
  EXPECT_EQ(NotesHtml("f", {}, 0, 3, {{"input", {{"items", 3}, {"sha256", "s"}}}}), "");
}

}  // namespace
}  // namespace dyad::client
