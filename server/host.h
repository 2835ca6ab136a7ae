// What this process may use of the machine: its control group's limits count, not the machine's
// size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dyad {

struct Host {
  // Those of the affinity mask, at most the control groups' quotas rounded up; >= 1.
  int32_t processors = 1;
  // Bytes that can be taken without swapping: MemAvailable of /proc/meminfo, at most what the
  // control groups of this process leave (file cache counts as free). 0 if nothing can be read.
  int64_t memory_bytes = 0;
  // Files that could not be read or understood: their limits are not kept.
  std::vector<std::string> unreadable;
};

// Control groups of versions 1 and 2, from the process's own up to the mount. `root` is "/" but in
// tests.
Host ReadHost(const std::string& root = "/");

// Sizes that KV caches depend on.
struct KvCacheShare {
  int64_t available_bytes = 0;
  int64_t model_bytes = 0;  // that will be taken from `available_bytes` first
  double fraction = 0;      // of the rest
  int32_t models = 1;
};

// Bytes for each model, in [16 MiB, 4 GiB]: more is asked for by name, since page tables and a
// prefix cache that never fills cost memory too.
int64_t KvCacheBytes(const KvCacheShare& share);

// Of available_bytes, what models and all KV caches of `kv_cache_bytes` each take; 0 if nothing is
// known of them. Above 1 the process would be killed when the caches fill.
double MemoryTaken(const KvCacheShare& share, int64_t kv_cache_bytes);

}  // namespace dyad
