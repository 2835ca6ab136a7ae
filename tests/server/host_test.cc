// A made-up /proc and /sys: what counts is the tightest limit above the process.
#include "server/host.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace dyad {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

class HostTest : public ::testing::Test {
 protected:
  HostTest() {
    std::string name = std::filesystem::temp_directory_path() / "dyad_host_XXXXXX";
    root_ = mkdtemp(name.data());
    Write("proc/meminfo", "MemTotal:  16777216 kB\nMemAvailable:   8388608 kB\n");
  }
  ~HostTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::filesystem::path root_;
};

TEST_F(HostTest, MemoryIsWhatTheMachineHasLeft) { EXPECT_EQ(AvailableMemory(root_), 8 * kGiB); }

TEST_F(HostTest, UnreadableMachineGivesNothing) {
  std::filesystem::remove_all(root_ / "proc");
  EXPECT_EQ(AvailableMemory(root_), 0);
}

TEST_F(HostTest, OwnGroupLimitsMemoryAndItsFileCacheIsFree) {
  Write("proc/self/cgroup", "0::/pods/a\n");
  Write("sys/fs/cgroup/pods/a/memory.max", "4294967296\n");
  Write("sys/fs/cgroup/pods/a/memory.current", "3221225472\n");
  Write("sys/fs/cgroup/pods/a/memory.stat", "anon 1\ninactive_file 1073741824\n");
  EXPECT_EQ(AvailableMemory(root_), 2 * kGiB);
}

TEST_F(HostTest, GroupAboveLimitsToo) {
  Write("proc/self/cgroup", "0::/pods/a\n");
  Write("sys/fs/cgroup/pods/a/memory.max", "max\n");
  Write("sys/fs/cgroup/pods/memory.max", "1073741824\n");
  Write("sys/fs/cgroup/pods/memory.current", "0\n");
  EXPECT_EQ(AvailableMemory(root_), kGiB);
}

TEST_F(HostTest, InsideAContainerTheMountIsTheGroup) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "2147483648\n");
  Write("sys/fs/cgroup/memory.current", "3221225472\n");  // over its limit: nothing is left
  EXPECT_EQ(AvailableMemory(root_), 0);
}

TEST_F(HostTest, Version1GroupsCount) {
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "3221225472\n");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
  EXPECT_EQ(AvailableMemory(root_), 2 * kGiB);
}

TEST_F(HostTest, QuotaOfProcessorsIsRoundedUp) {
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  EXPECT_EQ(AvailableProcessors(root_), 1);
}

TEST_F(HostTest, NoQuotaMeansTheAffinityMask) {
  const int32_t all = AvailableProcessors(root_);
  EXPECT_GE(all, 1);
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(AvailableProcessors(root_), all);
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(AvailableProcessors(root_), all);
}

TEST_F(HostTest, FolderBytesCountsItsOwnFiles) {
  Write("models/a", "12345");
  Write("models/b", "123");
  Write("models/below/c", "1234567");
  EXPECT_EQ(FolderBytes(root_ / "models"), 8);
  EXPECT_EQ(FolderBytes(root_ / "nowhere"), 0);
}

TEST(KvCacheBytesTest, IsTheFractionOfWhatWeightsLeaveSharedByModels) {
  EXPECT_EQ(KvCacheBytes({9 * kGiB, 1 * kGiB, 0.5, 2}), 2 * kGiB);
}

TEST(KvCacheBytesTest, StaysWithinItsBounds) {
  EXPECT_EQ(KvCacheBytes({1024 * kGiB, 0, 0.9, 1}), 4 * kGiB);
  EXPECT_EQ(KvCacheBytes({1 * kGiB, 2 * kGiB, 0.5, 1}), 16 << 20);
  EXPECT_EQ(KvCacheBytes({0, 0, 0.5, 1}), 16 << 20);
}

}  // namespace
}  // namespace dyad
