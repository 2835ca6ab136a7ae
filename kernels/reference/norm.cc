// kernels/reference/norm.h.
#include "kernels/reference/norm.h"

#include <cmath>

namespace dyad::kernels::reference {

NormResult Normalize(std::span<const float> x, std::span<const float> weight,
                     std::span<const float> bias, double epsilon) {
  const auto count = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const double value : x) mean += value / count;
  for (const double value : x) variance += (value - mean) * (value - mean) / count;
  NormResult result;
  for (size_t i = 0; i < x.size(); ++i) {
    const double scaled =
        (x[i] - mean) / std::sqrt(variance + epsilon) * (weight.empty() ? 1.0 : weight[i]);
    const double added = bias.empty() ? 0.0 : bias[i];
    result.y.push_back(scaled + added);
    result.magnitude.push_back(std::abs(scaled) + std::abs(added));
  }
  return result;
}

}  // namespace dyad::kernels::reference
