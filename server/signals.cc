// A handler that only writes the signal's number into a pipe, and a thread that reads it.
//
// Why not a blocked mask and sigwait: libraries under LibTorch start threads before main runs,
// which have the signals unblocked, and the kernel would give them a SIGTERM with its default
// action.
#include "server/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace dyad {
namespace {

constexpr int kSignals[] = {SIGTERM, SIGINT};
constexpr unsigned char kStop = 0;  // no signal's number

int pipe_ends[2] = {-1, -1};

void Write(unsigned char byte) {
  while (write(pipe_ends[1], &byte, 1) < 0 && errno == EINTR) {
  }
}

extern "C" void OnSignal(int signal) {
  const int saved = errno;
  Write(static_cast<unsigned char>(signal));
  errno = saved;
}

void SetHandlers(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

}  // namespace

SignalWatch::SignalWatch() {
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) _exit(1);  // only if no descriptors are left at start
  thread_ = std::thread([this] { Run(); });
  SetHandlers(&OnSignal);
}

SignalWatch::~SignalWatch() {
  SetHandlers(SIG_DFL);
  Write(kStop);
  thread_.join();
  for (const int end : pipe_ends) close(end);
}

int SignalWatch::Wait() {
  MutexLock lock(&mutex_);
  waited_for_ = true;
  while (signal_ == 0) arrived_.Wait(&mutex_);
  return signal_;
}

void SignalWatch::Run() {
  while (true) {
    unsigned char byte = 0;
    const ssize_t count = read(pipe_ends[0], &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || byte == kStop) return;
    MutexLock lock(&mutex_);
    if (!waited_for_ || signal_ != 0) _exit(128 + byte);
    signal_ = byte;
    arrived_.SignalAll();
  }
}

}  // namespace dyad
