// Masks of Gaudi-GBLR: which features a component sees, and how strongly.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace dyad::kernels {

// Values of a circular window: values[i] is the mask at (start + i) mod n; outside it is 0.
struct WindowMask {
  int64_t start = 0;
  std::vector<double> values;  // empty: the component is off

  int64_t width() const { return static_cast<int64_t>(values.size()); }
};

// Makes masks over n features. Without a sigma they are boxes of ones, round(width · n) wide from
// round(location · n) on, both rounded in float32; one of a single feature is off. With a sigma a
// box is convolved with the kernel whose Fourier coefficients are exp(−k² / (2 sigma²)), and what
// is below 1e-3 is 0.
class WindowMasks {
 public:
  // Cost: n times as many coefficients as are not 0 in double.
  WindowMasks(int64_t n, std::optional<double> sigma);

  // width in [0, 1], location finite.
  WindowMask At(float width, float location) const;

 private:
  int64_t n_;
  std::vector<double> kernel_sums_;  // [2n + 1], of the kernel from 0 on, twice around; or empty
};

}  // namespace dyad::kernels
