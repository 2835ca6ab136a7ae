// /proc and /sys/fs/cgroup, versions 1 and 2.
#include "server/host.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/base/file.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;

// Version 1 writes a number a little below 2^63 where there is no limit.
constexpr int64_t kUnlimited = int64_t{1} << 62;

// Reads files of a few words, and keeps a list of those that are there in vain.
class Reader {
 public:
  explicit Reader(fs::path root) : root_(std::move(root)) {}

  // Empty where there is no such file.
  std::string Content(const fs::path& path) {
    const absl::StatusOr<bool> is_there = HasEntry(root_ / path);
    if (is_there.ok() && !*is_there) return "";
    std::ifstream file(root_ / path);
    std::string content;
    // Files of the kernel tell no size, and hold no NUL.
    if (!is_there.ok() || !std::getline(file, content, '\0')) AddUnreadable(path);
    return content;
  }

  // The word at this place, as a number; nothing where there is no such file, or it says "max".
  std::optional<int64_t> Number(const fs::path& path, size_t place = 0) {
    const std::vector<std::string> words = Words(path);
    if (words.empty() || (place < words.size() && words[place] == "max")) return std::nullopt;
    return Parsed(path, words, place);
  }

  // The word behind `key`.
  std::optional<int64_t> NumberAfter(const fs::path& path, const std::string& key) {
    const std::vector<std::string> words = Words(path);
    if (words.empty()) return std::nullopt;
    return Parsed(path, words, std::find(words.begin(), words.end(), key) - words.begin() + 1);
  }

  void AddUnreadable(const fs::path& path) {
    std::string name = (root_ / path).string();
    const auto known = std::find(unreadable_.begin(), unreadable_.end(), name);
    if (known == unreadable_.end()) unreadable_.push_back(std::move(name));
  }
  std::vector<std::string> TakeUnreadable() { return std::move(unreadable_); }

 private:
  std::vector<std::string> Words(const fs::path& path) {
    return absl::StrSplit(Content(path), absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  }

  std::optional<int64_t> Parsed(const fs::path& path, const std::vector<std::string>& words,
                                size_t place) {
    int64_t value = 0;
    if (place < words.size() && absl::SimpleAtoi(words[place], &value)) return value;
    AddUnreadable(path);
    return std::nullopt;
  }

  const fs::path root_;
  std::vector<std::string> unreadable_;
};

// Folders of the groups of this process that bound `controller`, its own first, then those above.
// Inside a container the path may be outside of what is mounted; the mount's root is then the limit
// that counts.
std::vector<fs::path> Groups(Reader& reader, const std::string& controller) {
  const fs::path mount = "sys/fs/cgroup";
  std::vector<fs::path> groups = {mount, mount / controller};
  // ID:CONTROLLERS:PATH; version 2 has one line, 0::PATH.
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(reader.Content("proc/self/cgroup"), '\n'))) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() < 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',', absl::SkipEmpty());
    const bool bounds = controllers.empty() || std::find(controllers.begin(), controllers.end(),
                                                         controller) != controllers.end();
    if (!bounds) continue;
    const fs::path below = fs::path(parts[2]).lexically_normal().relative_path();
    // The mount has the name of one controller or of all that share it.
    for (const std::string& name : {controllers.empty() ? "" : controller, parts[1]}) {
      for (fs::path group = below; !group.empty() && group != "."; group = group.parent_path()) {
        groups.push_back(mount / name / group);
      }
      groups.push_back(mount / name);
    }
  }
  return groups;
}

// Names of the files of a group in one version.
struct MemoryFiles {
  const char* limit;
  const char* used;
  const char* cache;  // that can be dropped: a key of memory.stat
};
constexpr MemoryFiles kMemoryFiles[] = {
    {"memory.max", "memory.current", "inactive_file"},
    {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}};

// What a group leaves: limit − (used − cache that can be dropped).
int64_t Left(Reader& reader, const fs::path& group, const MemoryFiles& files) {
  const std::optional<int64_t> limit = reader.Number(group / files.limit);
  if (!limit.has_value()) return kUnlimited;
  const int64_t used = reader.Number(group / files.used).value_or(0);
  const int64_t cache = reader.NumberAfter(group / "memory.stat", files.cache).value_or(0);
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, used - cache));
}

int32_t Processors(Reader& reader) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int64_t processors = sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const auto at_most = [&](std::optional<int64_t> quota, std::optional<int64_t> period) {
    if (quota.value_or(0) <= 0 || period.value_or(0) <= 0) return;
    processors = std::min(processors, (*quota - 1) / *period + 1);
  };
  for (const fs::path& group : Groups(reader, "cpu")) {
    at_most(reader.Number(group / "cpu.max", 0), reader.Number(group / "cpu.max", 1));
    at_most(reader.Number(group / "cpu.cfs_quota_us"), reader.Number(group / "cpu.cfs_period_us"));
  }
  return static_cast<int32_t>(std::max<int64_t>(1, processors));
}

int64_t AvailableMemory(Reader& reader) {
  const auto kibibytes = reader.NumberAfter("proc/meminfo", "MemAvailable:");
  int64_t available = kibibytes.has_value() ? *kibibytes * 1024 : kUnlimited;
  for (const fs::path& group : Groups(reader, "memory")) {
    for (const MemoryFiles& files : kMemoryFiles) {
      available = std::min(available, Left(reader, group, files));
    }
  }
  return available == kUnlimited ? 0 : available;
}

}  // namespace

Host ReadHost(const std::string& root) {
  Reader reader(root);
  for (const char* file : {"proc/meminfo", "proc/self/cgroup"}) {
    if (reader.Content(file).empty()) reader.AddUnreadable(file);
  }
  Host host;
  host.processors = Processors(reader);
  host.memory_bytes = AvailableMemory(reader);
  host.unreadable = reader.TakeUnreadable();
  return host;
}

int64_t KvCacheBytes(const KvCacheShare& share) {
  constexpr int64_t kLeast = int64_t{16} << 20;
  constexpr int64_t kMost = int64_t{4} << 30;
  const auto rest =
      static_cast<double>(std::max<int64_t>(0, share.available_bytes - share.model_bytes));
  const double bytes = std::min(rest * share.fraction / share.models, static_cast<double>(kMost));
  return std::clamp(static_cast<int64_t>(bytes), kLeast, kMost);
}

double MemoryTaken(const KvCacheShare& share, int64_t kv_cache_bytes) {
  if (share.available_bytes == 0) return 0;
  const double caches = static_cast<double>(kv_cache_bytes) * share.models;
  return (caches + static_cast<double>(share.model_bytes)) /
         static_cast<double>(share.available_bytes);
}

}  // namespace dyad
