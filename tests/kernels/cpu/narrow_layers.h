// Layers of narrow arithmetic, whole numbers or bfloat16, and what all of them must hold.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/reference/plan.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {

inline std::vector<float> Found(const PackedLinear& layer, int64_t rows,
                                const std::vector<float>& x, int threads) {
  Workspace workspace(PoolOf(threads));
  std::vector<float> y(static_cast<size_t>(rows * layer.out_features()), 77.0f);
  layer.Apply(rows, {x.data(), layer.in_features()}, {y.data(), layer.out_features()}, {},
              workspace);
  return y;
}

// Of rows whose bits differ: NaN is NaN. -1: none.
inline int64_t FirstDifferent(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size()) return 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const bool same = std::isnan(expected[i]) ? std::isnan(found[i])
                                              : std::bit_cast<uint32_t>(found[i]) ==
                                                    std::bit_cast<uint32_t>(expected[i]);
    if (!same) return static_cast<int64_t>(i);
  }
  return -1;
}

// Bit for bit, on every instruction set.
inline void ExpectTheDefinition(const Plan& plan, Arithmetic arithmetic, int64_t rows,
                                const std::vector<float>& x, int threads, const std::string& name) {
  const PackedLinear layer(plan, &PoolOf(2), arithmetic);
  const std::vector<float> expected =
      reference::ChainIn(arithmetic, plan, rows, {x.data(), plan.in_features()});
  for (const std::string_view isa : SupportedIsas()) {
    const WithIsa with(isa);
    ASSERT_EQ(FirstDifferent(Found(layer, rows, x, threads), expected), -1)
        << name << ", " << NameOf(arithmetic) << ", " << rows << " rows, " << isa;
  }
}

// Neither neighbours nor threads nor a layer of the same rows beside it show in a row. More than 11
// rows.
inline void ExpectNoNeighbours(const PackedLinear& a, const PackedLinear& b, int64_t rows,
                               const std::vector<float>& x) {
  const int64_t in = a.in_features(), out_a = a.out_features(), out_b = b.out_features();
  const std::vector<float> all = Found(a, rows, x, 1);
  EXPECT_EQ(Found(a, rows, x, 3), all);
  for (const int64_t row : {int64_t{0}, int64_t{11}, rows - 1}) {
    const auto from = x.begin() + row * in;
    const std::vector<float> alone = Found(a, 1, {from, from + in}, 1);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + row * out_a)) << row;
  }
  std::vector<float> of_a(all.size()), of_b(static_cast<size_t>(rows * out_b));
  Workspace workspace(PoolOf(2));
  const LinearOutput outputs[] = {{&a, {of_a.data(), out_a}}, {&b, {of_b.data(), out_b}}};
  ApplyTogether(rows, {x.data(), in}, outputs, workspace);
  EXPECT_EQ(of_a, all);
  EXPECT_EQ(of_b, Found(b, rows, x, 2));
}

}  // namespace dyad::kernels
