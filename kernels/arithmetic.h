// How linear layers of a device compute. Everything else is exact on every device.
#pragma once

#include <string_view>

namespace dyad::kernels {

// kExact: chains of fused multiply-adds in float32 (kernels/plan.h), the same bits on every device.
// kAccurate, kFast: tensor cores, with the activations in two or in one piece of 16 bits
// (kernels/reference/tensor.h); for weights of 16 and 8 bits. Layers of float32 weights are exact
// on a device of any arithmetic.
enum class Arithmetic { kExact, kAccurate, kFast };

constexpr std::string_view NameOf(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kExact:
      return "exact";
    case Arithmetic::kAccurate:
      return "accurate";
    case Arithmetic::kFast:
      return "fast";
  }
  return {};
}

}  // namespace dyad::kernels
