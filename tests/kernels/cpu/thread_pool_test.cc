// The thread pool: every task once, in any number of runs, from any number of callers.
#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

namespace dyad::kernels {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, RunsEveryTaskOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const int64_t tasks : {0, 1, 2, 3, 17, 1000}) {
    std::vector<int> runs(static_cast<size_t>(tasks));
    pool.Run(tasks, [&](int64_t task) { ++runs[static_cast<size_t>(task)]; });
    EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(tasks), 1));
  }
}

// Plain memory, written by tasks of one run and read by those of the next: the sanitizer for
// threads sees a run that returns too early.
TEST_P(ThreadPoolTest, ARunSeesWhatTheOneBeforeWrote) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> from(64), to(64);
  std::iota(from.begin(), from.end(), 0);
  for (int run = 0; run < 2000; ++run) {
    pool.Run(
        64, [&](int64_t i) { to[static_cast<size_t>(i)] = from[static_cast<size_t>(63 - i)] + 1; });
    from.swap(to);
  }
  EXPECT_EQ(std::accumulate(from.begin(), from.end(), int64_t{0}), 64 * 63 / 2 + 64 * 2000);
}

TEST_P(ThreadPoolTest, CallersTakeTurns) {
  ThreadPool pool(GetParam());
  std::atomic<int64_t> total = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int run = 0; run < 200; ++run) {
        int64_t seen[5] = {};
        pool.Run(5, [&](int64_t task) { seen[task] = task; });
        total += std::accumulate(seen, seen + 5, int64_t{0});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 3 * 200 * 10);
}

// Memory that tasks get by their worker is nobody else's meanwhile: the number that a task writes
// is still there when it looks again.
TEST_P(ThreadPoolTest, WorkersAndTheirScratchAreApart) {
  ThreadPool pool(GetParam());
  std::vector<int> workers(500);
  pool.Run(500, [&](int64_t task, Worker& worker) {
    auto* number = worker.scratch.Get<int64_t>(ScratchUse::kRows, 1);
    *number = task;
    std::this_thread::yield();
    EXPECT_EQ(*number, task);
    workers[static_cast<size_t>(task)] = worker.index;
  });
  for (const int worker : workers) {
    EXPECT_GE(worker, 0);
    EXPECT_LT(worker, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST(OneThreadPoolTest, WakesWorkersThatFellAsleep) {
  ThreadPool pool(2);
  for (int run = 0; run < 5; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    // Each task waits for the other, so both threads must take part.
    std::atomic<int> inside = 0;
    pool.Run(2, [&](int64_t) {
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
    EXPECT_EQ(inside, 2);
  }
}

TEST(OneThreadPoolTest, UsesTheCallingThread) {
  ThreadPool pool(1);
  std::set<std::thread::id> ids;
  pool.Run(3, [&](int64_t) { ids.insert(std::this_thread::get_id()); });
  EXPECT_EQ(ids, std::set<std::thread::id>{std::this_thread::get_id()});
}

}  // namespace
}  // namespace dyad::kernels
