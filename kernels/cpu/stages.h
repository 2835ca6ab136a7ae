// The order in which the steps of a layer run: as the plan has them, but for routed steps, of which
// many that may run at once do. Bits stay those of the plan's order.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/plan.h"

namespace dyad::kernels {

struct Stage {
  std::vector<size_t> steps;
  // Routed steps that write the same blocks of one destination: each block goes through them in
  // this order. Else several steps are of buffers of their own, and in no order.
  bool in_order = false;
};

std::vector<Stage> StagesOf(const Plan& plan);

}  // namespace dyad::kernels
