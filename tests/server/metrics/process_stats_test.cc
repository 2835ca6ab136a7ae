// The process looks at itself.
#include "server/metrics/process_stats.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(ProcessStatsTest, CountsOpenFiles) {
  const double before = ReadProcessStats().open_files;
  const int file = open("/dev/null", O_RDONLY);
  EXPECT_EQ(ReadProcessStats().open_files, before + 1);
  close(file);
  EXPECT_EQ(ReadProcessStats().open_files, before);
}

TEST(ProcessStatsTest, WhereNoFileIsFreeAllAreOpen) {
  rlimit old = {};
  getrlimit(RLIMIT_NOFILE, &old);
  rlimit small = old;
  small.rlim_cur = 64;
  setrlimit(RLIMIT_NOFILE, &small);
  std::vector<int> files;
  for (int file; (file = open("/dev/null", O_RDONLY)) >= 0;) files.push_back(file);
  const ProcessStats stats = ReadProcessStats();
  for (const int file : files) close(file);
  setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(stats.open_files, 64);
  EXPECT_EQ(stats.most_files, 64);
}

TEST(ProcessStatsTest, MemoryAndTimeAreOfThisProcess) {
  const ProcessStats stats = ReadProcessStats();
  EXPECT_GT(stats.resident_bytes, 1 << 20);
  EXPECT_GT(stats.virtual_bytes, stats.resident_bytes);
  EXPECT_GT(stats.cpu_seconds, 0);
}

}  // namespace
}  // namespace dyad
