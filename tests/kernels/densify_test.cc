// Plans multiplied out, against themselves; and which form layers of some sizes get.
#include "kernels/densify.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/reference/plan.h"
#include "kernels/structures/structures.h"
#include "tests/kernels/random_plan.h"
#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

TEST(DensifyTest, RandomPlansComputeTheSame) {
  int compared = 0, wide = 0;
  for (uint32_t seed = 1; seed <= 2040; ++seed) {
    // Wide ones are multiplied out in several parts.
    RandomPlan random(seed, seed <= 2000 ? PlanSize::kSmall : PlanSize::kLarge);
    Plan plan = random.plan();
    if (IsRouted(plan)) continue;
    plan.type = Element::kFloat32;
    const Plan dense = Densify(plan);
    ASSERT_EQ(Check(dense), "") << seed;
    EXPECT_EQ(dense.steps.size(), 1u);
    const std::vector<float> x = random.Floats(3 * plan.in_features());
    const ConstRows rows = {x.data(), plan.in_features()};
    const auto found = reference::Apply(dense, 3, rows, {});
    const auto expected = reference::Apply(plan, 3, rows, {});
    for (size_t i = 0; i < found.y.size(); ++i) {
      // Each weight of the product is rounded once.
      ASSERT_NEAR(found.y[i], expected.y[i], 0x1p-23 * expected.magnitude[i] + 1e-36) << seed;
    }
    ++compared;
    wide += plan.in_features() > 256 ? 1 : 0;
  }
  EXPECT_GT(compared, 500);
  EXPECT_GT(wide, 10);
}

bool IsDense(std::string_view kind, LayerSize size, int64_t detail,
             LayerForm wanted = LayerForm::kAuto) {
  CompiledLayer layer(kind);
  for (const auto& [leaf, shape, use] : layer.structure.Example(size, detail)) {
    layer.AddShape(std::string(leaf), shape);
  }
  EXPECT_EQ(layer.Compile(size), "");
  return ChooseForm(layer.plan, wanted).dense;
}

TEST(ChooseFormTest, IsDenseWhereAPlanSavesNothing) {
  constexpr LayerSize kSize = {768, 3072, Bias::kNone};
  EXPECT_FALSE(IsDense("dyad", kSize, 4));
  EXPECT_FALSE(IsDense("dyad", kSize, 8));
  EXPECT_TRUE(IsDense("dyad", kSize, 2));
  EXPECT_FALSE(IsDense("low_rank", kSize, 307));
  EXPECT_FALSE(IsDense("low_rank", kSize, 580));
  EXPECT_TRUE(IsDense("low_rank", kSize, 615));
  EXPECT_FALSE(IsDense("monarch", kSize, 4));
  EXPECT_FALSE(IsDense("blast", kSize, 16));
  EXPECT_FALSE(IsDense("einsum", kSize, 16));
  EXPECT_FALSE(IsDense("dense", kSize, 1)) << "nothing to multiply out";
}

TEST(ChooseFormTest, IsWhatIsAskedForButForRoutes) {
  constexpr LayerSize kSize = {768, 3072, Bias::kNone};
  EXPECT_TRUE(IsDense("dyad", kSize, 4, LayerForm::kDense));
  EXPECT_FALSE(IsDense("dyad", kSize, 2, LayerForm::kPlan));
  for (const LayerForm wanted : {LayerForm::kAuto, LayerForm::kPlan, LayerForm::kDense}) {
    EXPECT_FALSE(IsDense("btt_moe", kSize, 4, wanted));
    EXPECT_FALSE(IsDense("block_sparse_dynamic", kSize, 128, wanted));
  }
}

}  // namespace
}  // namespace dyad::kernels
