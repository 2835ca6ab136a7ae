// Exponential gaps make a Poisson process.
#include "tests/bench/arrivals.h"

namespace dyad::bench {

std::optional<Arrival> Arrivals::Next(double now) {
  const MutexLock lock(&mu_);
  if (options_.requests.has_value() && number_ >= *options_.requests) return std::nullopt;
  due_ = options_.rate.has_value()
             ? due_ + std::exponential_distribution<double>(*options_.rate)(random_)
             : now;
  if (!options_.requests.has_value() && due_ >= options_.duration) return std::nullopt;
  return Arrival{number_++, due_};
}

}  // namespace dyad::bench
