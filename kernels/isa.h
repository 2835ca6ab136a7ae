// Instruction sets of the CPU kernels.
#pragma once

#include <string_view>
#include <vector>

namespace dyad::kernels {

// Those that this machine runs, best first; "scalar" is always there.
std::vector<std::string_view> SupportedIsas();
// Forces one for all kernels of the process, before any is used; false if it is unknown or does not
// run here.
bool ForceIsa(std::string_view name);
std::string_view CurrentIsa();

}  // namespace dyad::kernels
