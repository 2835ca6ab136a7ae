// Models in integer and bfloat16 arithmetic: near the exact ones, the same bits on every
// instruction set and under every load.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/devices.h"
#include "kernels/isa.h"
#include "server/model/load_model.h"
#include "tests/server/model/model_runner.h"
#include "tests/support/sanitized.h"

namespace dyad {
namespace {

using kernels::Arithmetic;
using testing::Driver;
using testing::Sequence;

struct Case {
  Arithmetic arithmetic;
  WeightDtype weights;
  double bound;  // by which it may move a log-probability
};
constexpr Case kCases[] = {{Arithmetic::kInteger24, WeightDtype::kInt8, 2e-5},
                           {Arithmetic::kInteger16, WeightDtype::kInt8, 4e-3},
                           {Arithmetic::kInteger8, WeightDtype::kInt8, 0.5},
                           {Arithmetic::kBfloat16, WeightDtype::kBfloat16, 0.1}};

absl::StatusOr<LoadedModel> Load(const std::string& fixture, Arithmetic arithmetic,
                                 WeightDtype weights, int threads = 2) {
  ModelOptions options = testing::SmallOptions();
  options.weight_dtype = weights;
  options.arithmetic = arithmetic;
  return LoadModel(testing::FixtureFolder(fixture), options,
                   kernels::MakeCpuDevice({.threads = threads, .arithmetic = arithmetic}));
}

std::vector<Sequence> Texts(const engine::Model& model) {
  std::vector<Sequence> texts;
  for (const int64_t tokens : {1, 9, 26, 40}) {
    texts.emplace_back(
        testing::RandomIds(tokens, model.limits().vocab_size, static_cast<uint32_t>(tokens)));
  }
  return texts;
}

std::vector<Sequence> LogprobsOf(const std::string& fixture, Arithmetic arithmetic,
                                 WeightDtype weights) {
  absl::StatusOr<LoadedModel> loaded = Load(fixture, arithmetic, weights, 1);
  EXPECT_OK(loaded);
  std::vector<Sequence> texts;
  if (!loaded.ok()) return texts;
  EXPECT_EQ(loaded->info.arithmetic, NameOf(arithmetic));
  texts = Texts(*loaded->model);
  for (Sequence& text : texts) Driver(*loaded->model).Finish(text, 128);
  return texts;
}

double Distance(const std::vector<Sequence>& a, const std::vector<Sequence>& b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    for (size_t t = 0; t < a[i].logprobs.size(); ++t) {
      for (size_t id = 0; id < a[i].logprobs[t].size(); ++id) {
        most = std::max(most, std::abs(double{a[i].logprobs[t][id]} - b[i].logprobs[t][id]));
      }
    }
  }
  return most;
}

class ArithmeticFixtureTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Served, ArithmeticFixtureTest,
                         ::testing::ValuesIn(testing::kSanitized
                                                 ? std::vector<std::string>{"opt-monarch"}
                                                 : testing::ServedFixtures()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(ArithmeticFixtureTest, IsNearTheExactOne) {
  for (const auto& [arithmetic, weights, bound] : kCases) {
    const std::vector<Sequence> exact = LogprobsOf(GetParam(), Arithmetic::kExact, weights);
    const double moved = Distance(LogprobsOf(GetParam(), arithmetic, weights), exact);
    EXPECT_LE(moved, bound) << NameOf(arithmetic);
    EXPECT_GT(moved, 0) << NameOf(arithmetic) << ": the chains have run";
    std::printf("%s moves logprobs by at most %.2g\n", std::string(NameOf(arithmetic)).c_str(),
                moved);
  }
}

TEST_P(ArithmeticFixtureTest, BitsDependNeitherOnLoadNorOnTheInstructionSet) {
  for (const auto& [arithmetic, weights, bound] : kCases) {
    const std::vector<Sequence> alone = LogprobsOf(GetParam(), arithmetic, weights);
    absl::StatusOr<LoadedModel> mixed = Load(GetParam(), arithmetic, weights);
    ASSERT_OK(mixed);
    std::vector<Sequence> texts = Texts(*mixed->model);
    Driver(*mixed->model, 7).FinishMixed(texts);
    ASSERT_EQ(texts.size(), alone.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(texts[i].logprobs, alone[i].logprobs) << NameOf(arithmetic);
      EXPECT_EQ(texts[i].scores, alone[i].scores) << NameOf(arithmetic);
    }
    for (const std::string_view isa : kernels::SupportedIsas()) {
      ASSERT_TRUE(kernels::ForceIsa(isa));
      EXPECT_EQ(Distance(LogprobsOf(GetParam(), arithmetic, weights), alone), 0)
          << isa << NameOf(arithmetic);
    }
    kernels::ForceIsa(kernels::SupportedIsas().front());
  }
}

TEST(ArithmeticModelTest, NeedsWeightsOfItsType) {
  const auto integer = Load("opt-dyad-it4", Arithmetic::kInteger16, WeightDtype::kBfloat16);
  EXPECT_THAT(integer.status(),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr("arithmetic is integer16; with weights of "
                                                     "bfloat16 cpu computes exact only; it needs "
                                                     "--weight_dtype=int8")));
  const auto bfloat16 = Load("opt-dyad-it4", Arithmetic::kBfloat16, WeightDtype::kAsStored);
  EXPECT_THAT(bfloat16.status(),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr("arithmetic is bfloat16; with weights of "
                                                     "float32 cpu computes exact only; it needs "
                                                     "--weight_dtype=bfloat16")));
}

}  // namespace
}  // namespace dyad
