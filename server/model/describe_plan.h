// A layer's plan for people, and the bytes that it keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/plan.h"

namespace dyad {

// A line for each step, equal ones behind each other as one: "mix h2 -> h3: 4 -> 4, width 12",
// "6 times: contract x -> y: …". At most kMostStepTexts, and then how many steps more there are.
inline constexpr size_t kMostStepTexts = 8;
std::vector<std::string> StepTexts(const kernels::Plan& plan);

// Of weights and the layer's bias in memory, in the types that the plan keeps them in. int8's
// scales are included; biases of single steps, and what a device adds to fill its panels, are not.
int64_t WeightBytes(const kernels::Plan& plan);

}  // namespace dyad
