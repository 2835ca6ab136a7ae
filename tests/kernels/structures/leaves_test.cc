// What was taken, what is left, and the texts of faults.
#include "kernels/structures/leaves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dyad::kernels {
namespace {

using ::testing::ElementsAre;

TEST(LeafTest, CountsElements) {
  EXPECT_EQ((Leaf{.name = "", .shape = {2, 3}}.elements()), 6);
  EXPECT_EQ((Leaf{.name = "", .shape = {}}.elements()), 1);
  EXPECT_EQ((Leaf{.name = "", .shape = {2, 0}}.elements()), 0);
  EXPECT_EQ((Leaf{.name = "", .shape = {2, -3}}.elements()), 0);
  EXPECT_EQ((Leaf{.name = "", .shape = {int64_t{1} << 40, int64_t{1} << 40}}.elements()), 0);
}

TEST(LeafTest, WeightsOfATensorAreItsRows) {
  const Weights matrix = RowMajor({.name = "", .shape = {5, 3}});
  EXPECT_EQ(matrix.elements, 15);
  EXPECT_EQ(matrix.block, 0);
  EXPECT_EQ(matrix.output, 3);
  EXPECT_EQ(matrix.depth, 1);
  const Weights blocks = RowMajor({.name = "", .element = Element::kFloat16, .shape = {2, 5, 3}});
  EXPECT_EQ(blocks.block, 15);
  EXPECT_EQ(blocks.output, 3);
  EXPECT_EQ(blocks.element, Element::kFloat16);
}

TEST(LeavesTest, RememberWhatWasTakenAsWhat) {
  Leaves leaves("file: ", "!");
  EXPECT_EQ(leaves.Names(), "none");
  for (const char* leaf : {"b", "c", "a"}) leaves.Add(leaf, {.name = leaf, .shape = {2}});
  EXPECT_EQ(leaves.Names(), "a, b, c");
  EXPECT_EQ(leaves.Take("d", LeafUse::kWeights), nullptr);
  ASSERT_NE(leaves.Take("c", LeafUse::kFloats), nullptr);
  EXPECT_EQ(leaves.Take("a", LeafUse::kWeights)->name, "a");
  ASSERT_EQ(leaves.taken().size(), 2u);
  EXPECT_EQ(leaves.taken()[0].leaf, "a");
  EXPECT_EQ(leaves.taken()[0].use, LeafUse::kWeights);
  EXPECT_EQ(leaves.taken()[1].use, LeafUse::kFloats);
  EXPECT_THAT(leaves.untaken(), ElementsAre("b"));
}

TEST(LeavesTest, ALayerWithinALayerHasNamesOfItsOwn) {
  Leaves leaves("file: ", "!");
  for (const char* leaf : {"part.1.w", "part.10.w", "part.1.b", "part.1", "w"}) {
    leaves.Add(leaf, {.name = leaf, .shape = {2}});
  }
  Leaves part = leaves.Under("part.1");
  EXPECT_EQ(part.Names(), "b, w");
  EXPECT_EQ(part.Missing("c", "[2]"), "file: part.1.c! is missing; expected shape [2]");
  EXPECT_EQ(part.Take("w", LeafUse::kFloats)->name, "part.1.w");
  leaves.TakeUnder("part.1", part);
  ASSERT_EQ(leaves.taken().size(), 1u);
  EXPECT_EQ(leaves.taken()[0].leaf, "part.1.w");
  EXPECT_EQ(leaves.taken()[0].use, LeafUse::kFloats);
}

TEST(LeavesTest, FaultsNameTensorFoundAndExpected) {
  EXPECT_EQ(Leaves("file: ", "!").Missing("w", "[2]"), "file: w! is missing; expected shape [2]");
  EXPECT_EQ(WrongShape({.name = "w", .shape = {2, 3}},
                       SizesText({SizeText(3, "out"), SizeText(0, "in")})),
            "w has shape [2, 3]; expected [3, in]");
  EXPECT_EQ(ShapeText({}), "[]");
}

TEST(OptionsTest, KeepTheFirstFaultAndRefuseTheRest) {
  constexpr std::string_view kWords[] = {"one", "two", "three"};
  Options options("here");
  options.Add("a", std::string("two"));
  options.Add("b", std::string("four"));
  options.Add("c", true);
  options.AddNamed("d", "there: d", int64_t{5});
  EXPECT_EQ(options.Word("a", kWords), "two");
  EXPECT_EQ(options.Word("missing", kWords), "one");
  EXPECT_EQ(options.fault(), "");
  EXPECT_EQ(options.Word("b", kWords), "one");
  EXPECT_EQ(options.fault(), "here: b is 'four'; expected one, two or three");
  options.Word("c", kWords);
  EXPECT_EQ(options.fault(), "here: b is 'four'; expected one, two or three");
  EXPECT_FALSE(options.WholeNumber("missing").has_value());
  EXPECT_EQ(options.RefuseTheRest("x"), "here has the member 'd'; kind 'x' has no such option");
  EXPECT_EQ(options.WholeNumber("d")->name, "there: d");
  EXPECT_EQ(options.RefuseTheRest("x"), "");
}

TEST(OptionsTest, TextOfUnknownOriginStaysOnOneLine) {
  constexpr std::string_view kWords[] = {"one"};
  Options options("here");
  options.Add("a", "x\ny" + std::string(300, 'z'));
  options.Word("a", kWords);
  EXPECT_EQ(options.fault(), "here: a is 'x?y" + std::string(197, 'z') + "'...; expected one");
}

TEST(OptionsTest, NamesAnotherType) {
  constexpr std::string_view kWords[] = {"one"};
  Options options("here");
  options.Add("c", true);
  options.Word("c", kWords);
  EXPECT_EQ(options.fault(), "here: c is a boolean; expected a string");
  Options words("here");
  words.Add("d", std::string("4"));
  EXPECT_FALSE(words.WholeNumber("d").has_value());
  EXPECT_EQ(words.fault(), "here: d is a string; expected a whole number");
}

}  // namespace
}  // namespace dyad::kernels
