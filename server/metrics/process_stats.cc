// /proc/self and the system's own counts.
#include "server/metrics/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace dyad {

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  double virtual_pages = 0;
  double resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages) {
    const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
    stats.virtual_bytes = virtual_pages * page_bytes;
    stats.resident_bytes = resident_pages * page_bytes;
  }
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
    stats.cpu_seconds +=
        static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  }
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  stats.most_files = static_cast<double>(files.rlim_cur);
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  stats.open_files = error ? stats.most_files : -1;  // the listing itself is one of them
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++stats.open_files;
  }
  return stats;
}

}  // namespace dyad
