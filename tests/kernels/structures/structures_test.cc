// The registry: every family is found, compiles its own example, and no other family matches it.
#include "kernels/structures/structures.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/kernels/structures/compiled_layer.h"

namespace dyad::kernels {
namespace {

TEST(StructuresTest, KindsAreDistinctAndFound) {
  std::set<std::string_view> kinds;
  for (const Structure* structure : Structures()) {
    EXPECT_TRUE(kinds.insert(structure->kind).second);
    EXPECT_EQ(FindStructure(structure->kind), structure);
    EXPECT_FALSE(structure->leaves.empty());
  }
  EXPECT_EQ(Structures().front()->kind, "dense");
  EXPECT_EQ(FindStructure("hadamard"), nullptr);
  EXPECT_EQ(StructureKinds().substr(0, 5), "dense");
}

TEST(StructuresTest, EveryFamilyCompilesItsExampleWithAndWithoutData) {
  constexpr LayerSize kSize = {24, 36, Bias::kNone};
  for (const Structure* structure : Structures()) {
    for (const int64_t detail : {1, 4, 6}) {
      CompiledLayer shapes(structure->kind), layer(structure->kind);
      for (const auto& [leaf, shape, use] : structure->Example(kSize, detail)) {
        shapes.AddShape(std::string(leaf), shape);
      }
      layer.AddExample(kSize, detail);
      ASSERT_EQ(shapes.Compile(kSize), "") << structure->kind;
      ASSERT_EQ(layer.Compile(kSize), "") << structure->kind;
      EXPECT_EQ(layer.plan.structure, shapes.plan.structure);
      EXPECT_EQ(layer.plan.structure.substr(0, structure->kind.size()), structure->kind);
      EXPECT_EQ(layer.plan.widths[0], 24);
      EXPECT_EQ(layer.plan.widths[1], 36);
      for (const Structure* other : Structures()) {
        EXPECT_EQ(other->Matches(layer.leaves), other == structure) << other->kind;
      }
      for (const std::string_view leaf : structure->leaves) EXPECT_TRUE(layer.leaves.Has(leaf));
    }
  }
}

TEST(StructuresTest, OptionsThatNobodyTakesAreRefused) {
  for (const Structure* structure : Structures()) {
    CompiledLayer layer(structure->kind);
    for (const auto& [leaf, shape, use] : structure->Example({24, 36}, 4)) {
      layer.AddShape(std::string(leaf), shape);
    }
    layer.options.Add("colour", std::string("red"));
    EXPECT_EQ(layer.Compile({24, 36}), "options has the member 'colour'; kind '" +
                                           std::string(structure->kind) + "' has no such option");
  }
}

// A bias that must be there, may be there, or must be left to others to refuse.
TEST(StructuresTest, TheBiasIsTakenAsTheNetworkSays) {
  for (const Structure* structure : Structures()) {
    for (const Bias bias : {Bias::kNone, Bias::kPresent, Bias::kAsFound}) {
      for (const bool there : {false, true}) {
        CompiledLayer layer(structure->kind);
        for (const auto& [leaf, shape, use] : structure->Example({24, 36}, 4)) {
          layer.AddShape(std::string(leaf), shape);
        }
        if (there) layer.AddShape(std::string(structure->bias), {36});
        const Fault fault = layer.Compile({24, 36, bias});
        EXPECT_EQ(fault.empty(), there || bias != Bias::kPresent) << fault;
        const bool taken = there && bias != Bias::kNone;
        EXPECT_EQ(layer.leaves.untaken().empty(), taken || !there);
        EXPECT_EQ(layer.plan.bias.size(), taken ? 36u : 0u);
      }
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
