// Instruction sets by name.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/linear.h"

namespace dyad::kernels {
namespace {

TEST(IsaTest, ScalarIsAlwaysThereAndLast) {
  ASSERT_FALSE(SupportedIsas().empty());
  EXPECT_EQ(SupportedIsas().back(), "scalar");
}

TEST(IsaTest, ForcesEachSupportedNameAndListsThemAllStill) {
  const auto isas = SupportedIsas();
  for (const std::string_view name : isas) {
    EXPECT_TRUE(ForceIsa(name));
    EXPECT_EQ(CurrentIsa(), name);
    EXPECT_EQ(SupportedIsas(), isas);
  }
  ForceIsa(isas.front());
}

TEST(IsaTest, RefusesUnknownNamesAndKeepsTheChoice) {
  ASSERT_TRUE(ForceIsa("scalar"));
  EXPECT_FALSE(ForceIsa("sse4"));
  EXPECT_FALSE(ForceIsa(""));
  EXPECT_FALSE(ForceIsa("AVX2"));
  EXPECT_EQ(CurrentIsa(), "scalar");
  ForceIsa(SupportedIsas().front());
}

TEST(IsaTest, RefusesWhatDoesNotRunHere) {
  const auto isas = SupportedIsas();
  for (const std::string_view name : {"avx512", "avx2", "neon"}) {
    const bool supported = std::find(isas.begin(), isas.end(), name) != isas.end();
    EXPECT_EQ(ForceIsa(name), supported) << name;
  }
  ForceIsa(isas.front());
}

}  // namespace
}  // namespace dyad::kernels
