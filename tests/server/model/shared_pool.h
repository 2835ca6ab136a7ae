// The pool of tests that do not care whose threads they use.
#pragma once

#include "kernels/thread_pool.h"

namespace dyad::testing {

// Of two threads; never destroyed.
inline kernels::ThreadPool& SharedPool() {
  static auto* pool = new kernels::ThreadPool(2);
  return *pool;
}

}  // namespace dyad::testing
