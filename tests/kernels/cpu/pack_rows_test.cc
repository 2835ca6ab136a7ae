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

struct Views {
  const char* what;
  std::vector<View> terms;
  int64_t blocks, groups, depth, width;
};

void ExpectItsViews(const Views& views, int64_t tokens) {
  const std::vector<float> weights(1);
  Contract step;
  step.blocks = views.blocks;
  step.groups = views.groups;
  step.depth = views.depth;
  step.outputs = 1;
  for (const View& view : views.terms) {
    const Weights one = {.data = weights.data(), .elements = 1, .depth = 0};
    step.terms.push_back({view, one});
  }
  step.view = {.block = 1, .group = views.blocks};
  Plan plan;
  plan.widths = {views.width, views.blocks * views.groups};
  plan.steps = {step};
  ASSERT_EQ(Check(plan), "") << views.what;
  const PackedContraction contraction = PackWeights(step, plan);
  const SampleRows x(tokens, views.width, 4);
  const int64_t rows = tokens * views.groups;
  std::vector<float> packed(static_cast<size_t>(rows * views.blocks * contraction.depth()));
  const float* next = packed.data();
  for (int64_t i = 0; i < RowTileCount(rows); ++i) {
    const RowTile tile = RowTileAt(rows, i);
    PackRowTile(contraction, contraction.all_blocks(), x.view(), tile, packed.data());
    for (int64_t b = 0; b < views.blocks; ++b) {
      for (const View& view : views.terms) {
        for (int64_t k = 0; k < views.depth; ++k) {
          for (int64_t row = tile.first; row < tile.first + tile.count; ++row) {
            const int64_t feature = view.At(b, row % views.groups, k);
            const float there = feature < views.width ? x.at(row / views.groups, feature) : 0.0f;
            ASSERT_EQ(*next++, there) << views.what << ", " << tokens << " tokens, row " << row;
          }
        }
      }
    }
  }
}

// Depths around a square and a piece; widths that end within a block, a group, four terms.
TEST(PackRowTileTest, EveryKindOfViewIsPackedAsItSays) {
  const auto four = [](View view) {
    std::vector<View> terms(4, view);
    for (size_t i = 0; i < 4; ++i) terms[i].offset += static_cast<int64_t>(i);
    return terms;
  };
  std::vector<View> six = four({.group = 6, .stride = 42});
  for (const int64_t offset : {4, 5}) six.push_back({.offset = offset, .group = 6, .stride = 42});
  const std::vector<Views> all = {
      {"four terms side by side", four({.block = 4, .stride = 12}), 3, 1, 70, 840},
      {"… that end early", four({.block = 4, .stride = 12}), 3, 1, 7, 82},
      {"four terms that are not",
       {{.block = 5, .stride = 15},
        {.offset = 1, .block = 5, .stride = 15},
        {.offset = 2, .block = 5, .stride = 15},
        {.offset = 4, .block = 5, .stride = 15}},
       3,
       1,
       7,
       105},
      {"six terms, in groups", six, 1, 7, 5, 210},
      {"groups in a row", {{.group = 9}}, 1, 5, 9, 45},
      {"… that end early", {{.group = 9}}, 1, 5, 9, 41},
      {"… long ones", {{.group = 300}}, 1, 3, 300, 888},
      {"groups side by side", {{.group = 1, .stride = 13}}, 1, 13, 6, 78},
      {"… that end early", {{.group = 1, .stride = 13}}, 1, 13, 6, 70},
      {"blocks that end early", {{.block = 11}}, 4, 1, 11, 40},
      {"… side by side", {{.block = 1, .stride = 4}}, 4, 1, 11, 42}};
  for (const Views& views : all) {
    for (const int64_t tokens : {1, 2, 3, 4, 5, 13, 25}) ExpectItsViews(views, tokens);
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

TEST(PackRowTileTest, TokensMayBeAnyRows) {
  const SampleLayer sample({Kind::kTwoTerms, 4, 9, 4}, Element::kFloat32);
  const Plan plan = sample.plan();
  const PackedContraction contraction = PackWeights(std::get<Contract>(plan.steps[0]), plan);
  const SampleRows x(17, 36, 4);
  const std::vector<int32_t> row_of = {0, 1, 4, 5, 6, 11, 16};
  const auto floats = row_of.size() * 4 * static_cast<size_t>(contraction.depth());
  std::vector<float> brought, packed(floats), expected(floats);
  for (const int32_t row : row_of) {
    for (int64_t i = 0; i < 36; ++i) brought.push_back(x.at(row, i));
  }
  PackRowTile(contraction, contraction.all_blocks(), x.view(), {0, 7}, packed.data(),
              row_of.data());
  PackRowTile(contraction, contraction.all_blocks(), {brought.data(), 36}, {0, 7}, expected.data());
  EXPECT_EQ(packed, expected);
}

// One row of blocks side by side is packed as it is.
TEST(RowAsPackedTest, IsThePackedRowWhereThereIsOne) {
  const auto as_packed = [](const Views& views, BlockRange blocks) {
    const std::vector<float> weights(1);
    Contract step;
    step.blocks = views.blocks;
    step.groups = views.groups;
    step.depth = views.depth;
    step.outputs = 1;
    for (const View& view : views.terms) {
      step.terms.push_back({view, {.data = weights.data(), .elements = 1, .depth = 0}});
    }
    step.view = {.block = 1, .group = views.blocks};
    Plan plan;
    plan.widths = {views.width, views.blocks * views.groups};
    plan.steps = {step};
    const PackedContraction contraction = PackWeights(step, plan);
    const SampleRows x(1, views.width, 4);
    const float* const row = RowAsPacked(contraction, blocks, x.view().data);
    if (row == nullptr) return false;
    std::vector<float> packed(static_cast<size_t>(blocks.count * contraction.depth()));
    PackRowTile(contraction, blocks, x.view(), {0, 1}, packed.data());
    EXPECT_TRUE(std::equal(packed.begin(), packed.end(), row)) << views.what;
    return true;
  };
  EXPECT_TRUE(as_packed({"blocks in a row", {{.offset = 2, .block = 5}}, 3, 1, 5, 17}, {0, 3}));
  EXPECT_TRUE(as_packed({"the last two", {{.offset = 2, .block = 5}}, 3, 1, 5, 17}, {1, 2}));
  EXPECT_TRUE(as_packed({"one that overlaps", {{.block = 3}}, 3, 1, 5, 17}, {1, 1}));
  EXPECT_FALSE(as_packed({"overlaps", {{.block = 3}}, 3, 1, 5, 17}, {0, 2}));
  EXPECT_FALSE(as_packed({"ends early", {{.block = 5}}, 3, 1, 5, 14}, {0, 3}));
  EXPECT_TRUE(as_packed({"does not end early yet", {{.block = 5}}, 3, 1, 5, 14}, {0, 2}));
  EXPECT_FALSE(as_packed({"strided", {{.block = 1, .stride = 3}}, 3, 1, 5, 15}, {0, 3}));
  EXPECT_FALSE(as_packed({"two terms", {{.block = 5}, {.block = 5}}, 3, 1, 5, 15}, {0, 3}));
  EXPECT_FALSE(as_packed({"groups", {{.block = 5, .group = 15}}, 3, 2, 5, 30}, {0, 3}));
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
