// How long steps take, from those of late: retry hints, and what a sequence's steps will take.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace dyad::engine {

// What a step did.
struct StepLoad {
  int64_t rows = 0;
  int32_t sequences = 0;  // that have rows in it
  int32_t waiting = 0;    // sequences, after the step
};

// Sequences that wait, their ids, and what they may generate.
struct QueuedWork {
  int32_t sequences = 0;
  int64_t tokens = 0;
  int64_t new_tokens = 0;

  void Add(const QueuedWork& other) {
    sequences += other.sequences;
    tokens += other.tokens;
    new_tokens += other.new_tokens;
  }
  QueuedWork operator-() const { return {-sequences, -tokens, -new_tokens}; }
};

// Sums that fade with a time constant of 2 s of steps. A value: no clock, no thread.
class Forecast {
 public:
  void OnStep(const StepLoad& load, absl::Duration duration);
  // A sequence ended by itself after `generated` of at most `allowed` tokens.
  void OnGenerated(int32_t generated, int32_t allowed);

  // A hint for retries: how long queued work takes at the rows a second of the steps that left
  // somebody waiting, within [0.05 s, 60 s]; 1 s before there was such a step.
  absl::Duration RetryAfter(const QueuedWork& work) const;

  // Of a step in which `sequences` have a row each, and some `more` rows. 0 before anything was
  // measured.
  absl::Duration StepTime(double sequences, double more) const;
  // Of a sequence from its admission to its end, beside `others` that have a row in each step.
  absl::Duration TimeToRun(const QueuedWork& sequence, double others,
                           int32_t max_batch_tokens) const;
  // Mean of a step's rows beyond one for each of its sequences: of prompts.
  double MoreRows() const { return steps() > 0 ? sums_[0][kMore] / steps() : 0; }
  // Tokens that sequences generated lately, of those allowed.
  double GeneratedShare() const { return allowed_ > 0 ? generated_ / allowed_ : 1; }
  // Ids of `work`, and what it will generate if it ends as others did lately.
  double Tokens(const QueuedWork& work) const {
    return static_cast<double>(work.tokens) +
           GeneratedShare() * static_cast<double>(work.new_tokens);
  }

 private:
  enum Term { kOne, kSequences, kMore, kSeconds, kTerms };

  double steps() const { return sums_[kOne][kOne]; }
  double Mean(Term term) const { return sums_[kOne][term] / steps(); }
  double Covariance(Term a, Term b) const { return sums_[a][b] / steps() - Mean(a) * Mean(b); }

  // Of steps that left somebody waiting.
  double rows_ = 0;
  double saturated_seconds_ = 0;
  // Of products of the terms of all steps, for the plane
  // seconds = foot + a · sequences + b · more rows.
  double sums_[kTerms][kTerms] = {};
  // Of tokens, the last thousand sequences or so.
  double generated_ = 0;
  double allowed_ = 0;
};

}  // namespace dyad::engine
