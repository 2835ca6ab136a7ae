// Random numbers that are a function of where they are used, not of what was drawn before.
//
// Philox4x32-10: a keyed bijection of 128-bit counters, ten rounds of two 32-bit multiplications.
// Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC
// 2011.
#pragma once

#include <array>
#include <cstdint>

namespace dyad {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

PhiloxCounter Philox(PhiloxCounter counter, PhiloxKey key);

}  // namespace dyad
