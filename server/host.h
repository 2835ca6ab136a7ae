// What this process may use of the machine: its control group's limits count, not the machine's
// size.
#pragma once

#include <cstdint>
#include <string>

namespace dyad {

// Processors: those of the affinity mask, at most the control group's quota rounded up; >= 1.
// `root` is
// "/" but in tests.
int32_t AvailableProcessors(const std::string& root = "/");

// Bytes that can be taken without swapping: MemAvailable of /proc/meminfo, at most what the control
// groups above this process leave (file cache counts as free). 0 if nothing can be read.
int64_t AvailableMemory(const std::string& root = "/");

// What default sizes of KV caches follow from.
struct KvCacheShare {
  int64_t available_bytes = 0;
  int64_t weight_bytes = 0;  // that will be taken from `available_bytes` first
  double fraction = 0;       // of the rest
  int32_t models = 1;
};

// Bytes for each model, in [16 MiB, 4 GiB]: more is asked for by name, since page tables and a
// prefix cache that never fills cost memory too.
int64_t KvCacheBytes(const KvCacheShare& share);

// Bytes of the regular files in a folder, not in those below; 0 if it cannot be read.
int64_t FolderBytes(const std::string& folder);

}  // namespace dyad
