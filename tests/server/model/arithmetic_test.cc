// Models in integer arithmetic: near the exact ones, the same bits on every instruction set and
// under every load.
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

constexpr Arithmetic kIntegers[] = {Arithmetic::kInteger24, Arithmetic::kInteger16,
                                    Arithmetic::kInteger8};

absl::StatusOr<LoadedModel> Load(const std::string& fixture, Arithmetic arithmetic,
                                 WeightDtype weights = WeightDtype::kInt8, int threads = 2) {
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
                                 int threads = 1) {
  absl::StatusOr<LoadedModel> loaded = Load(fixture, arithmetic, WeightDtype::kInt8, threads);
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

class IntegerFixtureTest : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Served, IntegerFixtureTest,
                         ::testing::ValuesIn(testing::kSanitized
                                                 ? std::vector<std::string>{"opt-monarch"}
                                                 : testing::ServedFixtures()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(IntegerFixtureTest, IsNearTheExactOne) {
  const std::vector<Sequence> exact = LogprobsOf(GetParam(), Arithmetic::kExact);
  const double bounds[] = {2e-5, 4e-3, 0.5};
  for (size_t i = 0; i < std::size(kIntegers); ++i) {
    const double moved = Distance(LogprobsOf(GetParam(), kIntegers[i]), exact);
    EXPECT_LE(moved, bounds[i]) << NameOf(kIntegers[i]);
    EXPECT_GT(moved, 0) << NameOf(kIntegers[i]) << ": the chains have run";
    std::printf("%s moves logprobs by at most %.2g\n", std::string(NameOf(kIntegers[i])).c_str(),
                moved);
  }
}

TEST_P(IntegerFixtureTest, BitsDependNeitherOnLoadNorOnTheInstructionSet) {
  for (const Arithmetic arithmetic : kIntegers) {
    const std::vector<Sequence> alone = LogprobsOf(GetParam(), arithmetic);
    absl::StatusOr<LoadedModel> mixed = Load(GetParam(), arithmetic);
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
      EXPECT_EQ(Distance(LogprobsOf(GetParam(), arithmetic), alone), 0)
          << isa << NameOf(arithmetic);
    }
    kernels::ForceIsa(kernels::SupportedIsas().front());
  }
}

TEST(IntegerModelTest, NeedsWeightsOfInt8) {
  const auto refused = Load("opt-dyad-it4", Arithmetic::kInteger16, WeightDtype::kBfloat16);
  EXPECT_THAT(refused.status(),
              testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::HasSubstr("arithmetic is integer16; with weights of "
                                                     "bfloat16 cpu computes exact only; it needs "
                                                     "--weight_dtype=int8")));
}

}  // namespace
}  // namespace dyad
