// One thread in sigwait; nothing runs in a signal handler.
#include "server/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace dyad {
namespace {

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

SignalWatch::SignalWatch() {
  const sigset_t set = Signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { Run(); });
}

SignalWatch::~SignalWatch() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  pthread_kill(thread_.native_handle(), SIGTERM);  // ends its sigwait
  thread_.join();
}

int SignalWatch::Wait() {
  MutexLock lock(&mutex_);
  waited_for_ = true;
  while (signal_ == 0) arrived_.Wait(&mutex_);
  return signal_;
}

void SignalWatch::Run() {
  const sigset_t set = Signals();
  while (true) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0) continue;
    MutexLock lock(&mutex_);
    if (stop_) return;
    if (!waited_for_ || signal_ != 0) _exit(128 + signal);
    signal_ = signal;
    arrived_.SignalAll();
  }
}

}  // namespace dyad
