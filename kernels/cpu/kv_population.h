// The memory of a KV cache, taken ahead of its use: the system clears pages when they are first
// touched, which can cost a step more than its arithmetic.
#pragma once

#include <thread>

#include "kernels/cpu/kv_cache.h"

namespace dyad::kernels {

// Starts a thread that makes all of `cache` resident, lowest page ids first, as the engine hands
// them out, in pieces of about 2 MiB. It runs on time that nobody else wants, changes no contents,
// and gives up without a word where the system cannot populate (KvCache::Populate). The thread
// ends with the jthread returned, after at most the piece in progress. `cache` must outlive it.
std::jthread PopulateInBackground(const KvCache& cache);

}  // namespace dyad::kernels
