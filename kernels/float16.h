// The two 16-bit floating-point formats, bit by bit: widening is exact, narrowing rounds to
// nearest, ties to even, and overflows to infinity. In software, so that every machine gets the
// same weights.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/host_device.h"

namespace dyad::kernels {

DYAD_HOST_DEVICE float FromBfloat16(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

DYAD_HOST_DEVICE float FromFloat16(uint16_t bits) {
  const uint32_t magnitude = uint32_t{bits & 0x7fffu} << 13;
  // The exponents' biases differ by 112; the product is exact, subnormal numbers included.
  uint32_t result = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  if ((bits & 0x7c00u) == 0x7c00u) result = magnitude | 0x7f800000u;  // infinity and NaN
  return std::bit_cast<float>(result | uint32_t{bits & 0x8000u} << 16);
}

DYAD_HOST_DEVICE uint16_t ToBfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);  // NaN
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

DYAD_HOST_DEVICE uint16_t ToFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t result;
  if (magnitude > 0x7f800000u) {
    result = 0x7e00u;  // NaN
  } else if (magnitude >= 0x47800000u) {
    result = 0x7c00u;  // 65536 and above
  } else if (magnitude < 0x38800000u) {
    // Below 2^-14: one unit in the last place of [0.5, 1) is the step of float16's subnormal
    // numbers, so the addition rounds.
    result = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    result = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  }
  return static_cast<uint16_t>(sign | result);
}

}  // namespace dyad::kernels
