// A layer compiled from random tensors, to be compared with the formula of its family.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/reference/plan.h"
#include "kernels/structures/structures.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {

using Shape = std::vector<int64_t>;

struct CompiledLayer {
  explicit CompiledLayer(std::string_view kind) : structure(*FindStructure(kind)) {}

  // The tensors of the family's example, of random numbers.
  void AddExample(LayerSize size, int64_t detail) {
    for (const auto& [leaf, shape, use] : structure.Example(size, detail)) {
      Add(std::string(leaf), shape);
      if (use != LeafUse::kSizes) continue;
      for (float& value : values.back()) value = std::abs(value);
    }
  }
  // A tensor of random numbers, which the layer keeps.
  const std::vector<float>& Add(const std::string& leaf, const Shape& shape) {
    Leaf tensor = {.name = "file: tensor fc." + leaf, .shape = shape};
    values.push_back(RandomFloats(tensor.elements(), static_cast<uint32_t>(values.size()) + 1));
    tensor.data = values.back().data();
    leaves.Add(leaf, std::move(tensor));
    return values.back();
  }
  // A tensor whose numbers do not matter.
  void AddShape(const std::string& leaf, const Shape& shape) {
    leaves.Add(leaf, {.name = "file: tensor fc." + leaf, .shape = shape});
  }
  Fault Compile(LayerSize size) { return CompileLayer(structure, leaves, options, size, plan); }

  // By the double interpreter of the plan.
  std::vector<double> Apply(const std::vector<float>& x) const {
    const int64_t in = plan.in_features();
    return reference::Apply(plan, std::ssize(x) / in, {x.data(), in}, {}).y;
  }

  const Structure& structure;
  Leaves leaves{"file: tensor fc.", ""};
  Options options{"options"};
  std::deque<std::vector<float>> values;
  Plan plan;
};

inline Fault CompileShapes(std::string_view kind, LayerSize size,
                           const std::vector<std::pair<std::string, Shape>>& shapes) {
  CompiledLayer layer(kind);
  for (const auto& [leaf, shape] : shapes) layer.AddShape(leaf, shape);
  return layer.Compile(size);
}

inline void ExpectNear(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-12 * (1 + std::abs(expected[i]))) << i;
  }
}

}  // namespace dyad::kernels
