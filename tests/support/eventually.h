// Waits for what another thread or process does.
#pragma once

#include <chrono>
#include <thread>

namespace dyad::testing {

// Whether `condition` holds within two minutes: long, because some work runs only on time that no
// other program wants.
template <typename Condition>
bool Eventually(const Condition& condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace dyad::testing
