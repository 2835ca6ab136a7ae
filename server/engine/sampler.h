// Logits to a token.
//
// Order: repetition, frequency and presence penalties; bias; temperature; top_k; top_p; min_p; a
// draw. Each filter works on what the one before it left, renormalised. Everything is a function of
// the arguments, so that a token does not depend on the batch, nor on preemption.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/engine/request.h"

namespace dyad::engine {

// What one token is drawn from.
struct SampleInput {
  std::span<const float> logits;  // [vocab_size], as the model gave them
  float log_sum_exp = 0;          // of `logits`
  std::span<const int32_t> prompt;
  std::span<const int32_t> output;  // generated so far
  int32_t top_n = 0;                // best tokens to report
};

// Threads: one at a time. Memory: a few numbers per id of the vocabulary, kept between calls.
class Sampler {
 public:
  // Cost: O(vocab_size + prompt + output); nothing is sorted. A logit that is not a number counts
  // as minus infinity. If no id has a weight above zero, the lowest id is taken.
  GeneratedToken Sample(const Sampling& sampling, const SampleInput& input);

 private:
  struct Candidate {
    double scaled;  // logit / temperature less the greatest of them; <= 0
    double weight;  // its exponential; set after top_k
    int32_t id;
  };

  void Adjust(const Sampling& sampling, const SampleInput& input);
  int32_t Draw(const Sampling& sampling, double uniform);
  void KeepTopK(int32_t top_k);
  void KeepTopP(double top_p);

  std::vector<float> adjusted_;  // [vocab_size]
  std::vector<int32_t> counts_;  // [vocab_size]; all 0 between calls
  std::vector<Candidate> candidates_;
};

// The `n` greatest logits, descending, ties by the lower id. Cost: O(logits), plus n per new best.
std::vector<TopToken> TopTokens(std::span<const float> logits, float log_sum_exp, int32_t n);

// The id of the greatest logit, the lowest of equals; numbers only, 0 if there are none.
int32_t GreedyToken(std::span<const float> logits);

}  // namespace dyad::engine
