// Kinds told by tensors, golden calls of the reference layers, and layers that do not add up.
#include "server/model/linear.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/float16.h"
#include "nlohmann/json.hpp"
#include "tests/server/model/golden.h"
#include "tests/server/model/loading.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::ToBfloat16;
using kernels::ToFloat16;
using ::testing::AllOf;
using testing::Applied;
using testing::Eighths;
using ::testing::ElementsAre;
using testing::FakeCheckpoint;
using testing::Golden;
using ::testing::HasSubstr;
using testing::Loading;
using testing::StatusIs;

TEST(LinearTest, GivesTheGoldenValuesOfTheReferenceLayers) {
  int layers = 0;
  std::vector<std::string> fixtures = testing::ServedFixtures();
  for (const std::string& name : testing::StructuredFixtures()) fixtures.push_back(name);
  for (const std::string& fixture : fixtures) {
    const Golden golden(fixture);
    const auto checkpoint = Checkpoint::Open(testing::FixtureFolder(fixture));
    ASSERT_OK(checkpoint);
    for (const std::string& path : golden.LayerPaths()) {
      Loading loading(**checkpoint);
      const auto config = nlohmann::json::parse(
          testing::ReadWhole(testing::FixturesDir() / fixture / "config.json"));
      auto parsed =
          StructuredLinear::Parse(config.value("structured_linear", nlohmann::json()),
                                  config["model_type"] == "gpt_neox" ? "gpt_neox." : "model.");
      ASSERT_OK(parsed);
      loading.structured = *std::move(parsed);
      const LinearSize size = {golden.Shape("layer." + path + ".x").second,
                               golden.Shape("layer." + path + ".y").second};
      const Bias bias = fixture == "opt-dyad-nobias" ? Bias::kNone : Bias::kPresent;
      const auto linear = LoadLinear(loading.context, path, size, bias);
      ASSERT_OK(linear);
      const std::vector<float> x = golden.Values<float>("layer." + path + ".x");
      const std::vector<float> expected = golden.Values<float>("layer." + path + ".y");
      const std::vector<float> y = Applied(*loading.device, **linear, x);
      ASSERT_EQ(y.size(), expected.size());
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_NEAR(y[i], expected[i], 1e-4 * (1 + std::abs(expected[i])))
            << fixture << " " << path;
      }
      ++layers;
    }
  }
  EXPECT_EQ(layers, 2 * 10 + 6 + 5 + 101);
}

// Worked by hand: two blocks, which read their input by two views.
TEST(LinearTest, TwoBlocksByHand) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("model.fc.wl", {2, 1, 2}, {1, 10, 100, 1000});
  checkpoint.Add("model.fc.wu", {2, 1, 2}, {5, 7, 11, 13});
  checkpoint.Add("model.fc.bias", {2, 1}, {0.5f, -0.5f});
  Loading loading(checkpoint);
  const auto linear = LoadLinear(loading.context, "model.fc", {4, 2}, Bias::kPresent);
  ASSERT_OK(linear);
  EXPECT_THAT(Applied(*loading.device, **linear, {1, 2, 3, 4}),
              ElementsAre(1 * 1 + 10 * 2 + 5 * 1 + 7 * 3 + 0.5f,
                          100 * 3 + 1000 * 4 + 11 * 2 + 13 * 4 - 0.5f));
  EXPECT_OK(loading.tensors.RefuseTheRest());
  EXPECT_EQ(checkpoint.released().size(), 2u);
}

TEST(LinearTest, CountsWhatItLoads) {
  FakeCheckpoint checkpoint;  // no values: the checking pass reads none
  checkpoint.AddShape("model.a.weight", {6, 4}, StoredType::kBfloat16);
  checkpoint.AddShape("b.wl", {2, 3, 2});
  checkpoint.AddShape("b.wu", {2, 3, 2});
  checkpoint.AddShape("b.bias", {6, 1});
  Loading loading(checkpoint, LoadPass::kCheck);
  ASSERT_OK(LoadLinear(loading.context, "model.a", {4, 6}, Bias::kNone));
  ASSERT_OK(LoadLinear(loading.context, "model.b", {4, 6}, Bias::kPresent));
  const LoadTally& tally = loading.context.tally;
  EXPECT_EQ(tally.parameters, 24 + 24 + 6);
  EXPECT_EQ(tally.dense_equivalent_parameters, 24 + 24 + 6);  // two blocks save nothing
  EXPECT_EQ(tally.elements.at(kernels::Element::kBfloat16), 24);
  EXPECT_EQ(tally.elements.at(kernels::Element::kFloat32), 24);
  EXPECT_EQ(tally.multiply_adds, 48);  // two blocks save nothing: multiplied out
  ASSERT_EQ(tally.layers.size(), 2u);
  EXPECT_EQ(tally.layers[0].structure, "dense");
  EXPECT_EQ(tally.layers[1].name, "b");
  EXPECT_EQ(tally.layers[1].structure, "dyad it 2 blocks, multiplied out: the plan saves nothing");
  EXPECT_EQ(tally.layers[1].parameters, 30);
}

TEST(LinearTest, ALayerIsServedInTheFormThatIsAskedFor) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.fc.wl", {4, 2, 2});
  checkpoint.AddShape("model.fc.wu", {4, 2, 2});
  const auto structure = [&](kernels::LayerForm form) {
    Loading loading(checkpoint, LoadPass::kCheck);
    loading.context.layer_form = form;
    EXPECT_OK(LoadLinear(loading.context, "model.fc", {8, 8}, Bias::kNone));
    return loading.context.tally.layers.at(0).structure;
  };
  EXPECT_EQ(structure(kernels::LayerForm::kAuto), "dyad it 4 blocks");
  EXPECT_EQ(structure(kernels::LayerForm::kPlan), "dyad it 4 blocks");
  EXPECT_EQ(structure(kernels::LayerForm::kDense),
            "dyad it 4 blocks, multiplied out: as asked for");
}

// Knows steps of dense layers alone.
struct DenseDevice : kernels::ForwardingDevice {
  DenseDevice() : ForwardingDevice(kernels::MakeCpuDevice({.threads = 1})) {}
  std::string_view Misses(const kernels::Plan& plan) const override {
    for (const kernels::Step& step : plan.steps) {
      if (!kernels::KindOf(step).empty()) return kernels::KindOf(step);
    }
    return "";
  }
};

TEST(LinearTest, WhatADeviceHasNoKernelForIsMultipliedOutOrRefused) {
  const auto load = [](const FakeCheckpoint& checkpoint, kernels::LayerForm form) {
    DenseDevice device;
    Loading loading(checkpoint, device);
    loading.context.pass = LoadPass::kCheck;
    loading.context.layer_form = form;
    const auto layer = LoadLinear(loading.context, "model.fc", {8, 8}, Bias::kNone);
    return layer.ok() ? loading.context.tally.layers.at(0).structure
                      : std::string(layer.status().message());
  };
  FakeCheckpoint blast;
  blast.AddShape("model.fc.B", {2, 4, 1});
  blast.AddShape("model.fc.C", {2, 1, 4});
  blast.AddShape("model.fc.D", {2, 2, 1});
  EXPECT_EQ(load(blast, kernels::LayerForm::kAuto),
            "blast 2x2 rank 1, multiplied out: no cpu kernel for mixes");
  EXPECT_THAT(load(blast, kernels::LayerForm::kPlan),
              AllOf(HasSubstr("model.fc is blast 2x2 rank 1"), HasSubstr("no kernel for mixes")));
  FakeCheckpoint dynamic;
  dynamic.AddShape("model.fc.weight", {8, 8});
  dynamic.AddShape("model.fc.gates.0.weight", {4, 8});
  dynamic.AddShape("model.fc.gates.0.bias", {4});
  EXPECT_THAT(load(dynamic, kernels::LayerForm::kDense), HasSubstr("no kernel for routed steps"));
}

// A dense layer has no other form.
TEST(LinearTest, SumsThatIntegerArithmeticCannotHoldAreRefused) {
  const auto device = kernels::MakeCpuDevice({.arithmetic = kernels::Arithmetic::kInteger16});
  for (const int64_t in : {65536, 65540}) {
    FakeCheckpoint checkpoint;
    checkpoint.AddShape("model.fc.weight", {2, in});
    Loading loading(checkpoint, *device);
    loading.context.pass = LoadPass::kCheck;
    loading.context.weight_dtype = WeightDtype::kInt8;
    const absl::Status status =
        LoadLinear(loading.context, "model.fc", {in, 2}, Bias::kNone).status();
    if (in == 65536) {
      EXPECT_OK(status);
    } else {
      EXPECT_THAT(status, StatusIs(kInvalid, AllOf(HasSubstr("model.fc is dense, 65540 to 2"),
                                                   HasSubstr("more than 65536 features"),
                                                   HasSubstr("--arithmetic=exact"))));
    }
  }
}

absl::Status Check(const FakeCheckpoint& checkpoint, Bias bias = Bias::kNone) {
  Loading loading(checkpoint, LoadPass::kCheck);
  return LoadLinear(loading.context, "model.fc", {16, 32}, bias).status();
}

TEST(LinearTest, KindsMustBeClear) {
  FakeCheckpoint none;
  EXPECT_THAT(Check(none), StatusIs(kInvalid, AllOf(HasSubstr("model.fc.weight is missing"),
                                                    HasSubstr("wl and wu"))));
  FakeCheckpoint other;
  for (const char* leaf : {"hadamard", "bias"}) {
    other.AddShape(std::string("model.fc.") + leaf, {1});
  }
  EXPECT_THAT(Check(other), StatusIs(kInvalid, AllOf(HasSubstr("unsupported layer model.fc"),
                                                     HasSubstr("bias, hadamard"))));
  FakeCheckpoint both;
  for (const char* leaf : {"weight", "wl"}) both.AddShape(std::string("model.fc.") + leaf, {1});
  EXPECT_THAT(Check(both), StatusIs(kInvalid, HasSubstr("weight, wl")));
}

TEST(LinearTest, TruncationRanksNameExactlyTheFactoredLayers) {
  const auto check = [](const nlohmann::json& ranks, bool factored) {
    FakeCheckpoint checkpoint;
    if (factored) {
      checkpoint.AddShape("model.fc.BLinear.weight", {3, 16});
      checkpoint.AddShape("model.fc.ALinear.weight", {32, 3});
    } else {
      checkpoint.AddShape("model.fc.weight", {32, 16});
    }
    Loading loading(checkpoint, LoadPass::kCheck);
    EXPECT_OK(loading.structured.AddRanks(ranks, "model."));
    return LoadLinear(loading.context, "model.fc", {16, 32}, Bias::kNone).status();
  };
  EXPECT_OK(check({{"model.fc", 3}}, true));
  EXPECT_OK(check({{"model.other", 3}}, false));
  EXPECT_OK(check(nullptr, true));
  EXPECT_THAT(check({{"model.fc", 4}}, true),
              StatusIs(kInvalid, AllOf(HasSubstr("truncation_ranks['model.fc'] is 4"),
                                       HasSubstr("BLinear.weight has rank 3"))));
  EXPECT_THAT(check({{"model.fc", "3"}}, true), StatusIs(kInvalid, HasSubstr("is a string")));
  EXPECT_THAT(check({{"model.fc", 3}}, false), StatusIs(kInvalid, HasSubstr("is low_rank, but")));
  EXPECT_THAT(check({{"model.other", 3}}, true),
              StatusIs(kInvalid, HasSubstr("truncation_ranks does not name model.fc")));
}

TEST(LinearTest, ShapesMustAddUp) {
  const auto check = [](std::vector<int64_t> wl, std::vector<int64_t> wu) {
    FakeCheckpoint checkpoint;
    checkpoint.AddShape("model.fc.wl", std::move(wl));
    checkpoint.AddShape("model.fc.wu", std::move(wu));
    return Check(checkpoint);
  };
  EXPECT_OK(check({4, 8, 4}, {4, 8, 4}));
  EXPECT_OK(check({1, 32, 16}, {1, 32, 16}));
  EXPECT_THAT(check({4, 8, 4}, {4, 4, 8}), StatusIs(kInvalid, HasSubstr("model.fc.wu has shape")));
  EXPECT_THAT(check({4, 4, 8}, {4, 4, 8}), StatusIs(kInvalid, HasSubstr("expected [4, 8, 4]")));
  EXPECT_THAT(check({3, 10, 5}, {3, 10, 5}), StatusIs(kInvalid, HasSubstr("3 does not divide")));
  EXPECT_FALSE(check({0, 8, 4}, {0, 8, 4}).ok());
  EXPECT_FALSE(check({4, 8}, {4, 8}).ok());
  EXPECT_FALSE(check({32, 1, 1}, {32, 1, 1}).ok());
  FakeCheckpoint half;
  half.AddShape("model.fc.wu", {4, 8, 4});
  EXPECT_THAT(Check(half), StatusIs(kInvalid, HasSubstr("model.fc.wl is missing")));
}

TEST(LinearTest, OptionsOfTheNetworkReachTheLayer) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.fc.wl", {4, 8, 4});
  checkpoint.AddShape("model.fc.wu", {4, 8, 4});
  Loading loading(checkpoint, LoadPass::kCheck);
  loading.layer_options["dyad_dim"] = 8;
  EXPECT_THAT(LoadLinear(loading.context, "model.fc", {16, 32}, Bias::kNone),
              StatusIs(kInvalid, AllOf(HasSubstr("dyad_dim is 8"), HasSubstr("4 blocks"))));
  loading.layer_options["dyad_dim"] = 4;
  EXPECT_OK(LoadLinear(loading.context, "model.fc", {16, 32}, Bias::kNone));
}

TEST(LinearTest, OptionsOfConfigReachTheLayerAndUnknownOnesAreRefused) {
  FakeCheckpoint checkpoint;
  checkpoint.AddShape("model.fc.wl", {4, 8, 4});
  checkpoint.AddShape("model.fc.wu", {4, 8, 4});
  const auto load = [&](const nlohmann::json& options) -> absl::StatusOr<std::string> {
    Loading loading(checkpoint, LoadPass::kCheck);
    nlohmann::json value = options;
    value["kind"] = "dyad";
    auto parsed = StructuredLinear::Parse({{"model.fc", value}}, "model.");
    EXPECT_OK(parsed);
    loading.structured = *std::move(parsed);
    const auto linear = LoadLinear(loading.context, "model.fc", {16, 32}, Bias::kNone);
    if (!linear.ok()) return linear.status();
    return loading.context.tally.layers.at(0).structure;
  };
  EXPECT_EQ(*load({{"variant", "dt"}}), "dyad dt 4 blocks");
  EXPECT_THAT(load({{"variant", "xt"}}).status(),
              StatusIs(kInvalid, HasSubstr("config.json: structured_linear['model.fc']: variant is "
                                           "'xt'; expected it, ot or dt")));
  EXPECT_THAT(StructuredLinear::Parse({{"model.fc", {{"kind", "dyad"}, {"dyad_dim", 4}}}}, "model.")
                  .status(),
              StatusIs(kInvalid, HasSubstr("'dyad_dim'; expected it beside structured_linear")));
  EXPECT_THAT(
      load({{"blocks", 4}}).status(),
      StatusIs(kInvalid, AllOf(HasSubstr("structured_linear['model.fc']"), HasSubstr("'blocks'"))));
}

// Rows of a factor, whose name has a dot.
TEST(LinearTest, NamesWithDotsAreLeavesToo) {
  FakeCheckpoint checkpoint;
  checkpoint.Add("fc.first.weight", {1, 2}, {2, 3});
  checkpoint.Add("fc.second.weight", {2, 1}, {10, 100});
  checkpoint.Add("fc.second.bias", {2}, {0.5f, -0.5f});
  Loading loading(checkpoint);
  const auto linear = LoadLinear(loading.context, "model.fc", {2, 2}, Bias::kPresent);
  ASSERT_OK(linear);
  EXPECT_THAT(Applied(*loading.device, **linear, {1, 1}), ElementsAre(50.5f, 499.5f));
  EXPECT_EQ(loading.context.tally.layers.at(0).name, "fc");
  EXPECT_EQ(loading.context.tally.layers.at(0).structure,
            "low_rank rank 1, multiplied out: the plan saves nothing");
  EXPECT_EQ(loading.context.tally.parameters, 2 + 2 + 2);
  EXPECT_EQ(loading.context.tally.dense_equivalent_parameters, 4 + 2);
  EXPECT_OK(loading.tensors.RefuseTheRest());
}

TEST(LinearTest, BiasesHaveTheShapeOfTheirKind) {
  const auto check = [](bool blocks, std::vector<int64_t> bias) {
    FakeCheckpoint checkpoint;
    if (blocks) {
      checkpoint.AddShape("model.fc.wl", {4, 8, 4});
      checkpoint.AddShape("model.fc.wu", {4, 8, 4});
    } else {
      checkpoint.AddShape("model.fc.weight", {32, 16});
    }
    if (!bias.empty()) checkpoint.AddShape("model.fc.bias", std::move(bias));
    return Check(checkpoint, Bias::kPresent);
  };
  EXPECT_OK(check(true, {32, 1}));
  EXPECT_OK(check(true, {32}));
  EXPECT_OK(check(false, {32}));
  EXPECT_THAT(check(false, {32, 1}), StatusIs(kInvalid, HasSubstr("[32, 1]; expected [32]")));
  EXPECT_THAT(check(true, {16, 1}),
              StatusIs(kInvalid, HasSubstr("[16, 1]; expected [32] or [32, 1]")));
  EXPECT_THAT(check(true, {}), StatusIs(kInvalid, HasSubstr("bias is missing")));
}

// wl in float16, wu in bfloat16: nothing of either may be lost.
TEST(LinearTest, MixedTypesMeetInFloat32) {
  const std::vector<float> wl = Eighths(32, 1);
  const std::vector<float> wu = Eighths(32, 2);
  std::vector<uint16_t> halves, brains;
  for (float v : wl) halves.push_back(ToFloat16(v));
  for (float v : wu) brains.push_back(ToBfloat16(v));
  FakeCheckpoint mixed, plain;
  mixed.Add("model.fc.wl", {2, 4, 4}, halves, StoredType::kFloat16);
  mixed.Add("model.fc.wu", {2, 4, 4}, brains, StoredType::kBfloat16);
  plain.Add("model.fc.wl", {2, 4, 4}, wl);
  plain.Add("model.fc.wu", {2, 4, 4}, wu);
  Loading first(mixed), second(plain);
  const auto a = LoadLinear(first.context, "model.fc", {8, 8}, Bias::kNone);
  const auto b = LoadLinear(second.context, "model.fc", {8, 8}, Bias::kNone);
  ASSERT_OK(a);
  ASSERT_OK(b);
  EXPECT_EQ(first.context.tally.elements.at(kernels::Element::kFloat32), 64);
  EXPECT_EQ(Applied(*first.device, **a, Eighths(24, 3)),
            Applied(*second.device, **b, Eighths(24, 3)));
}

// Tensors of two stored types become int8 as their values in float32 do.
TEST(LinearTest, Int8IsMadeFromWhatIsStored) {
  const std::vector<float> wl = Eighths(32, 1), wu = Eighths(32, 2);
  std::vector<uint16_t> halves, brains;
  for (float v : wl) halves.push_back(ToFloat16(v));
  for (float v : wu) brains.push_back(ToBfloat16(v));
  FakeCheckpoint plain, mixed, half;
  plain.Add("model.fc.wl", {2, 4, 4}, wl);
  plain.Add("model.fc.wu", {2, 4, 4}, wu);
  mixed.Add("model.fc.wl", {2, 4, 4}, halves, StoredType::kFloat16);
  mixed.Add("model.fc.wu", {2, 4, 4}, brains, StoredType::kBfloat16);
  half.Add("model.fc.wl", {2, 4, 4}, halves, StoredType::kFloat16);
  std::vector<uint16_t> other;
  for (float v : wu) other.push_back(ToFloat16(v));
  half.Add("model.fc.wu", {2, 4, 4}, other, StoredType::kFloat16);
  std::vector<std::vector<float>> found;
  for (const FakeCheckpoint* checkpoint : {&plain, &mixed, &half}) {
    Loading loading(*checkpoint, LoadPass::kPack, WeightDtype::kInt8);
    const auto linear = LoadLinear(loading.context, "model.fc", {8, 8}, Bias::kNone);
    ASSERT_OK(linear);
    EXPECT_EQ(loading.context.tally.elements.at(kernels::Element::kInt8), 64);
    found.push_back(Applied(*loading.device, **linear, Eighths(24, 3)));
  }
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], found[0]);
}

}  // namespace
}  // namespace dyad
