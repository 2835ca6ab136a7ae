// SIGTERM and SIGINT as an event that main waits for.
#pragma once

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

  // Returns the number of the first signal.
  int Wait();
};

}  // namespace dyad
