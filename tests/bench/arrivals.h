// When the next request of a load is due: closed loop, or Poisson arrivals.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "server/base/mutex.h"

namespace dyad::bench {

struct ArrivalOptions {
  std::optional<double> rate;       // requests per second, > 0: open loop. None: closed loop
  std::optional<int64_t> requests;  // end after so many
  double duration = 0;              // seconds; without `requests`: nothing is due later
  uint64_t seed = 0;                // of the gaps of the open loop
};

struct Arrival {
  int64_t number = 0;  // counted from 0
  double due = 0;      // seconds since the start
};

// Threads: any number.
class Arrivals {
 public:
  explicit Arrivals(const ArrivalOptions& options) : options_(options), random_(options.seed) {}

  // `now`: seconds since the start. Closed loop: due now. Open loop: due when the process says so,
  // whether that is to come or gone by. None: the load is over.
  std::optional<Arrival> Next(double now);

 private:
  const ArrivalOptions options_;
  Mutex mu_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  int64_t number_ ABSL_GUARDED_BY(mu_) = 0;
  double due_ ABSL_GUARDED_BY(mu_) = 0;  // of the last arrival
};

}  // namespace dyad::bench
