// kernels/structures/rms_cap.h.
#include "kernels/structures/rms_cap.h"

#include <algorithm>
#include <cmath>

namespace dyad::kernels {

namespace {

double Shrinkage(const std::vector<double>& values, const RmsCap& cap) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  const double rms = std::sqrt(squares / static_cast<double>(values.size()) + cap.epsilon);
  const auto in = static_cast<double>(cap.in), out = static_cast<double>(cap.out);
  return std::max(1.0, rms / (std::sqrt(std::min(in, out)) / in));
}

}  // namespace

std::vector<float> Capped(const Leaf& core, const std::optional<RmsCap>& cap, const Leaf* gamma) {
  const std::vector<double> values = ValuesOf(core);
  double factor = gamma == nullptr ? 1.0 : ValuesOf(*gamma)[0];
  if (cap.has_value()) factor /= Shrinkage(values, *cap);
  std::vector<float> result;
  result.reserve(values.size());
  for (const double value : values) result.push_back(static_cast<float>(value * factor));
  return result;
}

}  // namespace dyad::kernels
