// Exponentially fading sums and their ratios.
#include "server/engine/forecast.h"

#include <algorithm>
#include <cmath>

namespace dyad::engine {

constexpr double kTimeConstantSeconds = 2;
constexpr double kFadeOfSequence = 0.999;
constexpr double kLeastSeconds = 0.05;
constexpr double kMostSeconds = 60;
// Rows that vary by less than this share of their mean tell little of a slope: other work on the
// machine makes single steps longer, too.
constexpr double kLeastSpread = 0.5;

void Forecast::OnStep(const StepLoad& load, absl::Duration duration) {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(duration));
  const double fade = std::exp(-seconds / kTimeConstantSeconds);
  if (load.waiting > 0) {
    rows_ = rows_ * fade + static_cast<double>(load.rows);
    saturated_seconds_ = saturated_seconds_ * fade + seconds;
  }
  if (load.sequences == 0) return;
  const double sequences = load.sequences;
  const double terms[kTerms] = {1, sequences, static_cast<double>(load.rows) - sequences, seconds};
  for (int a = 0; a < kTerms; ++a) {
    for (int b = 0; b < kTerms; ++b) sums_[a][b] = sums_[a][b] * fade + terms[a] * terms[b];
  }
}

void Forecast::OnGenerated(int32_t generated, int32_t allowed) {
  generated_ = generated_ * kFadeOfSequence + generated;
  allowed_ = allowed_ * kFadeOfSequence + allowed;
}

absl::Duration Forecast::RetryAfter(const QueuedWork& work) const {
  if (saturated_seconds_ <= 0) return absl::Seconds(1);
  const double rows = Tokens(work);
  const double seconds = rows == 0 ? 0 : rows * saturated_seconds_ / rows_;
  return absl::Seconds(std::clamp(seconds, kLeastSeconds, kMostSeconds));
}

// The least squares' plane, drawn towards equal seconds for each row as far as rows did not vary:
// rather too much for more rows than there were, as who is let in stays. No slope is below zero;
// nor is the foot, as slopes are then cut in proportion.
absl::Duration Forecast::StepTime(double sequences, double more) const {
  if (steps() <= 0) return absl::ZeroDuration();
  const double rows = Mean(kSequences) + Mean(kMore);
  const double guess = Mean(kSeconds) / rows;
  const double pull = kLeastSpread * kLeastSpread * rows * rows;
  const double aa = Covariance(kSequences, kSequences) + pull;
  const double bb = Covariance(kMore, kMore) + pull;
  const double ab = Covariance(kSequences, kMore);
  const double a_seconds = Covariance(kSequences, kSeconds) + pull * guess;
  const double b_seconds = Covariance(kMore, kSeconds) + pull * guess;
  const double determinant = aa * bb - ab * ab;
  double a = std::max(0.0, (a_seconds * bb - b_seconds * ab) / determinant);
  double b = std::max(0.0, (b_seconds * aa - a_seconds * ab) / determinant);
  const double sloped = a * Mean(kSequences) + b * Mean(kMore);
  const double cut = sloped > Mean(kSeconds) ? Mean(kSeconds) / sloped : 1;
  const double foot = Mean(kSeconds) - cut * sloped;
  return absl::Seconds(foot + cut * (a * sequences + b * more));
}

absl::Duration Forecast::TimeToRun(const QueuedWork& sequence, double others,
                                   int32_t max_batch_tokens) const {
  const double rows = std::max(1.0, max_batch_tokens - others);
  return StepTime(others + 1, rows - 1) * (static_cast<double>(sequence.tokens) / rows) +
         StepTime(others + 1, MoreRows()) *
             (GeneratedShare() * static_cast<double>(sequence.new_tokens));
}

}  // namespace dyad::engine
