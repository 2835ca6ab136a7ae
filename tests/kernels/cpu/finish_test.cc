// Scores and draws on every instruction set of this machine, against their definitions.
//
// Vocabularies: 1; around 32, the outputs of a panel, and 256, the ids of a tile; a prime over two
// tiles.
#include "kernels/cpu/finish.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/reference/draw.h"
#include "kernels/reference/score.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

struct Head {
  Head(int64_t hidden, int64_t vocabulary, Element type = Element::kFloat32)
      : sample({Kind::kDense, 1, hidden, vocabulary}, type), packed(sample.plan()) {}

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

// Set 1: every third id of every other tile; set 2: the rest; set 4: none.
std::vector<uint8_t> IdSets(int64_t vocabulary) {
  std::vector<uint8_t> sets;
  for (int64_t id = 0; id < vocabulary; ++id)
    sets.push_back(id % 3 == 1 && id / 256 % 2 == 0 ? 1 : 2);
  return sets;
}

// Every third row twice, with targets spread over the vocabulary, and sets of ids after some.
std::vector<ScoreRow> Targets(int64_t rows, int64_t vocabulary, int32_t top_n) {
  std::vector<ScoreRow> targets;
  for (int32_t row = 0; row < rows; ++row) {
    targets.push_back(
        {row, static_cast<int32_t>(row * 37 % vocabulary), top_n, static_cast<uint8_t>(row % 8)});
    if (row % 3 != 0) continue;
    targets.push_back({row, static_cast<int32_t>(row * 91 % vocabulary), 0, 1});
  }
  return targets;
}

// Draws of every kind after some of the rows, some with adjustments.
struct Draws {
  Draws(int64_t rows, int64_t vocabulary) {
    for (int32_t row = 0; row < rows; ++row) {
      if (row % 5 == 1) continue;
      DrawRow draw = {.row = row, .uniform = 0x9e3779b97f4a7c15 * static_cast<uint64_t>(row + 1)};
      if (row % 2 == 0) draw.temperature = 0.8f;
      if (row % 4 == 2) draw.top_k = 9;
      if (row % 8 >= 6) draw.top_p = 0.7f;
      draw.top_n = row % 3;
      draw.first_adjustment = static_cast<int32_t>(adjustments.size());
      for (int32_t id = row % 7; row % 3 == 0 && id < vocabulary; id += 40) {
        adjustments.push_back(
            {.id = id, .penalty = 1.5f, .subtract = 0.25f, .add = id % 3 == 0 ? 1.0f : 0.0f});
      }
      draw.adjustments = static_cast<int32_t>(adjustments.size()) - draw.first_adjustment;
      draws.push_back(draw);
      if (row % 6 == 0) draws.push_back({.row = row, .temperature = 2, .uniform = draw.uniform});
    }
  }
  std::span<const Adjustment> Of(const DrawRow& draw) const {
    return std::span(adjustments)
        .subspan(static_cast<size_t>(draw.first_adjustment), static_cast<size_t>(draw.adjustments));
  }

  std::vector<DrawRow> draws;
  std::vector<Adjustment> adjustments;
};

struct Found {
  ScoreResult score;
  DrawResult drawn;
  std::vector<TopEntry> top;
};

// What Finish answers, wish by wish: scores, then draws.
std::vector<Found> Results(const PackedLinear& head, ConstRows hidden,
                           std::span<const ScoreRow> targets, const Draws& draws, int threads = 1) {
  StepInput input;
  input.scores = targets;
  input.draws = draws.draws;
  input.adjustments = draws.adjustments;
  const std::vector<uint8_t> id_sets = IdSets(head.out_features());
  input.id_sets = id_sets;
  std::vector<ScoreResult> scores(targets.size());
  std::vector<DrawResult> drawn(draws.draws.size());
  std::vector<TopEntry> top(static_cast<size_t>(TopEntries(input, head.out_features())));
  std::vector<float> logits(static_cast<size_t>(SampledRows(draws.draws) * head.out_features()));
  ThreadPool pool(threads);
  Workspace workspace(pool);
  Finish(head, hidden, input, logits, {scores, drawn, top}, workspace);
  std::vector<Found> found;
  const auto top_of = [&](int32_t first, int64_t count) {
    const auto begin = top.begin() + first;
    return std::vector<TopEntry>(begin, begin + std::min(count, head.out_features()));
  };
  for (size_t i = 0; i < targets.size(); ++i) {
    found.push_back({scores[i], {}, top_of(scores[i].first_top, targets[i].top_n)});
  }
  for (size_t i = 0; i < drawn.size(); ++i) {
    found.push_back({{}, drawn[i], top_of(drawn[i].first_top, draws.draws[i].top_n)});
  }
  return found;
}

std::vector<Found> Results(const Head& head, const SampleRows& rows,
                           std::span<const ScoreRow> targets, const Draws& draws, int threads = 1) {
  return Results(head.packed, rows.view(), targets, draws, threads);
}

void ExpectSame(const Found& a, const Found& b) {
  EXPECT_EQ(a.score.logprob, b.score.logprob);
  EXPECT_EQ(a.score.rank, b.score.rank);
  EXPECT_EQ(a.score.set_logprob, b.score.set_logprob);
  EXPECT_EQ(a.drawn.id, b.drawn.id);
  EXPECT_EQ(a.drawn.logprob, b.drawn.logprob);
  ASSERT_EQ(a.top.size(), b.top.size());
  for (size_t n = 0; n < a.top.size(); ++n) {
    EXPECT_EQ(a.top[n].id, b.top[n].id);
    EXPECT_EQ(a.top[n].logprob, b.top[n].logprob);
  }
}

void ExpectSame(const std::vector<Found>& a, const std::vector<Found>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectSame(a[i], b[i]);
  }
}

// exp is off by 2 ulp, a tile's sum adds in chains of 16 and a tree of 4; all relative to the sum,
// so absolute in its logarithm. The result and the difference round once each.
double LogprobBound(double logit, double log_sum) {
  return (4 + 16 + 4) * 0x1p-24 + 2 * 0x1p-24 * (std::abs(logit) + std::abs(log_sum));
}

// A row of logits, and what the definitions say of it.
struct Row {
  Row(const std::vector<float>& logits, int32_t row, int64_t vocabulary)
      : values(logits.begin() + row * vocabulary, logits.begin() + (row + 1) * vocabulary),
        wide(values.begin(), values.end()),
        log_sum(reference::LogSumExp(wide)) {}

  void ExpectLogprob(float found, int64_t id) const {
    const double logit = wide[static_cast<size_t>(id)];
    EXPECT_NEAR(found, logit - log_sum, LogprobBound(logit, log_sum));
  }
  // −∞ for a set without ids.
  void ExpectSet(double found, uint8_t set) const {
    const auto sets = IdSets(std::ssize(wide));
    const double of_set = set == 0 ? log_sum : reference::LogSumExpOfSet(wide, sets, set);
    if (std::isinf(of_set)) {
      EXPECT_EQ(found, of_set);
    } else {
      EXPECT_NEAR(found, of_set - log_sum, LogprobBound(0, log_sum));
    }
  }
  void ExpectTop(const std::vector<TopEntry>& found, int64_t n) const {
    const auto top = reference::Top(wide, n);
    ASSERT_EQ(found.size(), top.size());
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(found[i].id, top[i]);
      ExpectLogprob(found[i].logprob, top[i]);
    }
  }

  std::vector<float> values;
  std::vector<double> wide;
  double log_sum;
};

class FinishTest : public testing::TestWithParam<std::string_view> {
 protected:
  WithIsa isa_{GetParam()};
};

TEST_P(FinishTest, ScoresAndDrawsAreThoseOfTheLogits) {
  for (const int64_t vocabulary : {1, 31, 32, 33, 255, 256, 257, 571}) {
    for (const int64_t rows : {1, 13, 100}) {
      const Head head(33, vocabulary);
      const SampleRows hidden(rows, 33, 4);
      const auto targets = Targets(rows, vocabulary, 5);
      const Draws draws(rows, vocabulary);
      const auto found = Results(head, hidden, targets, draws, 2);
      const std::vector<float> logits = head.Logits(hidden, rows);
      for (size_t i = 0; i < targets.size(); ++i) {
        const Row row(logits, targets[i].row, vocabulary);
        row.ExpectLogprob(found[i].score.logprob, targets[i].target);
        EXPECT_EQ(found[i].score.rank, reference::Rank(row.wide, targets[i].target));
        row.ExpectTop(found[i].top, targets[i].top_n);
        row.ExpectSet(found[i].score.set_logprob, targets[i].set);
      }
      for (size_t i = 0; i < draws.draws.size(); ++i) {
        const DrawRow& draw = draws.draws[i];
        const Found& answer = found[targets.size() + i];
        const Row row(logits, draw.row, vocabulary);
        EXPECT_EQ(answer.drawn.id, reference::Draw(row.values, draw, draws.Of(draw)));
        row.ExpectLogprob(answer.drawn.logprob, answer.drawn.id);
        row.ExpectTop(answer.top, draw.top_n);
      }
    }
  }
}

TEST_P(FinishTest, ADrawnIdHasTheBitsOfItsScore) {
  const Head head(48, 571);
  const SampleRows hidden(40, 48, 4);
  const Draws draws(40, 571);
  const auto drawn = Results(head, hidden, {}, draws);
  std::vector<ScoreRow> targets;
  for (size_t i = 0; i < drawn.size(); ++i) {
    targets.push_back({draws.draws[i].row, drawn[i].drawn.id, 0});
  }
  const auto scores = Results(head, hidden, targets, Draws(0, 571));
  for (size_t i = 0; i < drawn.size(); ++i) {
    EXPECT_EQ(scores[i].score.logprob, drawn[i].drawn.logprob);
  }
}

TEST_P(FinishTest, NeighboursAndThreadsDoNotShow) {
  const Head head(48, 571, Element::kBfloat16);
  const SampleRows hidden(500, 48, 4);  // more than one pass over the head
  const auto targets = Targets(500, 571, 3);
  const Draws draws(500, 571);
  ASSERT_GT(targets.size() + draws.draws.size(), 768u);
  const auto together = Results(head, hidden, targets, draws, 3);
  ExpectSame(Results(head, hidden, targets, draws, 1), together);
  const Draws none(0, 571);
  for (const size_t i : {size_t{0}, size_t{100}, size_t{254}, size_t{399}}) {
    ExpectSame(Results(head, hidden, std::span(targets).subspan(i, 1), none)[0], together[i]);
    Draws one = draws;
    one.draws = {draws.draws[i]};
    ExpectSame(Results(head, hidden, {}, one)[0], together[targets.size() + i]);
  }
}

TEST_P(FinishTest, HasTheBitsOfEveryOtherInstructionSet) {
  const Head head(48, 571);
  const SampleRows hidden(13, 48, 4);
  const Draws draws(13, 571);
  const auto here = Results(head, hidden, Targets(13, 571, 3), draws);
  const WithIsa scalar("scalar");
  ExpectSame(Results(head, hidden, Targets(13, 571, 3), draws), here);
}

INSTANTIATE_TEST_SUITE_P(Isas, FinishTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa) { return std::string(isa.param); });

// Equal logits: the lower id ranks first, across panels and tiles.
TEST(FinishTiesTest, GoToTheLowerId) {
  const std::vector<float> weights(600, 1.0f), hidden = {2.0f};
  const PackedLinear head(DensePlan(1, 600, {weights.data(), Element::kFloat32}));
  const std::vector<ScoreRow> targets = {{0, 0, 3}, {0, 299, 0}, {0, 599, 20}};
  Draws draws(0, 600);
  draws.adjustments = {{.id = 0, .subtract = 1}, {.id = 300, .add = 1}};
  draws.draws = {{.row = 0, .first_adjustment = 0, .adjustments = 1},
                 {.row = 0, .first_adjustment = 1, .adjustments = 1},
                 {.row = 0}};
  const auto found = Results(head, {hidden.data(), 1}, targets, draws, 2);
  EXPECT_EQ(found[0].score.rank, 1);
  EXPECT_EQ(found[1].score.rank, 300);
  EXPECT_EQ(found[2].score.rank, 600);
  EXPECT_NEAR(found[1].score.logprob, -std::log(600.0), 1e-6);
  for (int32_t n = 0; n < 20; ++n) EXPECT_EQ(found[2].top[static_cast<size_t>(n)].id, n);
  EXPECT_EQ(found[3].drawn.id, 1);
  EXPECT_EQ(found[4].drawn.id, 300);
  EXPECT_EQ(found[4].drawn.logprob, found[1].score.logprob);
  EXPECT_EQ(found[5].drawn.id, 0);
}

TEST(FinishNothingTest, IsNoWork) {
  const Head head(3, 5);
  const SampleRows hidden(1, 3, 4);
  EXPECT_TRUE(Results(head, hidden, {}, Draws(0, 5)).empty());
}

TEST(FinishRangeTest, SurvivesLargeAndSmallLogits) {
  const std::vector<float> weights = {1000, 1000, -1000, -2000, -1e30f}, hidden = {1};
  const PackedLinear head(DensePlan(1, 5, {weights.data(), Element::kFloat32}));
  const auto found =
      Results(head, {hidden.data(), 1}, std::vector<ScoreRow>{{0, 0, 0}, {0, 3, 0}}, Draws(0, 5));
  EXPECT_NEAR(found[0].score.logprob, -std::log(2.0), 1e-4);
  EXPECT_NEAR(found[1].score.logprob, -3000 - std::log(2.0), 1e-3);
}

}  // namespace
}  // namespace dyad::kernels
