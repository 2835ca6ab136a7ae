// Rows of narrower numbers: where they lie, whoever makes them. What they hold is tested with the
// layers, in integer_test.cc and bfloat16_test.cc.
#include "kernels/cpu/narrow_rows.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/linear.h"
#include "kernels/isa.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

TEST(NarrowRowsTest, LieAnOddNumberOfCacheLinesApartOnEveryThreadCount) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 64, 40}, Element::kFloat32);
  const std::vector<float> x = RandomFloats(70 * sample.in, 5);
  for (const Arithmetic arithmetic :
       {Arithmetic::kInteger24, Arithmetic::kInteger16, Arithmetic::kBfloat16}) {
    Plan plan = sample.plan();
    plan.type = IsInteger(arithmetic) ? Element::kInt8 : Element::kBfloat16;
    const PackedLinear layer(plan, nullptr, arithmetic);
    for (const std::string_view isa : SupportedIsas()) {
      const WithIsa with(isa);
      Workspace one(PoolOf(1)), three(PoolOf(3));
      const NarrowRows a =
          PackNarrowRows(layer.contraction(), arithmetic, 70, {x.data(), sample.in}, one);
      const NarrowRows b =
          PackNarrowRows(layer.contraction(), arithmetic, 70, {x.data(), sample.in}, three);
      EXPECT_EQ(a.stride % 128, 64);
      EXPECT_EQ(a.units != nullptr, IsInteger(arithmetic));
      for (int64_t row = 0; row < 70; ++row) {
        const NarrowRows of_a = a.From(row), of_b = b.From(row);
        EXPECT_TRUE(std::equal(of_a.data, of_a.data + 4 * of_a.block_stride, of_b.data)) << isa;
      }
    }
  }
}

}  // namespace
}  // namespace dyad::kernels
