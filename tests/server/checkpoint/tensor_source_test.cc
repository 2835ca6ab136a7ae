// Names with and without the root, shapes, and what is left over.
#include "server/checkpoint/tensor_source.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/fake_checkpoint.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::StatusIs;

TEST(TensorSourceTest, FindsNamesWithAndWithoutTheRoot) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.a", {1});
  checkpoint.AddShape("b", {1});
  TensorSource source(checkpoint, "model.");
  EXPECT_EQ(source.Find("model.a")->name, "model.a");
  EXPECT_EQ(source.Find("model.b")->name, "b");
  EXPECT_EQ(source.Find("b")->name, "b");
  EXPECT_FALSE(source.Find("a").has_value());
  EXPECT_FALSE(source.Find("model.c").has_value());
}

TEST(TensorSourceTest, ChecksShapes) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.a", {2, 3});
  TensorSource source(checkpoint, "model.");
  EXPECT_THAT(source.Take("model.a", {3, 2}),
              StatusIs(kInvalid, AllOf(HasSubstr("model.safetensors: tensor model.a"),
                                       HasSubstr("has shape [2, 3]; expected [3, 2]"))));
  EXPECT_FALSE(source.Take("model.a", {2, 3, 1}).ok());
  EXPECT_OK(source.Take("model.a", {2, 3}));
  EXPECT_THAT(source.Take("model.b", {4}),
              StatusIs(kInvalid, AllOf(HasSubstr("model.b is missing"), HasSubstr("[4]"))));
}

TEST(TensorSourceTest, NamesOfAWrapperAreTold) {
  for (const std::string wrapper : {"module.", "_orig_mod.", "model.module.", "model._orig_mod."}) {
    FakeCheckpoint checkpoint;
    checkpoint.AddShape(wrapper + "model.a", {4});
    TensorSource source(checkpoint, "model.");
    EXPECT_THAT(
        source.Take("model.a", {4}),
        StatusIs(kInvalid, AllOf(HasSubstr("model.a is missing"),
                                 HasSubstr("names in the file begin with '" + wrapper + "'"),
                                 HasSubstr("save the state dict of the model itself"))));
  }
}

TEST(TensorSourceTest, NothingMayBeLeftOver) {
  FakeCheckpoint checkpoint;
  for (const char* name : {"model.a", "model.b", "model.c", "model.d"}) {
    checkpoint.AddShape(name, {7});
  }
  TensorSource source(checkpoint, "model.");
  ASSERT_OK(source.Take("model.a", {7}));
  EXPECT_THAT(source.RefuseTheRest(),
              StatusIs(kInvalid, AllOf(HasSubstr("tensor model.b [7]"), HasSubstr("2 more"))));
  source.Ignore("model.b");
  source.Ignore("model.absent");
  source.Take(*source.Find("model.c"));
  EXPECT_THAT(source.RefuseTheRest(), StatusIs(kInvalid, HasSubstr("tensor model.d [7]")));
  source.Ignore("model.d");
  EXPECT_OK(source.RefuseTheRest());
}

// Two spellings of one name: only one is the network's.
TEST(TensorSourceTest, ASecondSpellingIsLeftOver) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.a", {1});
  checkpoint.AddShape("a", {1});
  TensorSource source(checkpoint, "model.");
  ASSERT_OK(source.Take("model.a", {1}));
  EXPECT_THAT(source.RefuseTheRest(), StatusIs(kInvalid, HasSubstr("tensor a [1]")));
}

TEST(TensorSourceTest, ListsTheLeavesOfAModule) {
  FakeCheckpoint checkpoint;
  for (const char* name :
       {"model.fc.weight", "model.fc.bias", "model.fc2.weight", "fc.wl", "model.fc.matrix.0"}) {
    checkpoint.AddShape(name, {1});
  }
  TensorSource source(checkpoint, "model.");
  EXPECT_THAT(source.LeavesUnder("model.fc"), ElementsAre("bias", "matrix.0", "weight", "wl"));
  EXPECT_TRUE(source.LeavesUnder("model.f").empty());
}

TEST(TensorSourceTest, PassesReleasesOn) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.a", {1});
  TensorSource source(checkpoint, "model.");
  source.Release(*source.Find("model.a"));
  EXPECT_THAT(checkpoint.released(), ElementsAre(&checkpoint.at("model.a")));
}

}  // namespace
}  // namespace dyad
