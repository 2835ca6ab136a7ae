// How linear layers of a device compute. Everything else is exact on every device.
#pragma once

#include <string_view>

namespace dyad::kernels {

// kExact: chains of fused multiply-adds in float32 (kernels/plan.h), the same bits on every device.
// kAccurate, kFast: tensor cores, with the activations in two or in one piece of 16 bits
// (kernels/reference/tensor.h); for weights of 16 and 8 bits. Layers of float32 weights are exact
// on a device of any arithmetic.
// kInteger24, kInteger16, kInteger8: int8 weights times activations that are whole numbers of so
// many bits, summed exactly (kernels/integer.h); for weights of 8 bits only.
// kBfloat16: chains with activations rounded to bfloat16 (kernels/bfloat16.h); for weights of
// bfloat16 only.
enum class Arithmetic { kExact, kAccurate, kFast, kInteger24, kInteger16, kInteger8, kBfloat16 };

constexpr bool IsInteger(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kInteger24 || arithmetic == Arithmetic::kInteger16 ||
         arithmetic == Arithmetic::kInteger8;
}

// Whether the CPU has it beside exact ones, and no other device.
constexpr bool IsOfTheCpu(Arithmetic arithmetic) {
  return IsInteger(arithmetic) || arithmetic == Arithmetic::kBfloat16;
}

constexpr std::string_view NameOf(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kExact:
      return "exact";
    case Arithmetic::kAccurate:
      return "accurate";
    case Arithmetic::kFast:
      return "fast";
    case Arithmetic::kInteger24:
      return "integer24";
    case Arithmetic::kInteger16:
      return "integer16";
    case Arithmetic::kInteger8:
      return "integer8";
    case Arithmetic::kBfloat16:
      return "bfloat16";
  }
  return {};
}

}  // namespace dyad::kernels
