// A thread of its own takes the signals, which all others block, and watches the end.
#include "server/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/base/steady_clock.h"
#include "server/base/thread.h"
#include "server/server_log.h"

namespace dyad {
namespace {

// Set before waited_for, and read after it.
absl::Duration end_limit;
std::atomic<bool> waited_for = false;
std::atomic<int> first_signal = 0;

// The next signal; none: the limit passed.
int NextSignal(const sigset_t& watched, absl::Time until) {
  while (true) {
    const absl::Duration left = std::max(until - SteadyNow(), absl::ZeroDuration());
    const timespec limit = absl::ToTimespec(std::min(left, absl::Hours(24)));
    const int signal = sigtimedwait(&watched, nullptr, &limit);
    if (signal > 0) return signal;
    if (errno == EAGAIN && left == absl::ZeroDuration()) return 0;
  }
}

void Watch(const sigset_t& watched) {
  NameThread("signals");
  absl::Time until = absl::InfiniteFuture();
  while (true) {
    const int signal = NextSignal(watched, until);
    if (signal == 0) {
      WriteLastLine(absl::StrCat("the process did not end within ", absl::FormatDuration(end_limit),
                                 " of signal ", first_signal.load(), " and is ended"));
      _exit(1);
    }
    if (!waited_for || first_signal != 0) _exit(128 + signal);
    until = SteadyNow() + end_limit;
    first_signal = signal;
    first_signal.notify_one();
  }
}

}  // namespace

SignalWatch::SignalWatch() {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  std::thread(Watch, watched).detach();
}

int SignalWatch::Wait(absl::Duration limit) {
  end_limit = limit;
  waited_for = true;
  first_signal.wait(0);
  return first_signal;
}

}  // namespace dyad
