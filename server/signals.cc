// A handler that posts a semaphore. Not a blocked signal and sigwait: libraries start threads
// before main (OpenBLAS does), which do not inherit what main blocks, and the kernel would pick one
// of them.
#include "server/signals.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace dyad {
namespace {

// What the handler touches: lock-free, or async-signal-safe by POSIX.
sem_t arrived;
std::atomic<bool> waited_for = false;
std::atomic<int> first_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void OnSignal(int signal) {
  int none = 0;
  if (!waited_for || !first_signal.compare_exchange_strong(none, signal)) _exit(128 + signal);
  sem_post(&arrived);
}

void SetAction(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

SignalWatch::SignalWatch() {
  sem_init(&arrived, 0, 0);
  waited_for = false;
  first_signal = 0;
  SetAction(OnSignal);
}

SignalWatch::~SignalWatch() {
  SetAction(SIG_DFL);
  sem_destroy(&arrived);
}

int SignalWatch::Wait() {
  waited_for = true;
  while (sem_wait(&arrived) != 0 && errno == EINTR) {
  }
  return first_signal;
}

}  // namespace dyad
