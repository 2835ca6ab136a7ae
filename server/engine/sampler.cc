// Selection instead of sorting: a filter finds how many of the best candidates stay by halving.
#include "server/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/engine/counter_random.h"

namespace dyad::engine {
namespace {

// The order of likelihood that every filter and the greedy choice agree on.
constexpr auto kLikelier = [](const auto& a, const auto& b) {
  return a.scaled > b.scaled || (a.scaled == b.scaled && a.id < b.id);
};

// Infinite and undefined logits would poison sums; the order of finite ones stays.
float Tame(float logit) {
  if (std::isnan(logit)) return -std::numeric_limits<float>::infinity();
  return std::min(logit, std::numeric_limits<float>::max());
}

// Nothing that would change the order of the logits: they need no copy.
bool IsPlainGreedy(const Sampling& sampling) {
  return sampling.temperature <= 0 && sampling.repetition_penalty == 1 &&
         sampling.presence_penalty == 0 && sampling.frequency_penalty == 0 &&
         sampling.logit_bias.empty();
}

}  // namespace

GeneratedToken Sampler::Sample(const Sampling& sampling, const SampleInput& input) {
  int32_t id = 0;
  if (IsPlainGreedy(sampling)) {
    id = GreedyToken(input.logits);
  } else if (Adjust(sampling, input); sampling.temperature <= 0) {
    id = GreedyToken(adjusted_);
  } else {
    const auto position = static_cast<int32_t>(input.prompt.size() + input.output.size());
    id = Draw(sampling, UniformAt({sampling.seed, sampling.choice, position}));
  }
  return {id, input.logits[id] - input.log_sum_exp,
          TopTokens(input.logits, input.log_sum_exp, input.top_n)};
}

void Sampler::Adjust(const Sampling& sampling, const SampleInput& input) {
  adjusted_.assign(input.logits.begin(), input.logits.end());
  counts_.resize(adjusted_.size());
  if (sampling.repetition_penalty != 1) {
    const float penalty = sampling.repetition_penalty;
    // Once for each distinct id, however often it occurs.
    for (const std::span<const int32_t> ids : {input.prompt, input.output}) {
      for (const int32_t id : ids) {
        if (counts_[id]++ > 0) continue;
        adjusted_[id] = adjusted_[id] > 0 ? adjusted_[id] / penalty : adjusted_[id] * penalty;
      }
    }
    for (const int32_t id : input.prompt) counts_[id] = 0;
    for (const int32_t id : input.output) counts_[id] = 0;
  }
  if (sampling.presence_penalty != 0 || sampling.frequency_penalty != 0) {
    for (const int32_t id : input.output) ++counts_[id];
    for (const int32_t id : input.output) {
      if (counts_[id] == 0) continue;
      adjusted_[id] -=
          sampling.presence_penalty + sampling.frequency_penalty * static_cast<float>(counts_[id]);
      counts_[id] = 0;
    }
  }
  for (const auto& [id, bias] : sampling.logit_bias) adjusted_[id] += bias;
}

int32_t Sampler::Draw(const Sampling& sampling, double uniform) {
  const double most = Tame(adjusted_[GreedyToken(adjusted_)]);
  const double temperature = sampling.temperature;
  candidates_.clear();
  for (int32_t id = 0; id < static_cast<int32_t>(adjusted_.size()); ++id) {
    const double scaled = (double{Tame(adjusted_[id])} - most) / temperature;
    // A weight below e^-38 is less than a step of `uniform`. NaN (all are minus infinity) fails
    // too.
    if (scaled > -38) candidates_.push_back({scaled, 0, id});
  }
  if (candidates_.empty()) return 0;
  if (sampling.top_k > 0) KeepTopK(sampling.top_k);
  for (Candidate& candidate : candidates_) candidate.weight = std::exp(candidate.scaled);
  if (sampling.top_p < 1) KeepTopP(sampling.top_p);
  // The best candidate always stays: its weight is 1.
  const double least = std::min<double>(sampling.min_p, 1);
  if (least > 0) std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < least; });
  // The sum runs over candidates in an order that depends on the logits alone.
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.weight;
  double left = uniform * sum;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return candidate.id;
  }
  return candidates_.back().id;  // rounding used up the last of it
}

void Sampler::KeepTopK(int32_t top_k) {
  if (candidates_.size() <= static_cast<size_t>(top_k)) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + top_k, candidates_.end(), kLikelier);
  candidates_.resize(top_k);
}

// Keeps the fewest of the likeliest whose weights reach top_p of all; at least one.
void Sampler::KeepTopP(double top_p) {
  double wanted = 0;
  for (const Candidate& candidate : candidates_) wanted += candidate.weight;
  wanted *= top_p;
  // All before `first` stay, none from `last` on does; `wanted` is what is missing after `first`.
  auto first = candidates_.begin();
  auto last = candidates_.end();
  while (last - first > 1) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, kLikelier);
    double sum = 0;
    for (auto it = first; it != middle; ++it) sum += it->weight;
    if (sum >= wanted) {
      last = middle;
    } else {
      wanted -= sum;
      first = middle;
    }
  }
  candidates_.erase(last, candidates_.end());
}

std::vector<TopToken> TopTokens(std::span<const float> logits, float log_sum_exp, int32_t n) {
  std::vector<TopToken> best;  // its logprob is the bare logit until the end
  const auto wanted = std::min(static_cast<size_t>(std::max(n, 0)), logits.size());
  if (wanted == 0) return best;
  best.reserve(wanted + 1);
  for (int32_t id = 0; id < static_cast<int32_t>(logits.size()); ++id) {
    const float logit = Tame(logits[id]);
    if (best.size() == wanted && logit <= best.back().logprob) continue;
    // Behind its equals: ids come in ascending order.
    const auto place =
        std::upper_bound(best.begin(), best.end(), logit,
                         [](float value, const TopToken& top) { return value > top.logprob; });
    best.insert(place, {id, logit});
    if (best.size() > wanted) best.pop_back();
  }
  for (TopToken& top : best) top.logprob = logits[top.id] - log_sum_exp;
  return best;
}

int32_t GreedyToken(std::span<const float> logits) {
  int32_t best = 0;
  for (int32_t id = 1; id < static_cast<int32_t>(logits.size()); ++id) {
    if (logits[id] > logits[best] || (std::isnan(logits[best]) && !std::isnan(logits[id]))) {
      best = id;
    }
  }
  return best;
}

}  // namespace dyad::engine
