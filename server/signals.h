// SIGTERM and SIGINT as an event that main waits for, handled on a thread of its own.
#pragma once

#include <thread>

#include "server/base/mutex.h"

namespace dyad {

// At most one at a time. Before Wait a signal ends the process at once with status 128 + its number
// (nothing is being served yet); so does a second one after the first.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Returns the number of the first signal.
  int Wait();

 private:
  void Run();

  Mutex mutex_;
  CondVar arrived_;
  bool waited_for_ ABSL_GUARDED_BY(mutex_) = false;
  int signal_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace dyad
