// A chain in the arithmetic of kernels/bfloat16.h, by plain loops.
#pragma once

#include <span>

namespace dyad::kernels::reference {

// The sum after one term. Shapes: w, x [depth]; w: values of bfloat16.
float AddBfloat16Term(std::span<const float> w, std::span<const float> x, float sum);

}  // namespace dyad::kernels::reference
