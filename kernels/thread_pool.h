// The one pool of compute threads. Work is split over outputs and blocks, never over a sum, so
// results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <memory>

namespace dyad::kernels {

// A reference to a callable void(int64_t task); not owning, so it costs no allocation.
class TaskRef {
 public:
  template <typename F>
  TaskRef(const F& f)  // NOLINT(google-explicit-constructor): made at the call
      : object_(&f),
        call_([](const void* object, int64_t task) { (*static_cast<const F*>(object))(task); }) {}
  void operator()(int64_t task) const { call_(object_, task); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t);
};

class ThreadPool {
 public:
  // `threads` in [1, 256], the caller's included: threads − 1 are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls run(0) … run(tasks − 1), each once, on any thread of the pool, and returns when all are
  // done. Each thread goes through an equal, contiguous share in ascending order, so that tasks
  // over neighbouring memory read it as one stream; who is done takes over from others, one task at
  // a time. `run` must not throw nor call Run. Threads: callers take turns. Cost: about a
  // microsecond when the pool is awake. Allocates nothing.
  void Run(int64_t tasks, TaskRef run);

  int threads() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyad::kernels
