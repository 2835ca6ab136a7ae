// Which items a row chooses, and with what weights: the definition of Route (kernels/plan.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/plan.h"

namespace dyad::kernels::reference {

struct Choice {
  std::vector<bool> chosen;   // [items]
  std::vector<float> weight;  // [items]; 0 where not chosen
  bool failed = false;        // the sum of a kShare was 0 or not finite: nothing is chosen
};
Choice Choose(const Route& route, std::span<const float> logits);

}  // namespace dyad::kernels::reference
