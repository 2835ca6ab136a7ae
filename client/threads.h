// Threads that share one piece of work.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"

namespace dyad::client {

// Calls work(0) ... work(count - 1), each on a thread of its own, and waits for all. A thread that
// cannot be started, or whose work throws, is told to `on_failure` at once, from any thread: the
// other threads must learn there to come to an end. Nothing is thrown from here.
void RunThreads(int64_t count, const std::function<void(int64_t number)>& work,
                const std::function<void(const absl::Status& failure)>& on_failure);

}  // namespace dyad::client
