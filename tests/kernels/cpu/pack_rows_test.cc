// Packed rows, element by element.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/contraction.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

struct Sizes {
  int64_t blocks;
  int64_t depth;  // of a term
};

void ExpectRowsSideBySide(Sizes sizes, int64_t tokens) {
  const auto [blocks, depth] = sizes;
  const SampleLayer sample({Kind::kTwoTerms, blocks, depth, 4}, Element::kFloat32);
  const Plan plan = sample.plan();
  const PackedContraction contraction = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  const SampleRows x(tokens, blocks * depth, 4);
  std::vector<float> packed(static_cast<size_t>(tokens * blocks * contraction.depth()));
  const float* next = packed.data();
  for (int64_t i = 0; i < RowTileCount(tokens); ++i) {
    const RowTile rows = RowTileAt(tokens, i);
    PackRowTile(contraction, contraction.all_blocks(), x.view(), rows, packed.data());
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t k = 0; k < 2 * depth; ++k) {
        const int64_t feature = k < depth ? b * depth + k : (k - depth) * blocks + b;
        for (int64_t r = 0; r < rows.count; ++r) {
          ASSERT_EQ(*next++, x.at(rows.first + r, feature))
              << blocks << " blocks of " << depth << ", " << tokens << " tokens, k " << k;
        }
      }
    }
  }
}

TEST(PackRowTileTest, PutsRowsSideBySideForEachFeatureOfEachView) {
  for (const Sizes sizes :
       {Sizes{1, 1}, {2, 3}, {3, 21}, {4, 1}, {4, 65}, {5, 16}, {8, 70}, {12, 300}}) {
    for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 37}) {
      ExpectRowsSideBySide(sizes, tokens);
    }
  }
}

// 2 groups of a token are 2 rows. The second block's last feature of the second group is past the
// end.
TEST(PackRowTileTest, GroupsAreRowsAndFeaturesPastTheEndAreZeros) {
  const std::vector<float> weights(12);
  Contract step;
  step.blocks = 2;
  step.groups = 2;
  step.depth = 3;
  step.outputs = 1;
  step.terms = {{{.block = 3, .group = 6}, {.data = weights.data(), .elements = 6, .block = 3}}};
  step.view = {.block = 1, .group = 2};
  Plan plan;
  plan.widths = {11, 4};
  plan.steps = {step};
  ASSERT_EQ(Check(plan), "");
  const PackedContraction contraction = PackWeights(step, plan);
  const SampleRows x(2, 11, 4);
  std::vector<float> packed(2 * 2 * 2 * 3);
  PackRowTile(contraction, contraction.all_blocks(), x.view(), {0, 4}, packed.data());
  const float* next = packed.data();
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t k = 0; k < 3; ++k) {
      for (int64_t r = 0; r < 4; ++r) {
        const int64_t feature = b * 3 + r % 2 * 6 + k;
        EXPECT_EQ(*next++, feature < 11 ? x.at(r / 2, feature) : 0.0f) << b << " " << k << " " << r;
      }
    }
  }
}

// Some blocks alone have the same rows as among all.
TEST(PackRowTileTest, PacksARangeOfBlocksAlone) {
  const SampleLayer sample({Kind::kTwoTerms, 8, 9, 4}, Element::kFloat32);
  const Plan plan = sample.plan();
  const PackedContraction contraction = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  EXPECT_EQ(contraction.blocks_together(), 4);
  const SampleRows x(17, 72, 4);
  const int64_t row_floats = contraction.depth();
  std::vector<float> all(static_cast<size_t>(17 * 8 * row_floats));
  std::vector<float> half(static_cast<size_t>(17 * 4 * row_floats));
  for (int64_t i = 0; i < RowTileCount(17); ++i) {
    const RowTile rows = RowTileAt(17, i);
    PackRowTile(contraction, contraction.all_blocks(), x.view(), rows, all.data());
    PackRowTile(contraction, {4, 4}, x.view(), rows, half.data());
    const float* expected = all.data() + (rows.first * 8 + rows.count * 4) * row_floats;
    const float* packed = half.data() + rows.first * 4 * row_floats;
    EXPECT_TRUE(std::equal(packed, packed + rows.count * 4 * row_floats, expected)) << i;
  }
}

// Pieces are the same work in parts, in any order.
TEST(PackRowPieceTest, PiecesTogetherAreTheBlock) {
  const SampleLayer sample({Kind::kTwoTerms, 2, 300, 4}, Element::kFloat32);
  const Plan plan = sample.plan();
  const PackedContraction contraction = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  const int64_t pieces = RowPieces(contraction, contraction.all_blocks());
  EXPECT_EQ(pieces, 2 * 2 * 2);  // blocks, terms, parts of at most 256 features
  const SampleRows x(13, 600, 3);
  const auto floats = static_cast<size_t>(13 * 2 * contraction.depth());
  std::vector<float> whole(floats), parts(floats);
  for (int64_t i = 0; i < RowTileCount(13); ++i) {
    PackRowTile(contraction, contraction.all_blocks(), x.view(), RowTileAt(13, i), whole.data());
    for (int64_t piece = pieces - 1; piece >= 0; --piece) {
      PackRowPiece(contraction, contraction.all_blocks(), x.view(), RowTileAt(13, i), piece,
                   parts.data());
    }
  }
  EXPECT_EQ(parts, whole);
}

}  // namespace
}  // namespace dyad::kernels
