// Rows that are mixed while they are packed are those of the mixed buffer, bit for bit.
#include "kernels/cpu/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "kernels/isa.h"
#include "tests/kernels/sample_layers.h"

namespace dyad::kernels {
namespace {

// A mix of `from` blocks to `to`, and the contraction that reads them.
struct Mixed {
  Mixed(int64_t from, int64_t to, int64_t width)
      : weights(RandomFloats(from * to * width, 1)), factor(RandomFloats(to * width, 2)) {
    Mix step = {
        .source = 2, .destination = 3, .from = from, .to = to, .width = width, .weights = {}};
    step.weights = {weights.data(), from * to * width, Element::kFloat32, 1, from * width, width};
    mix = PackMix(step);
    Contract reader;
    reader.source = 3;
    reader.blocks = to;
    reader.depth = width;
    reader.outputs = 1;
    reader.terms = {{{.block = width}, {factor.data(), to * width, Element::kFloat32, width}}};
    reader.view = {.block = 1};
    plan.widths = {from * width, to, from * width, to * width};
    plan.steps = {step, reader};
    contraction = PackWeights(reader, plan);
  }

  std::vector<float> weights, factor;
  Plan plan;
  PackedMix mix;
  PackedContraction contraction;
};

TEST(BatchTest, MixedRowsAreThoseOfTheMixedBuffer) {
  for (const auto& [from, to, width] : std::vector<std::array<int64_t, 3>>{
           {3, 4, 70}, {16, 16, 64}, {1, 1, 5}, {2, 5, 17}, {4, 8, 15}, {2, 6, 1}, {5, 4, 131}}) {
    const Mixed mixed(from, to, width);
    ASSERT_TRUE(Mixes(mixed.mix, mixed.contraction));
    for (const int64_t tokens : {1, 2, 5, 7, 12, 13, 31}) {
      const std::vector<float> x = RandomFloats(tokens * from * width, 3);
      const ConstRows rows = {x.data(), from * width};
      std::vector<float> z(static_cast<size_t>(tokens * to * width));
      for (int64_t i = 0; i < to; ++i) {
        MixBlock({&mixed.mix, tokens, rows, {z.data(), to * width}}, i);
      }
      Scratch scratch;
      const auto floats = static_cast<size_t>(tokens * to * width);
      const PackedRows plain = PackRows(mixed.contraction, mixed.contraction.all_blocks(), tokens,
                                        {{z.data(), to * width}}, scratch);
      const std::vector<float> expected(plain.data, plain.data + floats);
      for (const std::string_view name : SupportedIsas()) {
        const WithIsa isa(name);
        for (const int threads : {1, 2}) {
          Workspace workspace(PoolOf(threads));
          const PackedRows found =
              PackAllRows(mixed.contraction, tokens, {rows, &mixed.mix}, workspace);
          EXPECT_TRUE(std::equal(expected.begin(), expected.end(), found.data))
              << from << " " << to << " " << width << " " << tokens << " " << name;
        }
        // The blocks around each one alone.
        for (int64_t block = 0; block < to; ++block) {
          const BlockRange around = BlocksAround(mixed.contraction, {rows, &mixed.mix}, block);
          EXPECT_LE(around.first, block);
          EXPECT_LT(block, around.first + around.count);
          const PackedRows found =
              PackRows(mixed.contraction, around, tokens, {rows, &mixed.mix}, scratch);
          const float* next = found.data;
          for (int64_t i = 0; i < RowTileCount(tokens); ++i) {
            const RowTile tile = RowTileAt(tokens, i);
            const int64_t count = tile.count * around.count * width;
            const float* const from_all =
                expected.data() + (tile.first * to + tile.count * around.first) * width;
            EXPECT_TRUE(std::equal(next, next + count, from_all)) << name << " " << block;
            next += count;
          }
        }
      }
    }
  }
}

TEST(BatchTest, OnlyMixesThatTheNextStepReadsBlockByBlockAreMixedOnTheWay) {
  const Mixed mixed(2, 4, 8);
  const auto with = [&](auto change) {
    PackedContraction contraction =
        PackWeights(std::get<Contract>(mixed.plan.steps[1]), mixed.plan);
    change(contraction);
    return Mixes(mixed.mix, contraction);
  };
  EXPECT_TRUE(with([](PackedContraction&) {}));
  EXPECT_FALSE(with([](PackedContraction& other) { other.blocks = 2; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.groups = 2; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.term_depth = 7; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.source_width = 31; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.sources[0].offset = 1; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.sources[0].stride = 2; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.sources[0].block = 9; }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.sources.push_back({.block = 8}); }));
  EXPECT_FALSE(with([](PackedContraction& other) { other.arithmetic = Arithmetic::kInteger16; }));
  Mixed added(2, 4, 8);
  added.mix.combine = Combine::kAccumulate;
  EXPECT_FALSE(Mixes(added.mix, added.contraction));
}

}  // namespace
}  // namespace dyad::kernels
