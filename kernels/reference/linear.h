// The definition of a linear layer: kernels/linear.h in double, as plain loops. Never tuned.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/linear.h"

namespace dyad::kernels::reference {

struct LinearResult {
  std::vector<double> y;    // [tokens, out_features]
  std::vector<double> sum;  // Σ term + bias: what the activation is applied to
  std::vector<double>
      magnitude;  // of the sum: Σ |term| + |bias|, what a rounding error is relative to
  std::vector<int64_t> roundings;  // of a sum in the kernels' order, per output feature
};

LinearResult Linear(const LinearSpec& spec, int64_t tokens, ConstRows x, const Epilogue& epilogue);

double Activate(Activation activation, double x);

// A row of weights as int8 stands for it: scale · q.
std::vector<double> ThroughInt8(std::vector<double> row);

// The value of element `index` of weights of `type`, which is not int8.
double WeightAt(const void* data, WeightType type, int64_t index);

}  // namespace dyad::kernels::reference
