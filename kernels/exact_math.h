// exp, log, the activations and rotation as chains of fused multiply-adds, for host and device.
//
// One number at a time, with the bits of the vector form in cpu/math-inl.h: every constant and
// every rounding here is part of the contract on bits. No result depends on a C library.
//
// Compile host code with -ffp-contract=off, device code with --fmad=false and
// --expt-relaxed-constexpr: a fused operation stands here only where it says fma. Division and
// square root round once, which is the default of both compilers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/host_device.h"

namespace dyad::kernels::exact {

// 2^n for n in [-126, 127], by writing the exponent field.
DYAD_HOST_DEVICE float PowerOfTwo(int n) {
  return std::bit_cast<float>(static_cast<uint32_t>(n + 127) << 23);
}

// e^x within 2 ulp: the steps are explained in cpu/math-inl.h. Below -87 the result is 0, above
// 88.7 infinity; NaN stays NaN.
DYAD_HOST_DEVICE float Exp(float x) {
  constexpr float kRound = 12582912.0f;
  const float clamped = x < -87.0f ? -87.0f : (x > 89.0f ? 89.0f : x);
  const float n = std::fma(clamped, 0x1.715476p+0f, kRound) - kRound;
  float r = std::fma(n, -0x1.62e400p-1f, clamped);
  r = std::fma(n, -0x1.7f7d1cp-20f, r);
  float p = 0x1.6d117cp-10f;
  p = std::fma(p, r, 0x1.120be2p-7f);
  p = std::fma(p, r, 0x1.555518p-5f);
  p = std::fma(p, r, 0x1.5554dcp-3f);
  p = std::fma(p, r, 0.5f);
  p = std::fma(p * r, r, r);
  p = p + 1.0f;
  const int whole = static_cast<int>(x == x ? n : 0.0f);
  const int half = whole >> 1;
  p = p * PowerOfTwo(half) * PowerOfTwo(whole - half);
  return x < -87.0f ? 0.0f : p;
}

// x Φ(x).
DYAD_HOST_DEVICE float Gelu(float x) {
  const float absolute = std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7fffffffu);
  const float magnitude = absolute < 14.0f ? absolute : 14.0f;
  const float z = magnitude * 0x1.6a09e6p-1f;
  const float t = (z - 3.0f) / (z + 3.0f);
  float g = -0x1.21d0f2p-12f;
  g = std::fma(g, t, -0x1.a133a8p-11f);
  g = std::fma(g, t, 0x1.05ab42p-9f);
  g = std::fma(g, t, 0x1.5203b0p-9f);
  g = std::fma(g, t, -0x1.85cc26p-6f);
  g = std::fma(g, t, 0x1.17bacap-4f);
  g = std::fma(g, t, -0x1.e88a42p-4f);
  g = std::fma(g, t, 0x1.09842ap-3f);
  g = std::fma(g, t, -0x1.85a15ap-5f);
  g = std::fma(g, t, -0x1.15c08ap-3f);
  g = std::fma(g, t, 0x1.40c522p+0f);
  const float half = magnitude * 0.5f;
  const float square = half * magnitude;
  const float lost = std::fma(half, magnitude, -square);
  float e = Exp(-square);
  e = std::fma(-e, lost, e);
  const float tail = 0.5f * (e * (g / std::fma(2.0f, z, 1.0f)));
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

// x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
DYAD_HOST_DEVICE float GeluTanh(float x) {
  const float cubic = std::fma(x * x, x * 0.044715f, x);
  return x / (1.0f + Exp(cubic * -0x1.988454p+0f));
}

// Not a maximum: -0 and NaN stay what they are.
DYAD_HOST_DEVICE float Relu(float x) { return x < 0.0f ? 0.0f : x; }

// The point (a, b), and that point turned by an angle.
struct Point {
  float a = 0;
  float b = 0;
};
DYAD_HOST_DEVICE Point Rotate(Point point, float cos, float sin) {
  return {std::fma(-point.b, sin, point.a * cos), std::fma(point.a, sin, point.b * cos)};
}

// e^x for x <= 0, relative error below 1.3 · 2^-53; 0 from -708 down, NaN stays NaN. e^x =
// 2^n · e^r with |r| <= ln 2 / 2, e^r by its Taylor series.
DYAD_HOST_DEVICE double ExpDouble(double x) {
  if (!(x > -708.0)) return x == x ? 0.0 : x;
  constexpr double kRound = 0x1.8p52;
  const double n = std::fma(x, 0x1.71547652b82fep+0, kRound) - kRound;
  double r = std::fma(n, -0x1.62e42fefa39efp-1, x);  // ln 2 in two parts
  r = std::fma(n, -0x1.abc9e3b39803fp-56, r);
  double p = 1.0 / 6227020800.0;  // 1/13!
  p = std::fma(p, r, 1.0 / 479001600.0);
  p = std::fma(p, r, 1.0 / 39916800.0);
  p = std::fma(p, r, 1.0 / 3628800.0);
  p = std::fma(p, r, 1.0 / 362880.0);
  p = std::fma(p, r, 1.0 / 40320.0);
  p = std::fma(p, r, 1.0 / 5040.0);
  p = std::fma(p, r, 1.0 / 720.0);
  p = std::fma(p, r, 1.0 / 120.0);
  p = std::fma(p, r, 1.0 / 24.0);
  p = std::fma(p, r, 1.0 / 6.0);
  p = std::fma(p, r, 0.5);
  p = std::fma(p, r, 1.0);
  p = std::fma(p, r, 1.0);
  return p * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

// ln x for normal x > 0, relative error below 1.7 · 2^-53. Infinity and NaN stay what they are;
// below the normal numbers the result is minus infinity. x = 2^e · (1 + f) with 1 + f in [√½, √2).
// With s = f / (2 + f): ln(1 + f) = 2 artanh s = f - f²/2 + s (f²/2 + R), R a series in s².
DYAD_HOST_DEVICE double LogDouble(double x) {
  if (!(x < std::numeric_limits<double>::infinity())) return x;
  if (x < std::numeric_limits<double>::min()) return -std::numeric_limits<double>::infinity();
  constexpr uint64_t kRootOfHalf = 0x3fe6a09e667f3bcd;
  const auto bits = std::bit_cast<uint64_t>(x);
  // Whole steps of the exponent field from √½ on, rounded down.
  const int64_t exponent = static_cast<int64_t>(bits - kRootOfHalf) >> 52;
  const auto m = std::bit_cast<double>(bits - (static_cast<uint64_t>(exponent) << 52));
  const auto e = static_cast<double>(exponent);
  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  double p = 2.0 / 23;
  p = std::fma(p, z, 2.0 / 21);
  p = std::fma(p, z, 2.0 / 19);
  p = std::fma(p, z, 2.0 / 17);
  p = std::fma(p, z, 2.0 / 15);
  p = std::fma(p, z, 2.0 / 13);
  p = std::fma(p, z, 2.0 / 11);
  p = std::fma(p, z, 2.0 / 9);
  p = std::fma(p, z, 2.0 / 7);
  p = std::fma(p, z, 2.0 / 5);
  p = std::fma(p, z, 2.0 / 3);
  const double half_square = 0.5 * f * f;
  // ln 2 in two parts. The first has 33 bits, so that e times it is exact; e · high + f is kept
  // with what its rounding lost.
  const double high = e * 0x1.62e42feep-1;
  const double sum = high + f;
  const double lost = e == 0.0 ? 0.0 : f - (sum - high);
  const double rest = std::fma(s, std::fma(p, z, half_square), -half_square);
  return sum + (lost + std::fma(e, 0x1.a39ef35793c76p-33, rest));
}

// x^y for x >= 1 and y >= 0, relative error below (2 + y ln x) · 2^-52; at most e^708.
DYAD_HOST_DEVICE double PowDouble(double x, double y) {
  return 1.0 / ExpDouble(-(y * LogDouble(x)));
}

// Of an angle in radians.
struct CosSin {
  double cos = 0;
  double sin = 0;
};
// For |x| up to 2^24, absolute error below 2^-52. x = n · π/2 + r with |r| <= π/4; π/2 in two
// parts, each step rounded once. Series of Taylor; n turns by quarters.
DYAD_HOST_DEVICE CosSin CosSinDouble(double x) {
  constexpr double kRound = 0x1.8p52;
  const double n = std::fma(x, 0x1.45f306dc9c883p-1, kRound) - kRound;
  double r = std::fma(n, -0x1.921fb54442d18p+0, x);
  r = std::fma(n, -0x1.1a62633145c07p-54, r);
  const double z = r * r;
  double s = -1.0 / 121645100408832000.0;  // -1/19!
  s = std::fma(s, z, 1.0 / 355687428096000.0);
  s = std::fma(s, z, -1.0 / 1307674368000.0);
  s = std::fma(s, z, 1.0 / 6227020800.0);
  s = std::fma(s, z, -1.0 / 39916800.0);
  s = std::fma(s, z, 1.0 / 362880.0);
  s = std::fma(s, z, -1.0 / 5040.0);
  s = std::fma(s, z, 1.0 / 120.0);
  s = std::fma(s, z, -1.0 / 6.0);
  s = std::fma(s * z, r, r);
  double c = 1.0 / 6402373705728000.0;  // 1/18!, of -cos
  c = std::fma(c, z, -1.0 / 20922789888000.0);
  c = std::fma(c, z, 1.0 / 87178291200.0);
  c = std::fma(c, z, -1.0 / 479001600.0);
  c = std::fma(c, z, 1.0 / 3628800.0);
  c = std::fma(c, z, -1.0 / 40320.0);
  c = std::fma(c, z, 1.0 / 720.0);
  c = std::fma(c, z, -1.0 / 24.0);
  c = std::fma(c, z, 0.5);
  c = std::fma(-c, z, 1.0);
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      return {c, s};
    case 1:
      return {-s, c};
    case 2:
      return {-c, -s};
    default:
      return {s, -c};
  }
}

}  // namespace dyad::kernels::exact
