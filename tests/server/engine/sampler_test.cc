// The sampler against a reference that sorts everything and says which ids may be drawn, and with
// which probability. Support is compared exactly, frequencies by six standard deviations.
#include "server/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_model.h"

namespace dyad::engine {
namespace {

using ::dyad::testing::FakeModel;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What may be drawn, with its probability: penalties and bias are the caller's business.
std::map<int32_t, double> Distribution(const std::vector<float>& logits, const Sampling& sampling) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  if (sampling.top_k > 0 && ids.size() > static_cast<size_t>(sampling.top_k)) {
    ids.resize(sampling.top_k);
  }
  const auto weight = [&](int32_t id) {
    return std::exp((double{logits[id]} - double{logits[ids[0]]}) / sampling.temperature);
  };
  double all = 0;
  for (int32_t id : ids) all += weight(id);
  std::map<int32_t, double> kept;
  double sum = 0;
  for (int32_t id : ids) {
    if (sum >= all * sampling.top_p && !kept.empty()) break;
    sum += weight(id);
    if (weight(id) >= sampling.min_p) kept[id] = weight(id);
  }
  double total = 0;
  for (const auto& [id, w] : kept) total += w;
  for (auto& [id, w] : kept) w /= total;
  return kept;
}

int32_t SampleId(Sampler& sampler, const Sampling& sampling, std::span<const float> logits,
                 std::span<const int32_t> prompt = {}, std::span<const int32_t> output = {}) {
  return sampler.Sample(sampling, {logits, 0, prompt, output, 0}).id;
}

TEST(SamplerTest, GreedyTakesTheLowestOfEquals) {
  Sampler sampler;
  EXPECT_EQ(SampleId(sampler, {}, std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(SampleId(sampler, {}, std::vector<float>{-5}), 0);
}

TEST(SamplerTest, LogitsThatAreNoNumbersAreNeverPreferred) {
  Sampler sampler;
  Sampling warm;
  warm.temperature = 1;
  for (const Sampling& sampling : {Sampling{}, warm}) {
    EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{kNan, -2, kNan}), 1);
    EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{-kInfinity, kNan, -700}), 2);
    EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{0, kInfinity, 0}), 1);
    EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{kNan, kNan}), 0);
    EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{-kInfinity, -kInfinity}), 0);
  }
}

TEST(SamplerTest, DrawsExactlyWhatSortingWouldAllow) {
  std::mt19937 random(7);
  Sampler sampler;
  for (int round = 0; round < 200; ++round) {
    std::vector<float> logits(1 + random() % 40);
    // Multiples of 1/4, so that ties fall on the edges of the filters.
    for (float& logit : logits) logit = static_cast<float>(random() % 16) / 4;
    Sampling sampling;
    sampling.temperature = 0.25f * static_cast<float>(1 + random() % 8);
    if (random() % 2) sampling.top_k = 1 + static_cast<int32_t>(random() % 45);
    if (random() % 2) sampling.top_p = static_cast<float>(random() % 1000) / 1000;
    if (random() % 2) sampling.min_p = static_cast<float>(random() % 500) / 1000;
    const std::map<int32_t, double> expected = Distribution(logits, sampling);
    std::map<int32_t, int> drawn;
    constexpr int kDraws = 2000;
    for (sampling.seed = 0; sampling.seed < kDraws; ++sampling.seed) {
      ++drawn[SampleId(sampler, sampling, logits)];
    }
    for (const auto& [id, count] : drawn) ASSERT_TRUE(expected.contains(id)) << round;
    for (const auto& [id, probability] : expected) {
      const double deviation = std::sqrt(kDraws * probability * (1 - probability));
      EXPECT_NEAR(drawn[id], kDraws * probability, 6 * deviation + 1) << round;
    }
  }
}

TEST(SamplerTest, TopPKeepsNoMoreThanItNeeds) {
  Sampler sampler;
  Sampling sampling;
  sampling.temperature = 1;
  sampling.top_p = 0.5f;  // reached by two of four equals, exactly
  std::map<int32_t, int> drawn;
  for (sampling.seed = 0; sampling.seed < 200; ++sampling.seed) {
    ++drawn[SampleId(sampler, sampling, std::vector<float>(4, 1.0f))];
  }
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_TRUE(drawn.contains(0) && drawn.contains(1));
}

TEST(SamplerTest, TheDrawIsAFunctionOfSeedChoiceAndPosition) {
  const std::vector<float> logits(1000, 0.0f);
  Sampling sampling;
  sampling.temperature = 1;
  sampling.seed = 5;
  Sampler sampler;
  const std::vector<int32_t> ids = {1, 2, 3, 4};
  const std::span<const int32_t> all = ids;
  const int32_t drawn = SampleId(sampler, sampling, logits, all.first(2), all.subspan(2));
  Sampler other;
  SampleId(other, sampling, std::vector<float>(10, 1.0f));
  // Not of what was drawn before, nor of where the prompt ended.
  EXPECT_EQ(SampleId(other, sampling, logits, all.first(4)), drawn);
  EXPECT_NE(SampleId(sampler, sampling, logits, all.first(3)), drawn);
  sampling.choice = 1;
  EXPECT_NE(SampleId(sampler, sampling, logits, all), drawn);
  sampling.choice = 0;
  sampling.seed = 6;
  EXPECT_NE(SampleId(sampler, sampling, logits, all), drawn);
}

TEST(SamplerTest, ATinyTemperatureIsGreedyAndDoesNotOverflow) {
  Sampler sampler;
  Sampling sampling;
  sampling.temperature = std::numeric_limits<float>::denorm_min();
  for (sampling.seed = 0; sampling.seed < 20; ++sampling.seed) {
    EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{-1e30f, 1e30f, 9e29f}), 1);
  }
}

TEST(SamplerTest, RepetitionPenaltyWorksOnceForEachIdOfPromptAndOutput) {
  Sampler sampler;
  Sampling sampling;
  sampling.repetition_penalty = 2;
  const std::vector<int32_t> two_twos = {2, 2};
  const std::vector<int32_t> one = {1};
  // 8/2 = 4 < 5; had it worked twice, 2 would lose to 3 as well.
  EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{5, 8, 8, 3}, one, two_twos), 0);
  EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{1, 1, 8, 3}, one, two_twos), 2);
  // Negative logits are multiplied.
  EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{-1.9f, -1, -9, -9}, one), 0);
}

TEST(SamplerTest, PresenceAndFrequencyPenaltiesWorkOnOutputOnly) {
  Sampler sampler;
  const std::vector<float> logits = {5, 6, 7};
  const std::vector<int32_t> prompt = {2, 2, 2};
  const std::vector<int32_t> output = {2, 2, 1};
  Sampling presence;
  presence.presence_penalty = 1.5f;
  EXPECT_EQ(SampleId(sampler, presence, logits, prompt), 2);
  EXPECT_EQ(SampleId(sampler, presence, logits, prompt, output), 2);  // 5, 4.5, 5.5
  Sampling frequency;
  frequency.frequency_penalty = 0.75f;
  EXPECT_EQ(SampleId(sampler, frequency, logits, prompt, output), 2);  // 5, 5.25, 5.5
  frequency.frequency_penalty = 0.9f;
  EXPECT_EQ(SampleId(sampler, frequency, logits, prompt, output), 2);  // 5, 5.1, 5.2
  frequency.frequency_penalty = 1.2f;
  EXPECT_EQ(SampleId(sampler, frequency, logits, prompt, output), 0);  // 5, 4.8, 4.6
}

TEST(SamplerTest, BiasIsAddedAfterPenaltiesAndMayRepeat) {
  Sampler sampler;
  Sampling sampling;
  sampling.repetition_penalty = 4;
  sampling.logit_bias = {{1, 2.0f}, {1, 2.0f}};
  const std::vector<int32_t> prompt = {1};
  // 4/4 + 4 = 5 wins over 4.5; (4 + 4)/4 would not.
  EXPECT_EQ(SampleId(sampler, sampling, std::vector<float>{4.5f, 4}, prompt), 1);
}

TEST(SamplerTest, TheReportedLogprobIsOfTheModelsOwnDistribution) {
  Sampler sampler;
  Sampling sampling;
  sampling.temperature = 0.5f;
  sampling.logit_bias = {{2, 100.0f}};
  const std::vector<float> logits = {1, 2, 0.5f};
  const float log_sum_exp = FakeModel::LogSumExp(logits);
  const GeneratedToken token = sampler.Sample(sampling, {logits, log_sum_exp, {}, {}, 2});
  EXPECT_EQ(token.id, 2);
  EXPECT_EQ(token.logprob, 0.5f - log_sum_exp);
  EXPECT_THAT(token.top,
              ::testing::ElementsAre(TopToken{1, 2 - log_sum_exp}, TopToken{0, 1 - log_sum_exp}));
}

TEST(SamplerTest, TopTokensEqualTheModelsOwn) {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    std::vector<float> logits(1 + random() % 50);
    for (float& logit : logits) logit = static_cast<float>(random() % 8);
    const auto n = static_cast<int32_t>(random() % 21);
    const float log_sum_exp = FakeModel::LogSumExp(logits);
    EXPECT_EQ(TopTokens(logits, log_sum_exp, n), FakeModel::Score(logits, 0, n).top);
  }
}

}  // namespace
}  // namespace dyad::engine
