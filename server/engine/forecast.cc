// Exponentially fading sums and their ratios.
#include "server/engine/forecast.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dyad::engine {

constexpr double kTimeConstantSeconds = 2;
constexpr double kFadeOfSequence = 0.999;
constexpr double kLeastSeconds = 0.05;
constexpr double kMostSeconds = 60;
// Numbers of running sequences that differ by less than this share of their mean tell nothing of a
// slope.
constexpr double kLeastSpread = 0.1;

absl::Status CannotEndInTime(absl::Duration needed, absl::Duration left) {
  return absl::ResourceExhaustedError(
      absl::StrCat("too busy to end before the deadline: it is ", absl::FormatDuration(left),
                   " away, and as steps go now the request takes ", absl::FormatDuration(needed)));
}

void Forecast::OnStep(const StepLoad& load, absl::Duration duration) {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(duration));
  const double fade = std::exp(-seconds / kTimeConstantSeconds);
  if (load.waiting > 0) {
    rows_ = rows_ * fade + static_cast<double>(load.rows);
    saturated_seconds_ = saturated_seconds_ * fade + seconds;
  }
  if (load.running == 0) return;
  const double running = load.running;
  for (auto [sum, term] :
       {std::pair(&steps_, 1.0), std::pair(&seconds_, seconds), std::pair(&running_, running),
        std::pair(&running_squared_, running * running),
        std::pair(&running_seconds_, running * seconds)}) {
    *sum = *sum * fade + term;
  }
}

void Forecast::OnGenerated(int32_t generated, int32_t allowed) {
  generated_ = generated_ * kFadeOfSequence + generated;
  allowed_ = allowed_ * kFadeOfSequence + allowed;
}

absl::Duration Forecast::TimeInQueue(const QueuedWork& work) const {
  const double rows =
      static_cast<double>(work.tokens) + GeneratedShare() * static_cast<double>(work.new_tokens);
  if (saturated_seconds_ <= 0 || rows == 0) return absl::ZeroDuration();
  return absl::Seconds(rows * saturated_seconds_ / rows_);
}

absl::Duration Forecast::RetryAfter(const QueuedWork& work) const {
  if (saturated_seconds_ <= 0) return absl::Seconds(1);
  return std::clamp(TimeInQueue(work), absl::Seconds(kLeastSeconds), absl::Seconds(kMostSeconds));
}

// The least squares' line where it rises and its foot is not below zero. Else by the root of the
// number: between steps that weights bound, which are equally long, and steps that rows bound.
double Forecast::StepSeconds(double running) const {
  if (steps_ <= 0) return 0;
  const double mean = running_ / steps_;
  const double variance = running_squared_ / steps_ - mean * mean;
  const double mean_seconds = seconds_ / steps_;
  if (variance > kLeastSpread * kLeastSpread * mean * mean) {
    const double slope = (running_seconds_ / steps_ - mean * mean_seconds) / variance;
    const double foot = mean_seconds - slope * mean;
    if (slope >= 0 && foot >= 0) return foot + slope * running;
  }
  return mean_seconds * std::sqrt(running / mean);
}

absl::Duration Forecast::TimeToRun(const SequenceWork& work, int32_t running) const {
  const double steps = static_cast<double>(work.prefill_steps) + GeneratedShare() * work.new_tokens;
  return absl::Seconds(steps * StepSeconds(running));
}

}  // namespace dyad::engine
