// The other form of a layer: its plan multiplied out, and which form a layer is served in.
#pragma once

#include <string>

#include "kernels/plan.h"

namespace dyad::kernels {

// The plan with one block that computes the same, up to rounding: multiplied out in double, rounded
// once to float32. Its weights are among its folds; type and structure are the plan's. Memory,
// besides: 257 doubles for each feature of the plan's buffers. REQUIRES: no Route; weights have
// data.
Plan Densify(const Plan& plan);

// What somebody asks for. kAuto: by ChooseForm's rule.
enum class LayerForm { kAuto, kPlan, kDense };

struct Form {
  bool dense = false;
  std::string why;  // for people: "fewer multiply-adds"
};
// By sizes alone, with constants that are the same on every machine: never by a measurement or by
// the number of rows, as forms differ in their bits. A layer with a Route is never dense. kAuto:
// dense where the plan has at least 95 % of a dense layer's parameters and costs at least as much.
Form ChooseForm(const Plan& plan, LayerForm wanted);

}  // namespace dyad::kernels
