// A thread that walks the pages in groups, each through all layers: kernels/cpu/kv_population.h.
#include "kernels/cpu/kv_population.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <stop_token>
#include <system_error>

namespace dyad::kernels {
namespace {

// Of one layer in one call: a huge page. The system holds a lock of the address space during a
// call.
constexpr int64_t kPieceBytes = int64_t{2} << 20;

void Populate(const std::stop_token& stop, const KvCache& cache) {
  pthread_setname_np(pthread_self(), "kv population");
  // A step that wants the processor takes it at once. Where this is refused it runs as others do.
  const sched_param none = {};
  sched_setscheduler(0, SCHED_IDLE, &none);
  const int64_t group = std::max<int64_t>(1, kPieceBytes / cache.layer_page_bytes());
  for (int64_t first = 0; first < cache.pages(); first += group) {
    const int64_t last = std::min<int64_t>(first + group, cache.pages());
    for (int64_t layer = 0; layer < cache.layers(); ++layer) {
      if (stop.stop_requested()) return;
      if (!cache.Populate(layer, static_cast<int32_t>(first), static_cast<int32_t>(last))) return;
    }
  }
}

}  // namespace

std::jthread PopulateInBackground(const KvCache& cache) {
  try {
    return std::jthread([&cache](const std::stop_token& stop) { Populate(stop, cache); });
  } catch (const std::system_error&) {
    return {};  // no more threads: pages become resident as they are used
  }
}

}  // namespace dyad::kernels
