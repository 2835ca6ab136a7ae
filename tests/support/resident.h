// How much memory is resident, by the kernel's own word: of a range, of a process.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace dyad::testing {

// Bytes of the system's pages within [data, data + bytes) that are resident; -1 if it does not
// tell.
inline int64_t ResidentBytes(const std::byte* data, int64_t bytes) {
  const auto page = static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(data) + bytes;
  std::vector<unsigned char> pages((end - begin + page - 1) / page);
  if (mincore(reinterpret_cast<void*>(begin), end - begin, pages.data()) != 0) return -1;
  int64_t resident = 0;
  for (const unsigned char state : pages) resident += state & 1;
  return resident * page;
}

// 0 if there is no such process.
inline int64_t ProcessResidentBytes(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace dyad::testing
