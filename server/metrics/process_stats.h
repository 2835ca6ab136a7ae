// What the system says of this process.
#pragma once

#include <cstdint>

namespace dyad {

struct ProcessStats {
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double cpu_seconds = 0;  // of all threads, user and system
  double open_files = 0;   // the limit where they cannot be counted: then none is left
  double most_files = 0;
};

// Costs some reads of /proc. What cannot be read is 0.
ProcessStats ReadProcessStats();

}  // namespace dyad
