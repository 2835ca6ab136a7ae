// The definition of what a plan computes: an interpreter in plain loops, never tuned. In double it
// says what the numbers should be and how far off a correct device may be; as a chain it says which
// bits every device gives.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/epilogue.h"
#include "kernels/plan.h"
#include "kernels/reference/route.h"
#include "kernels/reference/tensor.h"

namespace dyad::kernels::reference {

// To first order, the error of a sum in float32 is at most roundings · 2^-24 · magnitude.
struct PlanResult {
  std::vector<double> y;           // [tokens, out]
  std::vector<double> sum;         // what the activation is applied to: bias included
  std::vector<double> magnitude;   // of the sum: Σ |term| + |bias|, through all steps
  std::vector<int64_t> roundings;  // of a sum, for each output feature
};

// In double, with the choices and weights of routed steps as they are. REQUIRES, here and below:
// Check(plan) found no fault, and weights have data.
PlanResult Apply(const Plan& plan, int64_t tokens, ConstRows x, const Epilogue& epilogue);

// What each row chooses, by step and row, where a step is a Route; taken from the chain.
std::vector<std::vector<Choice>> Choices(const Plan& plan, int64_t tokens, ConstRows x);

// [tokens, out] in the arithmetic of kernels/plan.h, before the epilogue.
std::vector<float> Chain(const Plan& plan, int64_t tokens, ConstRows x);

// The same in the arithmetic of kernels/reference/tensor.h: a total starts at what stands in the
// destination and takes the terms in order; int8 totals start at 0, and fma(total, scale,
// destination) follows. Float32 weights have no such arithmetic: Chain.
std::vector<float> TensorChain(const TensorArithmetic& arithmetic, const Plan& plan, int64_t tokens,
                               ConstRows x);

// The same on a device of the arithmetic of kernels/integer.h or kernels/bfloat16.h (ArithmeticOf
// in kernels/plan.h), or in exact: Chain.
std::vector<float> ChainIn(Arithmetic arithmetic, const Plan& plan, int64_t tokens, ConstRows x);

double Activate(Activation activation, double x);

// The value of element `index` of weights that are not int8.
double WeightAt(const void* data, Element element, int64_t index);

}  // namespace dyad::kernels::reference
