// The random number of a draw: a function of where it is used (server/base/philox.h).
#pragma once

#include <cstdint>

namespace dyad::engine {

// Names one draw: the token at `position` of choice `choice` of a request with this seed.
struct DrawKey {
  uint64_t seed = 0;
  int32_t choice = 0;
  int32_t position = 0;
};

// 64 bits, each value as likely.
uint64_t RandomAt(const DrawKey& key);

}  // namespace dyad::engine
