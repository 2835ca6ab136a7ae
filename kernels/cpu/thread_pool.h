// The one pool of compute threads. Work is split over outputs and blocks, never over a sum, so
// results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/cpu/aligned_buffer.h"

namespace dyad::kernels {

// A thread of the pool as a task sees it.
struct alignas(64) Worker {
  int index = 0;    // [0, threads)
  Scratch scratch;  // a task finds nothing of earlier ones in it
};

// A reference to a callable void(int64_t task) or void(int64_t task, Worker&); not owning, so it
// costs no allocation.
class TaskRef {
 public:
  template <typename F>
  TaskRef(const F& f)  // NOLINT(google-explicit-constructor): made where Run is called
      : object_(&f), invoke_([](const void* object, int64_t task, Worker& worker) {
          if constexpr (std::is_invocable_v<const F&, int64_t, Worker&>) {
            (*static_cast<const F*>(object))(task, worker);
          } else {
            (*static_cast<const F*>(object))(task);
          }
        }) {}
  void operator()(int64_t task, Worker& worker) const { invoke_(object_, task, worker); }

 private:
  const void* object_;
  void (*invoke_)(const void*, int64_t, Worker&);
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

class PackedLinear;

// What a kernel works with: threads, and memory between its runs that belongs to whoever makes the
// workspace. Several may share a pool. Threads: one at a time.
struct Workspace {
  explicit Workspace(ThreadPool& pool);
  ~Workspace();

  // For a task that runs kernels itself, on the thread that has it.
  Workspace& Of(const Worker& worker);
  // Adds to `failures` those of the threads' workspaces.
  void TakeFailures();

  ThreadPool& pool;
  Scratch scratch;
  // Rows whose Route failed, within a run of a layer.
  std::vector<int64_t> failed_rows = {};
  // The same of all layers that ran, until whoever made the workspace takes them.
  struct Failure {
    const PackedLinear* layer;
    int64_t row;
  };
  std::vector<Failure> failures = {};

 private:
  struct OneThread;
  std::vector<std::unique_ptr<OneThread>> threads_;  // none where the pool has one
};

}  // namespace dyad::kernels
