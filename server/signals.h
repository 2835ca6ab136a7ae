// SIGTERM and SIGINT as an event that main waits for.
#pragma once

#include "absl/time/time.h"

namespace dyad {

// From its start the first SIGTERM or SIGINT wakes Wait. Before Wait was called a signal ends the
// process at once with status 128 + its number (nothing is being served yet); so does a second one
// after the first. Once in a process, before any other thread: threads inherit from main that they
// do not take these signals.
class SignalWatch {
 public:
  SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Returns the number of the first signal. If the process has not ended `end_limit` after it, it
  // is ended with status 1 and a last line, whatever is stuck. Once.
  int Wait(absl::Duration end_limit);
};

}  // namespace dyad
