// Copies of weights, and tables in every type.
#include "kernels/reference/layer.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::kernels::reference {
namespace {

using ::testing::ElementsAre;

TEST(ReferenceLayerTest, KeepsWhatThePlanPointsTo) {
  std::vector<uint16_t> weights = {0x3f80, 0x4000};  // 1, 2 in bfloat16
  const ReferenceLayer layer(DensePlan(2, 1, {weights.data(), Element::kBfloat16}));
  weights = {0, 0};
  const auto& contract = std::get<Contract>(layer.plan().steps.front());
  const auto* kept = static_cast<const uint16_t*>(contract.terms.front().weights.data);
  EXPECT_EQ(kept[0], 0x3f80);
  EXPECT_EQ(kept[1], 0x4000);
  EXPECT_EQ(layer.weight_bytes(), 4);
  EXPECT_EQ(layer.multiply_adds(), 2);
}

TEST(ReferenceTableTest, RowsOfInt8AreScaledWholeNumbers) {
  const std::vector<float> values = {127, -3.2f, 0, 0.5f};
  TableSource source;
  source.rows = 2, source.columns = 2;
  source.type = Element::kInt8;
  source.data = reinterpret_cast<const std::byte*>(values.data());
  const ReferenceTable table(source);
  EXPECT_THAT(table.Row(0), ElementsAre(127, -3));
  source.type = Element::kFloat32;
  EXPECT_THAT(ReferenceTable(source).Row(1), ElementsAre(0, 0.5));
}

}  // namespace
}  // namespace dyad::kernels::reference
