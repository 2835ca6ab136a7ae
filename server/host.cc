// /proc and /sys/fs/cgroup, versions 1 and 2.
#include "server/host.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

std::vector<std::string> Words(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return absl::StrSplit(text.str(), absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
}

// The first word, as a number; nothing for "max", a missing file and the like.
std::optional<int64_t> Number(const fs::path& file) {
  const std::vector<std::string> words = Words(file);
  int64_t value = 0;
  if (words.empty() || !absl::SimpleAtoi(words[0], &value)) return std::nullopt;
  return value;
}

// The number after `key` in a file of "key value" lines.
std::optional<int64_t> NumberAfter(const fs::path& file, const std::string& key) {
  const std::vector<std::string> words = Words(file);
  const auto found = std::find(words.begin(), words.end(), key);
  int64_t value = 0;
  if (found == words.end() || found + 1 == words.end() || !absl::SimpleAtoi(*(found + 1), &value)) {
    return std::nullopt;
  }
  return value;
}

// Control group folders of this process, its own first, then those above, of version 2. Inside a
// container the path may be outside of what is mounted; the mount's root is then the limit that
// counts.
std::vector<fs::path> Groups(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  std::vector<fs::path> groups;
  for (const std::string& word : Words(root / "proc/self/cgroup")) {
    if (!absl::StartsWith(word, "0::/")) continue;
    fs::path group = fs::path(word.substr(4)).lexically_normal();
    for (; !group.empty() && group != "."; group = group.parent_path()) {
      groups.push_back(mount / group);
    }
  }
  groups.push_back(mount);
  return groups;
}

// What a group leaves: limit − (used − cache that can be dropped).
int64_t Left(std::optional<int64_t> limit, std::optional<int64_t> used,
             std::optional<int64_t> cache) {
  if (!limit.has_value()) return kUnlimited;
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, used.value_or(0) - cache.value_or(0)));
}

}  // namespace

int32_t AvailableProcessors(const std::string& root) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int64_t processors = sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const auto at_most = [&](std::optional<int64_t> quota, std::optional<int64_t> period) {
    if (!quota.has_value() || *quota <= 0 || period.value_or(0) <= 0) return;
    processors = std::min(processors, (*quota + *period - 1) / *period);
  };
  for (const fs::path& group : Groups(root)) {
    const std::vector<std::string> words = Words(group / "cpu.max");
    int64_t quota = 0;
    int64_t period = 0;
    if (words.size() == 2 && absl::SimpleAtoi(words[0], &quota) &&
        absl::SimpleAtoi(words[1], &period)) {
      at_most(quota, period);
    }
  }
  const fs::path version1 = fs::path(root) / "sys/fs/cgroup/cpu";
  at_most(Number(version1 / "cpu.cfs_quota_us"), Number(version1 / "cpu.cfs_period_us"));
  return static_cast<int32_t>(std::max<int64_t>(1, processors));
}

int64_t AvailableMemory(const std::string& root) {
  const std::optional<int64_t> kibibytes =
      NumberAfter(fs::path(root) / "proc/meminfo", "MemAvailable:");
  int64_t available = kibibytes.has_value() ? *kibibytes * 1024 : kUnlimited;
  for (const fs::path& group : Groups(root)) {
    available =
        std::min(available, Left(Number(group / "memory.max"), Number(group / "memory.current"),
                                 NumberAfter(group / "memory.stat", "inactive_file")));
  }
  const fs::path version1 = fs::path(root) / "sys/fs/cgroup/memory";
  available =
      std::min(available, Left(Number(version1 / "memory.limit_in_bytes"),
                               Number(version1 / "memory.usage_in_bytes"),
                               NumberAfter(version1 / "memory.stat", "total_inactive_file")));
  return available == kUnlimited ? 0 : available;
}

int64_t KvCacheBytes(const KvCacheShare& share) {
  constexpr int64_t kLeast = int64_t{16} << 20;
  constexpr int64_t kMost = int64_t{4} << 30;
  const auto rest =
      static_cast<double>(std::max<int64_t>(0, share.available_bytes - share.weight_bytes));
  const double bytes = std::min(rest * share.fraction / share.models, static_cast<double>(kMost));
  return std::clamp(static_cast<int64_t>(bytes), kLeast, kMost);
}

int64_t FolderBytes(const std::string& folder) {
  int64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    const uintmax_t size = it->file_size(unreadable);
    if (!unreadable) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace dyad
