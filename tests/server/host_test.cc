// A made-up /proc and /sys: what counts is the tightest limit above the process.
#include "server/host.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST_F(HostTest, MemoryIsWhatTheMachineHasLeft) {
  EXPECT_EQ(ReadHost(root_).memory_bytes, 8 * kGiB);
}

TEST_F(HostTest, UnreadableMachineGivesNothing) {
  std::filesystem::remove_all(root_ / "proc");
  EXPECT_EQ(ReadHost(root_).memory_bytes, 0);
}

TEST_F(HostTest, OwnGroupLimitsMemoryAndItsFileCacheIsFree) {
  Write("proc/self/cgroup", "0::/pods/a\n");
  Write("sys/fs/cgroup/pods/a/memory.max", "4294967296\n");
  Write("sys/fs/cgroup/pods/a/memory.current", "3221225472\n");
  Write("sys/fs/cgroup/pods/a/memory.stat", "anon 1\ninactive_file 1073741824\n");
  EXPECT_EQ(ReadHost(root_).memory_bytes, 2 * kGiB);
}

TEST_F(HostTest, GroupAboveLimitsToo) {
  Write("proc/self/cgroup", "0::/pods/a\n");
  Write("sys/fs/cgroup/pods/a/memory.max", "max\n");
  Write("sys/fs/cgroup/pods/memory.max", "1073741824\n");
  Write("sys/fs/cgroup/pods/memory.current", "0\n");
  EXPECT_EQ(ReadHost(root_).memory_bytes, kGiB);
}

TEST_F(HostTest, InsideAContainerTheMountIsTheGroup) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "2147483648\n");
  Write("sys/fs/cgroup/memory.current", "3221225472\n");  // over its limit: nothing is left
  EXPECT_EQ(ReadHost(root_).memory_bytes, 0);
}

TEST_F(HostTest, Version1GroupsCount) {
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "3221225472\n");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
  EXPECT_EQ(ReadHost(root_).memory_bytes, 2 * kGiB);
}

TEST_F(HostTest, QuotaOfProcessorsIsRoundedUp) {
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  EXPECT_EQ(ReadHost(root_).processors, 1);
}

TEST_F(HostTest, NoQuotaMeansTheAffinityMask) {
  const int32_t all = ReadHost(root_).processors;
  EXPECT_GE(all, 1);
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(ReadHost(root_).processors, all);
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(ReadHost(root_).processors, all);
}

// A unit or job of a host with version 1: the mount shows all groups, /proc/self/cgroup one's own.
TEST_F(HostTest, Version1GroupsOfTheProcessCount) {
  Write("proc/self/cgroup", "9:name=systemd:/job\n5:memory:/jobs/a b/c\n3:cpu,cpuacct:/jobs/a b\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(ReadHost(root_).memory_bytes, 8 * kGiB);
  const std::string job = "sys/fs/cgroup/memory/jobs/a b/";
  Write(job + "c/memory.limit_in_bytes", "4294967296\n");
  EXPECT_EQ(ReadHost(root_).memory_bytes, 4 * kGiB);
  Write(job + "memory.limit_in_bytes", "3221225472\n");
  Write(job + "memory.usage_in_bytes", "2147483648\n");
  Write(job + "memory.stat", "cache 1\ninactive_file 1\ntotal_inactive_file 1073741824\n");
  EXPECT_EQ(ReadHost(root_).memory_bytes, 2 * kGiB);

  for (const std::string mount : {"cpu", "cpu,cpuacct"}) {
    Write("sys/fs/cgroup/" + mount + "/jobs/cpu.cfs_quota_us", "100000\n");
    Write("sys/fs/cgroup/" + mount + "/jobs/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(ReadHost(root_).processors, 1) << mount;
    std::filesystem::remove_all(root_ / "sys/fs/cgroup" / mount);
  }
  Write("sys/fs/cgroup/cpu/jobs/a b/cpu.cfs_quota_us", "50000\n");
  Write("sys/fs/cgroup/cpu/jobs/a b/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(ReadHost(root_).processors, 1);
  EXPECT_THAT(ReadHost(root_).unreadable, IsEmpty());
}

TEST_F(HostTest, LimitsThatCannotBeReadAreTold) {
  Write("proc/self/cgroup", "0::/a\n");
  EXPECT_THAT(ReadHost(root_).unreadable, IsEmpty());
  Write("sys/fs/cgroup/a/memory.max", "many\n");
  Write("sys/fs/cgroup/a/cpu.max", "100000\n");
  EXPECT_THAT(ReadHost(root_).unreadable,
              ElementsAre(root_ / "sys/fs/cgroup/a/cpu.max", root_ / "sys/fs/cgroup/a/memory.max"));
  std::filesystem::remove(root_ / "sys/fs/cgroup/a/memory.max");
  std::filesystem::create_directory(root_ / "sys/fs/cgroup/a/memory.max");
  std::filesystem::remove(root_ / "sys/fs/cgroup/a/cpu.max");
  std::filesystem::create_symlink("cpu.max", root_ / "sys/fs/cgroup/a/cpu.max");
  EXPECT_THAT(ReadHost(root_).unreadable, SizeIs(2));
  std::filesystem::remove_all(root_ / "proc");
  EXPECT_THAT(ReadHost(root_).unreadable,
              ElementsAre(root_ / "proc/meminfo", root_ / "proc/self/cgroup"));
}

TEST(KvCacheBytesTest, IsTheFractionOfWhatWeightsLeaveSharedByModels) {
  EXPECT_EQ(KvCacheBytes({9 * kGiB, 1 * kGiB, 0.5, 2}), 2 * kGiB);
}

TEST(KvCacheBytesTest, StaysWithinItsBounds) {
  EXPECT_EQ(KvCacheBytes({1024 * kGiB, 0, 0.9, 1}), 4 * kGiB);
  EXPECT_EQ(KvCacheBytes({1 * kGiB, 2 * kGiB, 0.5, 1}), 16 << 20);
  EXPECT_EQ(KvCacheBytes({0, 0, 0.5, 1}), 16 << 20);
}

TEST(MemoryTakenTest, CountsWeightsAndTheCachesOfAllModels) {
  const KvCacheShare share = {
      .available_bytes = 10 * kGiB, .model_bytes = 1 * kGiB, .fraction = 0, .models = 2};
  EXPECT_EQ(MemoryTaken(share, 2 * kGiB), 0.5);
  EXPECT_GT(MemoryTaken(share, int64_t{1} << 62), 1e8);
  EXPECT_EQ(MemoryTaken({}, kGiB), 0) << "nothing is known";
}

}  // namespace
}  // namespace dyad
