// Seed, choice and position as key and counter.
#include "server/engine/counter_random.h"

#include "server/base/philox.h"

namespace dyad::engine {

uint64_t RandomAt(const DrawKey& key) {
  const PhiloxCounter words =
      Philox({static_cast<uint32_t>(key.position), static_cast<uint32_t>(key.choice), 0, 0},
             {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
  return uint64_t{words[1]} << 32 | words[0];
}

}  // namespace dyad::engine
