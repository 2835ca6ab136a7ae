// kernels/structures/window_mask.h.
#include "kernels/structures/window_mask.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dyad::kernels {
namespace {

constexpr double kCutOff = 1e-3;

// By the definition of the inverse transform, with cosines from a table.
std::vector<double> Kernel(int64_t n, double sigma) {
  std::vector<double> cosines(static_cast<size_t>(n)), kernel(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    cosines[static_cast<size_t>(i)] =
        std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n));
  }
  for (int64_t k = 0; k <= n / 2; ++k) {
    const auto frequency = static_cast<double>(k);
    const double coefficient = std::exp(-frequency * frequency / (2 * sigma * sigma));
    if (coefficient < 1e-20) break;
    const double both = (k == 0 || 2 * k == n ? 1.0 : 2.0) * coefficient / static_cast<double>(n);
    for (int64_t m = 0; m < n; ++m) {
      kernel[static_cast<size_t>(m)] += both * cosines[static_cast<size_t>(k * m % n)];
    }
  }
  return kernel;
}

// The window that leaves out the longest run of zeros.
WindowMask Shortest(const std::vector<double>& mask) {
  const auto n = static_cast<int64_t>(mask.size());
  int64_t run = 0, longest = 0, end = 0;  // the zeros before `end`
  for (int64_t i = 0; i < 2 * n; ++i) {
    run = mask[static_cast<size_t>(i % n)] == 0 ? run + 1 : 0;
    if (run <= longest) continue;
    longest = std::min(run, n);
    end = i + 1;
  }
  WindowMask window = {end % n, {}};
  for (int64_t i = 0; i < n - longest; ++i) {
    window.values.push_back(mask[static_cast<size_t>((end + i) % n)]);
  }
  return window;
}

}  // namespace

WindowMasks::WindowMasks(int64_t n, std::optional<double> sigma) : n_(n) {
  if (!sigma.has_value()) return;
  const std::vector<double> kernel = Kernel(n, *sigma);
  kernel_sums_.push_back(0);
  for (int64_t i = 0; i < 2 * n; ++i) {
    kernel_sums_.push_back(kernel_sums_.back() + kernel[static_cast<size_t>(i % n)]);
  }
}

WindowMask WindowMasks::At(float width, float location) const {
  const auto n = static_cast<float>(n_);
  const auto length = static_cast<int64_t>(std::nearbyint(width * n));  // ties to even
  if (length <= 1) return {};
  const float turn = location - std::floor(location);
  const int64_t start = static_cast<int64_t>(std::nearbyint(turn * n)) % n_;
  if (kernel_sums_.empty()) {
    return {start, std::vector<double>(static_cast<size_t>(length), 1.0)};
  }
  // mask[j] = Σ of the kernel over j − (start + length − 1) … j − start.
  std::vector<double> mask(static_cast<size_t>(n_));
  for (int64_t j = 0; j < n_; ++j) {
    const int64_t first = ((j - start - length + 1) % n_ + n_) % n_;
    const double value = kernel_sums_[static_cast<size_t>(first + length)] -
                         kernel_sums_[static_cast<size_t>(first)];
    mask[static_cast<size_t>(j)] = std::abs(value) < kCutOff ? 0.0 : value;
  }
  return Shortest(mask);
}

}  // namespace dyad::kernels
