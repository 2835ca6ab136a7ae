// Scores of targets on every instruction set of this machine, against the definition in double.
//
// Vocabularies: 1; around 32, the outputs of a panel, and 256, the ids of a tile; a prime over two
// tiles.
#include "kernels/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/reference/vocabulary.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

struct Head {
  Head(int64_t hidden, int64_t vocabulary, WeightType type = WeightType::kFloat32)
      : sample({Kind::kDense, 1, hidden, vocabulary}, type), packed(sample.Spec()) {}

  std::vector<float> Logits(const SampleRows& rows, int64_t count) const {
    std::vector<float> logits(static_cast<size_t>(count * sample.out));
    ThreadPool pool(1);
    Workspace workspace(pool);
    packed.Apply(count, rows.view(), {logits.data(), sample.out}, {}, workspace);
    return logits;
  }

  SampleLayer sample;
  PackedLinear packed;
};

// Every third row twice, with targets spread over the vocabulary.
std::vector<TargetRow> Targets(int64_t rows, int64_t vocabulary, int32_t top_n) {
  std::vector<TargetRow> targets;
  for (int64_t row = 0; row < rows; ++row) {
    targets.push_back({row, static_cast<int32_t>(row * 37 % vocabulary), top_n});
    if (row % 3 == 0) targets.push_back({row, static_cast<int32_t>(row * 91 % vocabulary), 0});
  }
  return targets;
}

std::vector<TargetScore> Scores(const Head& head, const SampleRows& rows,
                                const std::vector<TargetRow>& targets, int threads = 1) {
  std::vector<TargetScore> scores(targets.size());
  ThreadPool pool(threads);
  Workspace workspace(pool);
  ScoreTargets(head.packed, rows.view(), targets, scores, workspace);
  return scores;
}

void ExpectSame(const std::vector<TargetScore>& a, const std::vector<TargetScore>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].logprob, b[i].logprob) << i;
    EXPECT_EQ(a[i].rank, b[i].rank) << i;
    ASSERT_EQ(a[i].top.size(), b[i].top.size()) << i;
    for (size_t n = 0; n < a[i].top.size(); ++n) {
      EXPECT_EQ(a[i].top[n].id, b[i].top[n].id) << i;
      EXPECT_EQ(a[i].top[n].logprob, b[i].top[n].logprob) << i;
    }
  }
}

// exp is off by 2 ulp, a tile's sum adds in chains of 16 and a tree of 4; all relative to the sum,
// so absolute in its logarithm. The result and the difference round once each.
double LogprobBound(double logit, double log_sum) {
  return (4 + 16 + 4) * 0x1p-24 + 2 * 0x1p-24 * (std::abs(logit) + std::abs(log_sum));
}

class VocabularyTest : public testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

TEST_P(VocabularyTest, ScoresAreThoseOfTheLogits) {
  for (const int64_t vocabulary : {1, 31, 32, 33, 255, 256, 257, 571}) {
    for (const int64_t rows : {1, 13, 100}) {
      const Head head(33, vocabulary);
      const SampleRows hidden(rows, 33, 4);
      const auto targets = Targets(rows, vocabulary, 5);
      const auto scores = Scores(head, hidden, targets, 2);
      const std::vector<float> logits = head.Logits(hidden, rows);
      for (size_t i = 0; i < targets.size(); ++i) {
        const auto row = logits.begin() + targets[i].row * vocabulary;
        const std::vector<double> wide(row, row + vocabulary);
        const double log_sum = reference::LogSumExp(wide);
        const double logit = wide[static_cast<size_t>(targets[i].target)];
        EXPECT_NEAR(scores[i].logprob, logit - log_sum, LogprobBound(logit, log_sum));
        EXPECT_EQ(scores[i].rank, reference::Rank(wide, targets[i].target));
        const auto top = reference::Top(wide, targets[i].top_n);
        ASSERT_EQ(scores[i].top.size(), top.size());
        for (size_t n = 0; n < top.size(); ++n) {
          EXPECT_EQ(scores[i].top[n].id, top[n]);
          const double best = wide[static_cast<size_t>(top[n])];
          EXPECT_NEAR(scores[i].top[n].logprob, best - log_sum, LogprobBound(best, log_sum));
        }
      }
    }
  }
}

TEST_P(VocabularyTest, NeighboursAndThreadsDoNotShow) {
  const Head head(48, 571, WeightType::kBfloat16);
  const SampleRows hidden(300, 48, 4);  // more than one pass over the head
  const auto targets = Targets(300, 571, 3);
  const auto together = Scores(head, hidden, targets, 3);
  ExpectSame(Scores(head, hidden, targets, 1), together);
  for (const size_t i : {size_t{0}, size_t{100}, size_t{254}, size_t{399}}) {
    ExpectSame(Scores(head, hidden, {targets[i]}), {together[i]});
  }
}

TEST_P(VocabularyTest, HasTheBitsOfEveryOtherInstructionSet) {
  const Head head(48, 571);
  const SampleRows hidden(13, 48, 4);
  const auto here = Scores(head, hidden, Targets(13, 571, 3));
  const WithIsa scalar("scalar");
  ExpectSame(Scores(head, hidden, Targets(13, 571, 3)), here);
}

TEST_P(VocabularyTest, LogSumExpOfLogitsHasTheBitsOfScores) {
  for (const int64_t vocabulary : {1, 33, 571}) {
    const Head head(33, vocabulary);
    const SampleRows hidden(13, 33, 4);
    const std::vector<float> logits = head.Logits(hidden, 13);
    std::vector<float> log_sums(13);
    ThreadPool pool(2);
    Workspace workspace(pool);
    LogSumExp({logits.data(), vocabulary}, 13, vocabulary, log_sums, pool);
    const auto targets = Targets(13, vocabulary, 0);
    const auto scores = Scores(head, hidden, targets);
    for (size_t i = 0; i < targets.size(); ++i) {
      const float logit =
          logits[static_cast<size_t>(targets[i].row * vocabulary + targets[i].target)];
      EXPECT_EQ(scores[i].logprob, logit - log_sums[static_cast<size_t>(targets[i].row)]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, VocabularyTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

// Equal logits: the lower id ranks first, across panels and tiles.
TEST(ScoreTargetsTest, TiesGoToTheLowerId) {
  const std::vector<float> weights(600, 1.0f), hidden = {2.0f};
  const PackedLinear head(DenseSpec(1, 600, WeightType::kFloat32, weights.data(), {}));
  const std::vector<TargetRow> targets = {{0, 0, 3}, {0, 299, 0}, {0, 599, 20}};
  std::vector<TargetScore> scores(3);
  ThreadPool pool(2);
  Workspace workspace(pool);
  ScoreTargets(head, {hidden.data(), 1}, targets, scores, workspace);
  EXPECT_EQ(scores[0].rank, 1);
  EXPECT_EQ(scores[1].rank, 300);
  EXPECT_EQ(scores[2].rank, 600);
  EXPECT_NEAR(scores[1].logprob, -std::log(600.0), 1e-6);
  for (int32_t n = 0; n < 20; ++n) EXPECT_EQ(scores[2].top[static_cast<size_t>(n)].id, n);
}

TEST(ScoreTargetsTest, NothingToScoreIsNoWork) {
  const Head head(3, 5);
  const SampleRows hidden(1, 3, 4);
  EXPECT_TRUE(Scores(head, hidden, {}).empty());
}

TEST(LogSumExpTest, SurvivesLargeAndSmallLogits) {
  const std::vector<float> logits = {1000, 1000, -1000, -1000, -2000, -1e30f};
  std::vector<float> result(2);
  ThreadPool pool(1);
  Workspace workspace(pool);
  LogSumExp({logits.data(), 3}, 2, 3, result, pool);
  EXPECT_NEAR(result[0], 1000 + std::log(2.0), 1e-4);
  EXPECT_EQ(result[1], -1000);
}

}  // namespace
}  // namespace dyad::kernels
