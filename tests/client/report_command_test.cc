// dyadctl report: flags and files. What is on the page says report_page_test.cc.
#include "client/dyadctl.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/report_files.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::PairLine;
using testing::RunDyadctl;
using testing::RunHeaderLine;
using ::testing::StartsWith;

TEST(ReportCommandTest, WritesOneFile) {
  const testing::TemporaryFolder folder;
  const std::string run = folder.Write("a", RunHeaderLine("blimp") + PairLine("u", "p", 1));
  const std::string out = folder.Write("r.html", "old");
  const auto report = RunDyadctl({"report", run, "--output=" + out});
  EXPECT_EQ(report.status, 0) << report.err;
  EXPECT_THAT(report.out, HasSubstr("r.html: "));
  EXPECT_THAT(folder.Read("r.html"), StartsWith("<!DOCTYPE html>"));
  // What fails leaves the old page.
  EXPECT_EQ(RunDyadctl({"report", folder.Path("none"), "--output=" + out}).status, 1);
  EXPECT_THAT(folder.Read("r.html"), StartsWith("<!DOCTYPE html>"));
}

TEST(ReportCommandTest, WrongCommandLinesAreNamed) {
  const testing::TemporaryFolder folder;
  const std::string run = folder.Write("a", RunHeaderLine("blimp"));
  const auto fails = [](const std::vector<std::string>& words, const char* message) {
    const auto result = RunDyadctl(words);
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.err, HasSubstr(message));
  };
  fails({"report", "--output=x"}, "takes 1 to 8 outputs of runs");
  fails({"report", run}, "--output=FILE says where the page goes");
  fails({"report", run, "--output=" + folder.Path("./a")}, "--output is one of the runs");
  EXPECT_THAT(folder.Read("a"), StartsWith("{\"dyad_run\""));
}

}  // namespace
}  // namespace dyad::client
