// Elementwise exp, GELU and GELU-tanh as chains of fused multiply-adds: the same bits in every lane
// and on every target. Compiled once per target.
//
// Error against exact arithmetic: exp 2 ulp. GELU within (4 + e) · 2^-23 relative, e = x²/2 being
// the exponent inside; GELU-tanh within (4 + 3e) · 2^-23, e = |2u|, whose rounding errors the exp
// multiplies. Absolute 1e-37 where results underflow.
#include "kernels/cpu/vector-inl.h"

#if defined(DYAD_KERNELS_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DYAD_KERNELS_CPU_MATH_INL_H_
#undef DYAD_KERNELS_CPU_MATH_INL_H_
#else
#define DYAD_KERNELS_CPU_MATH_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace dyad::kernels::HWY_NAMESPACE {

// 2^n for whole n in [-126, 127], by writing the exponent field.
HWY_INLINE Vec PowerOfTwo(IntVec n) {
  return hn::BitCast(FloatTag(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(IntTag(), 127))));
}

// 1.5 · 2^23: adding it to a number below 2^22 leaves the nearest whole number in the low bits.
HWY_INLINE Vec RoundingShift() { return Set(12582912.0f); }

// e^r with r = x − n · ln 2, |r| <= ln 2 / 2.
HWY_INLINE Vec ExpOfRest(Vec x, Vec n) {
  Vec r = Fma(n, Set(-0x1.62e400p-1f), x);  // ln 2 in two parts: the first times n is exact
  r = Fma(n, Set(-0x1.7f7d1cp-20f), r);
  // Chebyshev fit of (e^r - 1 - r) / r² on |r| <= 0.347, 7e-8.
  Vec p = Set(0x1.6d117cp-10f);
  p = Fma(p, r, Set(0x1.120be2p-7f));
  p = Fma(p, r, Set(0x1.555518p-5f));
  p = Fma(p, r, Set(0x1.5554dcp-3f));
  p = Fma(p, r, Set(0.5f));
  p = Fma(hn::Mul(p, r), r, r);
  return hn::Add(p, Set(1.0f));
}

// e^x = 2^n · e^r with n = round(x / ln 2) and |r| <= ln 2 / 2. Below -87 the result is 0 (no
// denormals), above 88.7 infinity; NaN stays NaN.
HWY_INLINE Vec Exp(Vec x) {
  const Vec clamped = hn::IfThenElse(hn::Lt(x, Set(-87.0f)), Set(-87.0f),
                                     hn::IfThenElse(hn::Gt(x, Set(89.0f)), Set(89.0f), x));
  const Vec round = RoundingShift();
  const Vec n = hn::Sub(Fma(clamped, Set(0x1.715476p+0f), round), round);
  Vec p = ExpOfRest(clamped, n);
  // 2^n in two steps, because n = 128 is needed just below the overflow.
  const IntVec whole = hn::ConvertTo(IntTag(), hn::IfThenElse(hn::Eq(x, x), n, Zero()));
  const IntVec half = hn::ShiftRight<1>(whole);
  p = hn::Mul(hn::Mul(p, PowerOfTwo(half)), PowerOfTwo(hn::Sub(whole, half)));
  return hn::IfThenElse(hn::Lt(x, Set(-87.0f)), Zero(), p);
}

// Exp(x) for x <= 0 or NaN, in two thirds of its instructions: no result is too large or denormal.
HWY_INLINE Vec ExpOfNegative(Vec x) {
  const Vec shifted = Fma(x, Set(0x1.715476p+0f), RoundingShift());
  const Vec p = ExpOfRest(x, hn::Sub(shifted, RoundingShift()));
  // The low bits of `shifted` are n, all that is left of it when it becomes an exponent.
  const Vec power = PowerOfTwo(hn::BitCast(IntTag(), shifted));
  return hn::IfThenZeroElse(hn::Lt(x, Set(-87.0f)), hn::Mul(p, power));
}

// x Φ(x) = x · erfc(-x / √2) / 2. With z = |x| / √2: erfc(z) = e^(-z²) · g / (1 + 2z), where g is
// smooth in t = (z - 3) / (z + 3). Unlike 1 + erf, this loses nothing to cancellation for negative
// x.
HWY_INLINE Vec Gelu(Vec x) {
  const Vec magnitude = hn::Min(hn::Abs(x), Set(14.0f));
  const Vec z = hn::Mul(magnitude, Set(0x1.6a09e6p-1f));
  const Vec t = hn::Div(hn::Sub(z, Set(3.0f)), hn::Add(z, Set(3.0f)));
  // Chebyshev fit of (1 + 2z) e^(z²) erfc(z) on z in [0, 10.2], 3e-9.
  Vec g = Set(-0x1.21d0f2p-12f);
  g = Fma(g, t, Set(-0x1.a133a8p-11f));
  g = Fma(g, t, Set(0x1.05ab42p-9f));
  g = Fma(g, t, Set(0x1.5203b0p-9f));
  g = Fma(g, t, Set(-0x1.85cc26p-6f));
  g = Fma(g, t, Set(0x1.17bacap-4f));
  g = Fma(g, t, Set(-0x1.e88a42p-4f));
  g = Fma(g, t, Set(0x1.09842ap-3f));
  g = Fma(g, t, Set(-0x1.85a15ap-5f));
  g = Fma(g, t, Set(-0x1.15c08ap-3f));
  g = Fma(g, t, Set(0x1.40c522p+0f));
  // e^(-x²/2): the rounding error of the square would be multiplied by the exponent, so it is put
  // back.
  const Vec half = hn::Mul(magnitude, Set(0.5f));
  const Vec square = hn::Mul(half, magnitude);
  const Vec lost = Fma(half, magnitude, hn::Neg(square));
  Vec e = ExpOfNegative(hn::Neg(square));
  e = Fma(hn::Neg(e), lost, e);
  const Vec tail = hn::Mul(Set(0.5f), hn::Mul(e, hn::Div(g, Fma(Set(2.0f), z, Set(1.0f)))));
  const Vec phi = hn::IfThenElse(hn::Lt(x, Zero()), tail, hn::Sub(Set(1.0f), tail));
  return hn::Mul(x, phi);
}

// x (1 + tanh u) / 2 = x / (1 + e^(-2u)) with u = √(2/π) (x + 0.044715 x³).
HWY_INLINE Vec GeluTanh(Vec x) {
  const Vec cubic = Fma(hn::Mul(x, x), hn::Mul(x, Set(0.044715f)), x);
  return hn::Div(x, hn::Add(Set(1.0f), Exp(hn::Mul(cubic, Set(-0x1.988454p+0f)))));
}

HWY_INLINE Vec Relu(Vec x) { return hn::IfThenElse(hn::Lt(x, Zero()), Zero(), x); }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace dyad::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DYAD_KERNELS_CPU_MATH_INL_H_
