// The pool: a generation number that workers wait on, a share of the tasks for each thread, and a
// gate that says how many workers are inside the current run.
#include "kernels/cpu/thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace dyad::kernels {
namespace {

// About 30 µs: longer than the gap between two kernels of a step, much shorter than one between
// steps.
constexpr int kSpins = 1000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: briefly awake, then asleep. Returns what it is then.
uint32_t AwaitChange(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    Pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

class ThreadPool::Impl {
 public:
  explicit Impl(int threads)
      : threads_(threads),
        shares_(static_cast<size_t>(threads)),
        workers_(static_cast<size_t>(threads)) {
    for (int i = 0; i < threads; ++i) workers_[static_cast<size_t>(i)].index = i;
    try {
      for (int i = 1; i < threads; ++i) started_.emplace_back([this, i] { Work(i); });
    } catch (const std::system_error&) {  // the system starts no more of them
      Stop();
      throw;
    }
  }

  ~Impl() { Stop(); }

  int threads() const { return threads_; }

  void Run(int64_t tasks, TaskRef run) {
    if (tasks <= 0) return;
    const std::scoped_lock turn(turn_);
    if (tasks == 1 || threads_ == 1) {
      for (int64_t task = 0; task < tasks; ++task) run(task, workers_.front());
      return;
    }
    // The gate is closed and nobody is inside: the job is ours to write.
    job_ = &run;
    for (int64_t i = 0; i < threads_; ++i) {
      Share& share = shares_[static_cast<size_t>(i)];
      share.next.store(i * tasks / threads_, std::memory_order_relaxed);
      share.last = (i + 1) * tasks / threads_;
    }
    gate_.fetch_and(~kClosed, std::memory_order_release);
    Announce();
    TakeTasks(0);
    // Workers that wake up only now find the gate closed; those inside finish their last task.
    uint32_t gate = gate_.fetch_or(kClosed, std::memory_order_acq_rel) | kClosed;
    while (gate != kClosed) gate = AwaitChange(gate_, gate);
  }

 private:
  void Stop() {
    stop_.store(true, std::memory_order_relaxed);
    Announce();
    for (std::thread& thread : started_) thread.join();
  }

  static constexpr uint32_t kClosed = 1u << 31;

  // Tasks [next, last) are still to be handed out.
  struct alignas(64) Share {
    std::atomic<int64_t> next = 0;
    int64_t last = 0;
  };

  void Announce() {
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
  }

  // First its own share, then what others have left.
  void TakeTasks(int thread) {
    Worker& worker = workers_[static_cast<size_t>(thread)];
    for (int i = 0; i < threads_; ++i) {
      Share& share = shares_[static_cast<size_t>((thread + i) % threads_)];
      while (share.next.load(std::memory_order_relaxed) < share.last) {
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task < share.last) (*job_)(task, worker);
      }
    }
  }

  void Work(int thread) {
    pthread_setname_np(pthread_self(), "compute");
    uint32_t seen = 0;
    while (true) {
      seen = AwaitChange(generation_, seen);
      if (stop_.load(std::memory_order_relaxed)) return;
      const bool open = (gate_.fetch_add(1, std::memory_order_acquire) & kClosed) == 0;
      if (open) TakeTasks(thread);
      // The last one out wakes the caller if it fell asleep on a closed gate.
      if (gate_.fetch_sub(1, std::memory_order_release) == kClosed + 1) gate_.notify_all();
    }
  }

  const int threads_;
  std::mutex turn_;  // one Run at a time
  std::vector<std::thread> started_;

  // Written by Run while the gate is closed and empty; read by workers that found it open.
  const TaskRef* job_ = nullptr;
  std::vector<Share> shares_;    // by thread, the caller's first
  std::vector<Worker> workers_;  // likewise; each is its thread's during a run

  alignas(64) std::atomic<uint32_t> gate_ = kClosed;  // workers inside, and whether more may enter
  alignas(64) std::atomic<uint32_t> generation_ = 0;  // changes when there is something to do
  std::atomic<bool> stop_ = false;
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(threads)) {}
ThreadPool::~ThreadPool() = default;

void ThreadPool::Run(int64_t tasks, TaskRef run) { impl_->Run(tasks, run); }
int ThreadPool::threads() const { return impl_->threads(); }

struct Workspace::OneThread {
  ThreadPool pool{1};
  Workspace workspace{pool};
};

Workspace::Workspace(ThreadPool& pool) : pool(pool) {
  if (pool.threads() == 1) return;
  for (int i = 0; i < pool.threads(); ++i) threads_.push_back(std::make_unique<OneThread>());
}

Workspace::~Workspace() = default;

Workspace& Workspace::Of(const Worker& worker) {
  return threads_.empty() ? *this : threads_[static_cast<size_t>(worker.index)]->workspace;
}

void Workspace::TakeFailures() {
  for (const auto& thread : threads_) {
    std::vector<Failure>& taken = thread->workspace.failures;
    failures.insert(failures.end(), taken.begin(), taken.end());
    taken.clear();
  }
}

}  // namespace dyad::kernels
