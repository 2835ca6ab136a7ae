// Two exponentially fading sums; their ratio is the rate.
#include "server/engine/drain_rate.h"

#include <algorithm>
#include <cmath>

namespace dyad::engine {

constexpr double kTimeConstantSeconds = 5;
constexpr double kLeastSeconds = 0.05;
constexpr double kMostSeconds = 60;

void DrainRate::OnStep(int64_t admitted_tokens, absl::Duration duration) {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(duration));
  const double fade = std::exp(-seconds / kTimeConstantSeconds);
  tokens_ = tokens_ * fade + static_cast<double>(admitted_tokens);
  seconds_ = seconds_ * fade + seconds;
}

absl::Duration DrainRate::TimeToDrain(int64_t waiting_tokens) const {
  if (seconds_ <= 0) return absl::Seconds(1);
  // Without a single admission the rate is 0 and the quotient infinite (or not a number): the
  // maximum.
  const double seconds = static_cast<double>(waiting_tokens) * seconds_ / tokens_;
  if (!(seconds <= kMostSeconds)) return absl::Seconds(kMostSeconds);
  return absl::Seconds(std::max(seconds, kLeastSeconds));
}

}  // namespace dyad::engine
