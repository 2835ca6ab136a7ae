// The log with readers of every kind: one that reads, one that stands still, one that has left.
#include "server/server_log.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/steady_clock.h"
#include "tests/support/eventually.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;

// What `write` sends to stderr through a log of this format and level.
template <typename F>
std::string LoggedAt(LogFormat format, LogLevel level, const F& write) {
  ::testing::internal::CaptureStderr();
  {
    ServerLog log(format, level);
    write(log);
  }
  return ::testing::internal::GetCapturedStderr();
}

TEST(ServerLogTest, WritesEveryQueuedLineBeforeItGoes) {
  const std::string logged = LoggedAt(LogFormat::kText, LogLevel::kDebug, [&](ServerLog& log) {
    for (int i = 0; i < 1000; ++i) log.Write(LogLevel::kDebug, "line", {{"i", int64_t{i}}});
  });
  EXPECT_EQ(std::count(logged.begin(), logged.end(), '\n'), 1000);
  EXPECT_THAT(logged, HasSubstr(" debug line i=999\n"));
}

TEST(ServerLogTest, TextOfAnEventIsNeverAFormatString) {
  const std::string logged = LoggedAt(LogFormat::kText, LogLevel::kInfo, [&](ServerLog& log) {
    log.Write(LogLevel::kError, "load", {{"path", "{}%v{0}"}});
  });
  EXPECT_THAT(logged, HasSubstr(" error load path={}%v{0}\n"));
}

TEST(ServerLogTest, LinesBelowTheLevelAreLeftOut) {
  EXPECT_EQ(LoggedAt(LogFormat::kText, LogLevel::kWarning,
                     [&](ServerLog& log) {
                       log.Write(LogLevel::kDebug, "a", {});
                       log.Write(LogLevel::kInfo, "b", {});
                     }),
            "");
  EXPECT_THAT(
      LoggedAt(LogFormat::kJson, LogLevel::kWarning,
               [&](ServerLog& log) {
                 log.Write(LogLevel::kWarning, "c", {});
                 log.Write(LogLevel::kError, "d", {});
               }),
      ::testing::ContainsRegex("^\\{\"time\":\"....-..-..T..:..:..\\....Z\",\"level\":\"warning\","
                               "\"event\":\"c\"\\}\n.*\"error\",\"event\":\"d\"\\}\n$"));
}

// Longer than what one write to a pipe takes at once.
TEST(LastLineTest, IsOneLineHoweverLong) {
  ::testing::internal::CaptureStderr();
  WriteLastLine(std::string(9000, 'x') + "\ny", "\nz");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "dyad-server: " + std::string(9000, 'x') + " y z\n");
}

// A pipe in the place of stderr.
class PipedLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    reader_ = ends[0];
    stderr_ = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    handler_ = signal(SIGPIPE, SIG_IGN);
  }
  void TearDown() override {
    // Last, so that a thread that is stuck in a write sees a pipe without a reader.
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
    if (reader_ >= 0) close(reader_);
    signal(SIGPIPE, handler_);
  }
  void CloseReader() { close(std::exchange(reader_, -1)); }

  int reader_ = -1;
  int stderr_ = -1;
  sighandler_t handler_ = SIG_DFL;
};

TEST_F(PipedLogTest, LinesThatNobodyCanReadAreCounted) {
  ServerLog log(LogFormat::kText, LogLevel::kInfo);
  CloseReader();
  for (int i = 0; i < 10; ++i) log.Write(LogLevel::kInfo, "line", {});
  EXPECT_TRUE(testing::Eventually([&] { return log.dropped_lines() == 10; }));
}

TEST_F(PipedLogTest, AReaderThatStandsStillHoldsUpNeitherWritersNorTheEnd) {
  const absl::Time begin = SteadyNow();
  {
    ServerLog log(LogFormat::kText, LogLevel::kInfo);
    for (int i = 0; i < 20000; ++i) log.Write(LogLevel::kInfo, std::string(100, 'x'), {});
    EXPECT_LT(SteadyNow() - begin, absl::Seconds(5));
    // The pipe holds some hundreds, the queue 8192.
    EXPECT_GT(log.dropped_lines(), 10000);
  }
  EXPECT_LT(SteadyNow() - begin, absl::Seconds(8));
  const absl::Time last = SteadyNow();
  WriteLastLine("the end");
  EXPECT_LT(SteadyNow() - last, absl::Seconds(3));
}

}  // namespace
}  // namespace dyad
