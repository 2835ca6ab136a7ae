// SIGTERM and SIGINT as an event that main waits for.
#pragma once

namespace dyad {

// While it lives, the first SIGTERM or SIGINT wakes Wait. Before Wait was called a signal ends the
// process at once with status 128 + its number (nothing is being served yet); so does a second one
// after the first. At most one at a time.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();  // gives the signals their default action back
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Returns the number of the first signal.
  int Wait();
};

}  // namespace dyad
