// Random plans on every instruction set and number of threads against the chain, bit for bit.
#include "tests/kernels/random_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "kernels/cpu/linear.h"
#include "kernels/reference/plan.h"
#include "tests/kernels/sample_layers.h"
#include "tests/support/sanitized.h"

namespace dyad::kernels {
namespace {

// The rows of a batch, and what comes out of a plan for them.
struct Case {
  int64_t tokens = 0;
  std::vector<float> x, residual;  // residual empty: none
  Activation activation = Activation::kNone;

  ConstRows rows(const Plan& plan) const { return {x.data(), plan.in_features()}; }
};

Case CaseOf(RandomPlan& random, int64_t tokens) {
  Case result;
  result.tokens = tokens;
  result.x = random.Floats(tokens * random.plan().in_features());
  if (random.Chance(3)) {
    result.residual = random.Floats(tokens * random.plan().out_features());
  }
  if (random.Chance(3)) result.activation = Activation::kRelu;
  return result;
}

std::vector<float> Expected(const Plan& plan, const Case& batch) {
  std::vector<float> y = reference::Chain(plan, batch.tokens, batch.rows(plan));
  for (size_t i = 0; i < y.size(); ++i) {
    if (batch.activation == Activation::kRelu && y[i] < 0) y[i] = 0;
    if (!batch.residual.empty()) y[i] += batch.residual[i];
  }
  return y;
}

// The residual is y itself.
std::vector<float> Found(const PackedLinear& layer, const Plan& plan, const Case& batch,
                         int threads) {
  Workspace workspace(PoolOf(threads));
  std::vector<float> y = batch.residual;
  y.resize(static_cast<size_t>(batch.tokens * plan.out_features()), 77.0f);
  Epilogue epilogue = {batch.activation, {}};
  if (!batch.residual.empty()) epilogue.residual = {y.data(), plan.out_features()};
  layer.Apply(batch.tokens, batch.rows(plan), {y.data(), plan.out_features()}, epilogue, workspace);
  return y;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.empty() || b.empty()) return a.empty() && b.empty();
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void ExpectTheChain(uint32_t seed, PlanSize size, const std::vector<int64_t>& row_counts,
                    const std::vector<int>& threads) {
  RandomPlan random(seed, size);
  const Plan& plan = random.plan();
  ASSERT_EQ(Check(plan), "") << "seed " << seed;
  const PackedLinear layer(plan, &PoolOf(2));
  for (const int64_t tokens : row_counts) {
    const Case batch = CaseOf(random, tokens);
    const std::vector<float> expected = Expected(plan, batch);
    for (const std::string_view name : SupportedIsas()) {
      const WithIsa isa(name);
      for (const int count : threads) {
        ASSERT_TRUE(SameBits(Found(layer, plan, batch, count), expected))
            << "seed " << seed << ", " << tokens << " rows, " << count << " threads, " << name;
      }
    }
  }
}

constexpr uint32_t kPlans = testing::kSanitized ? 1000 : 10'000;
constexpr uint32_t kLargePlans = testing::kSanitized ? 10 : 60;

TEST(RandomPlanTest, TenThousandPlansHaveTheBitsOfTheChain) {
  const int64_t counts[] = {0, 1, 2, 3, 5, 6, 7, 12, 13, 25, 37};
  for (uint32_t seed = 1; seed <= kPlans; ++seed) {
    const int64_t tokens = counts[seed % std::size(counts)];
    ExpectTheChain(seed, PlanSize::kSmall, {tokens}, {1 + static_cast<int>(seed % 3)});
    if (HasFatalFailure()) return;
  }
}

TEST(RandomPlanTest, PlansThatThreadsShareHaveTheBitsOfTheChain) {
  for (uint32_t seed = 1; seed <= kLargePlans; ++seed) {
    ExpectTheChain(seed, PlanSize::kLarge, {3, seed % 10 == 0 ? 270 : 14}, {1, 2, 3});
    if (HasFatalFailure()) return;
  }
}

// Two steps with every kind of index: blocks, groups, two terms, a buffer between, ragged edges.
struct EveryIndex {
  std::vector<float> values;
  Plan plan;
  Case batch;

  EveryIndex() {
    RandomPlan random(1);
    values = random.Floats(2000);
    for (float& value : values) value += value < 0 ? -1 : 1;  // nothing that vanishes
    const auto weights = [&](int64_t first, int64_t count) {
      return Weights{.data = values.data() + first, .elements = count};
    };
    Contract in;
    in.destination = 2;
    in.blocks = 3;
    in.groups = 2;
    in.depth = 5;
    in.outputs = 4;
    in.terms = {{{.block = 5, .group = 14}, weights(0, 100)},
                {{.block = 1, .group = 14, .stride = 3}, weights(100, 100)}};
    for (Term& term : in.terms) {
      term.weights.block = 20;
      term.weights.output = 5;
    }
    in.view = {.block = 4, .group = 12};
    Contract out;
    out.source = 2;
    out.blocks = 2;
    out.depth = 12;
    out.outputs = 7;
    out.terms = {{{.block = 1, .stride = 2}, weights(300, 400)}};
    out.terms[0].weights.block = 90;
    out.terms[0].weights.output = 12;
    out.view = {.block = 1, .stride = 2};
    plan.widths = {27, 13, 23};
    plan.steps = {in, out};
    plan.bias.assign(values.begin() + 900, values.begin() + 913);
    batch.tokens = 14;
    batch.x.assign(values.begin() + 1000, values.begin() + 1000 + 14 * 27);
  }
};

TEST(RandomPlanTest, OneWrongIndexIsNoticed) {
  const EveryIndex right;
  const std::vector<float> expected = Expected(right.plan, right.batch);
  ASSERT_EQ(Check(right.plan), "");
  ASSERT_TRUE(SameBits(Found(PackedLinear(right.plan), right.plan, right.batch, 1), expected));
  const std::function<void(Contract&, Contract&)> wrongs[] = {
      [](Contract& in, Contract&) { in.terms[0].source.offset += 1; },
      [](Contract& in, Contract&) { in.terms[0].source.block += 1; },
      [](Contract& in, Contract&) { in.terms[1].source.block += 1; },
      [](Contract& in, Contract&) { in.terms[0].source.group -= 1; },
      [](Contract& in, Contract&) { in.terms[1].source.stride -= 1; },
      [](Contract& in, Contract&) { in.terms[0].weights.block -= 1; },
      [](Contract& in, Contract&) { in.terms[1].weights.output += 1; },
      [](Contract& in, Contract&) { in.terms[1].weights.depth += 1; },
      [](Contract& in, Contract&) { std::swap(in.terms[0].source, in.terms[1].source); },
      [](Contract& in, Contract&) { std::swap(in.terms[0], in.terms[1]); },  // the order of the sum
      [](Contract& in, Contract&) { in.view.offset += 1; },
      [](Contract& in, Contract&) { in.view = {.block = 8, .group = 4}; },
      [](Contract& in, Contract&) { in.depth -= 1; },
      [](Contract& in, Contract&) { in.outputs -= 1; },
      [](Contract& in, Contract&) { in.blocks -= 1; },
      [](Contract& in, Contract&) { in.groups -= 1; },
      [](Contract&, Contract& out) { out.source = 0; },
      [](Contract&, Contract& out) { out.terms[0].source.stride += 1; },
      [](Contract&, Contract& out) { out.terms[0].weights.block += 1; },
      [](Contract&, Contract& out) { out.view = {.block = 7, .stride = 1}; },
      [](Contract&, Contract& out) { out.view.offset += 1; },
  };
  for (size_t i = 0; i < std::size(wrongs); ++i) {
    Plan plan = right.plan;
    wrongs[i](std::get<Contract>(plan.steps[0]), std::get<Contract>(plan.steps[1]));
    for (Step& step : plan.steps) {
      for (Term& term : std::get<Contract>(step).terms) term.weights.elements = 1000;
    }
    ASSERT_EQ(Check(plan), "") << i;
    EXPECT_FALSE(SameBits(Found(PackedLinear(plan), plan, right.batch, 1), expected)) << i;
  }
  // The definitions agree on which plan it is.
  const auto wide =
      reference::Apply(right.plan, right.batch.tokens, right.batch.rows(right.plan), {});
  EXPECT_EQ(FirstWrong(wide, Activation::kNone, 14, 13, {expected.data(), 13}), -1);
}

// A mix, a list, a choice and what is routed by it: every index of these steps counts.
struct EveryKind {
  std::vector<float> values;
  Plan plan;
  Case batch;

  EveryKind() {
    RandomPlan random(3);
    values = random.Floats(4000);
    for (float& value : values) value += value < 0 ? -1 : 1;
    Mix mix = {.source = 0, .destination = 2, .from = 3, .to = 2, .width = 7, .weights = {}};
    mix.weights = {values.data(), 1000, Element::kFloat32, 1, 21, 7};
    BlockList list = {.source = 2, .destination = 3, .places = {}, .ranges = {}, .weights = {}};
    list.ranges = {{9, 5}, {0, 3}, {4, 6}};
    list.places = {{.first = 1, .outputs = 4, .first_range = 0, .ranges = 2, .weight = 10},
                   {.first = 6, .outputs = 5, .first_range = 2, .ranges = 1, .weight = 300}};
    list.weights = {values.data() + 200, 1000, Element::kFloat32, 0, 1, 8};
    Contract gate;
    gate.source = 3;
    gate.destination = 4;
    gate.depth = 12;
    gate.outputs = 5;
    gate.terms = {{{}, {values.data() + 2000, 1000, Element::kFloat32, 0, 12, 1}}};
    gate.precise = true;
    Contract chosen;
    chosen.blocks = 2;
    chosen.depth = 10;
    chosen.outputs = 6;
    chosen.terms = {{{.block = 11}, {values.data() + 600, 1000, Element::kFloat32, 60, 10, 1}}};
    chosen.view = {.block = 6};
    chosen.routed = {.route = 3, .item = 1, .item_block = 2, .scaled = true};
    plan.type = Element::kBfloat16;
    plan.widths = {21, 13, 14, 12, 5};
    plan.steps = {mix, list, gate, Route{.logits = 4, .rule = Rule::kShare, .keep = 3}, chosen};
    batch.tokens = 14;
    batch.x.assign(values.begin() + 1000, values.begin() + 1000 + 14 * 21);
  }
};

TEST(RandomPlanTest, OneWrongIndexOfEveryKindOfStepIsNoticed) {
  const EveryKind right;
  ASSERT_EQ(Check(right.plan), "");
  const std::vector<float> expected = Expected(right.plan, right.batch);
  ASSERT_TRUE(SameBits(Found(PackedLinear(right.plan), right.plan, right.batch, 1), expected));
  const std::function<void(std::vector<Step>&)> wrongs[] = {
      [](auto& s) { std::get<Mix>(s[0]).from -= 1; },
      [](auto& s) { std::get<Mix>(s[0]).to -= 1; },
      [](auto& s) { std::get<Mix>(s[0]).width -= 1; },
      [](auto& s) { std::get<Mix>(s[0]).weights.block += 1; },
      [](auto& s) { std::get<Mix>(s[0]).weights.output += 1; },
      [](auto& s) { std::get<Mix>(s[0]).weights.depth += 1; },
      [](auto& s) { std::get<BlockList>(s[1]).ranges[0].first -= 1; },
      [](auto& s) { std::get<BlockList>(s[1]).ranges[1].count += 1; },
      [](auto& s) {
        std::swap(std::get<BlockList>(s[1]).ranges[0], std::get<BlockList>(s[1]).ranges[2]);
      },
      [](auto& s) { std::get<BlockList>(s[1]).places[0].first += 1; },
      [](auto& s) { std::get<BlockList>(s[1]).places[0].outputs -= 1; },
      [](auto& s) { std::get<BlockList>(s[1]).places[0].ranges -= 1; },
      [](auto& s) { std::get<BlockList>(s[1]).places[1].first_range -= 1; },
      [](auto& s) { std::get<BlockList>(s[1]).places[1].weight += 1; },
      [](auto& s) { std::get<BlockList>(s[1]).weights.output += 1; },
      [](auto& s) { std::get<BlockList>(s[1]).weights.depth += 1; },
      [](auto& s) { std::get<Contract>(s[2]).precise = false; },
      [](auto& s) { std::get<Route>(s[3]).keep -= 1; },
      [](auto& s) { std::get<Route>(s[3]).rule = Rule::kSoftmax; },
      [](auto& s) { std::get<Contract>(s[4]).routed.item += 1; },
      [](auto& s) { std::get<Contract>(s[4]).routed.item_block -= 1; },
      [](auto& s) { std::get<Contract>(s[4]).routed.scaled = false; },
      [](auto& s) { std::get<Contract>(s[4]).routed.route = -1; },
  };
  for (size_t i = 0; i < std::size(wrongs); ++i) {
    Plan plan = right.plan;
    wrongs[i](plan.steps);
    ASSERT_EQ(Check(plan), "") << i;
    EXPECT_FALSE(SameBits(Found(PackedLinear(plan), plan, right.batch, 1), expected)) << i;
  }
}

TEST(RandomPlanTest, ExpertsThatNobodyChoseGiveNothing) {
  EveryKind of;
  auto& route = std::get<Route>(of.plan.steps[3]);
  route = {.logits = 4, .rule = Rule::kSoftmaxPlus, .keep = 1};
  std::get<Contract>(of.plan.steps[4]).blocks = 1;
  for (const int64_t tokens : {0, 1, 14}) {
    of.batch.tokens = tokens;
    int64_t ran = 0;
    for (int64_t item = 0; item < 5; ++item) {
      std::get<Contract>(of.plan.steps[4]).routed.item = item;
      const std::vector<float> y = Found(PackedLinear(of.plan), of.plan, of.batch, 2);
      EXPECT_TRUE(SameBits(y, Expected(of.plan, of.batch)));
      for (int64_t t = 0; t < tokens; ++t) ran += y[static_cast<size_t>(t * 13)] != 0 ? 1 : 0;
    }
    EXPECT_EQ(ran, tokens) << "each row has one expert";
  }
}

// The others have the bits that they have without it.
TEST(RandomPlanTest, ARowWhoseChoiceFailsIsNoNumberAlone) {
  EveryKind of;
  const std::vector<float> whole = Found(PackedLinear(of.plan), of.plan, of.batch, 2);
  of.batch.activation = Activation::kRelu;
  const std::vector<float> relu = Found(PackedLinear(of.plan), of.plan, of.batch, 2);
  std::fill_n(of.batch.x.begin() + 3 * 21, 21, 0.0f);  // logits of 0
  EXPECT_TRUE(
      SameBits(Found(PackedLinear(of.plan), of.plan, of.batch, 2), Expected(of.plan, of.batch)));
  const std::vector<float> y = Found(PackedLinear(of.plan), of.plan, of.batch, 1);
  for (size_t i = 0; i < y.size(); ++i) {
    if (i / 13 == 3) {
      EXPECT_TRUE(std::isnan(y[i])) << i;
    } else {
      EXPECT_EQ(y[i], relu[i]) << i;
    }
  }
  EXPECT_FALSE(SameBits(whole, relu));
}

// Sums of the chain stay within what the double way allows.
TEST(RandomPlanTest, TheChainStaysWithinTheBoundOfTheDefinition) {
  for (uint32_t seed = 1; seed <= 500; ++seed) {
    RandomPlan random(seed);
    const Plan& plan = random.plan();
    Case batch = CaseOf(random, 3);
    const auto wide = reference::Apply(plan, 3, batch.rows(plan), {});
    const std::vector<float> chain = reference::Chain(plan, 3, batch.rows(plan));
    for (size_t i = 0; i < chain.size(); ++i) {
      ASSERT_EQ(std::isnan(chain[i]), std::isnan(wide.sum[i])) << "seed " << seed;
      if (std::isnan(chain[i])) continue;
      const auto feature = i % static_cast<size_t>(plan.out_features());
      const double bound =
          static_cast<double>(wide.roundings[feature]) * 0x1p-24 * wide.magnitude[i];
      // 1e-37: products that underflow.
      ASSERT_LE(std::abs(chain[i] - wide.sum[i]), bound + 1e-37) << "seed " << seed;
    }
  }
}

TEST(RandomPlanTest, DamagedPlansAreRefused) {
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    RandomPlan random(seed);
    Plan& plan = random.plan();
    Step& any = plan.steps[static_cast<size_t>(random.Between(0, std::ssize(plan.steps) - 1))];
    if (!std::holds_alternative<Contract>(any)) {
      if (auto* const mix = std::get_if<Mix>(&any)) mix->weights.elements -= 1;
      if (auto* const list = std::get_if<BlockList>(&any)) {
        list->ranges.push_back({0, 1 << 20});
      }
      if (auto* const route = std::get_if<Route>(&any)) route->keep += 33;
      EXPECT_NE(Check(plan), "") << "seed " << seed;
      continue;
    }
    auto& step = std::get<Contract>(any);
    switch (seed % 4) {
      case 0:  // an index past the weights
        step.terms[0].weights.elements -= 1;
        break;
      case 1:  // a buffer that is read before it is written
        plan.widths.push_back(5);
        step.source = static_cast<int>(std::ssize(plan.widths)) - 1;
        break;
      case 2:  // an output in two places
        step.view = {};
        step.groups = 2;
        break;
      case 3:  // a buffer that is not there
        step.destination = static_cast<int>(std::ssize(plan.widths));
        break;
    }
    EXPECT_NE(Check(plan), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace dyad::kernels
