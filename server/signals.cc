// A thread of its own takes the signals, which all others block.
#include "server/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace dyad {
namespace {

std::atomic<bool> waited_for = false;
std::atomic<int> first_signal = 0;

}  // namespace

SignalWatch::SignalWatch() {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  std::thread([watched] {
    for (int signal = 0;;) {
      sigwait(&watched, &signal);
      if (!waited_for || first_signal != 0) _exit(128 + signal);
      first_signal = signal;
      first_signal.notify_one();
    }
  }).detach();
}

int SignalWatch::Wait() {
  waited_for = true;
  first_signal.wait(0);
  return first_signal;
}

}  // namespace dyad
