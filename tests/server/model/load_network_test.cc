// A pass over a fixture: what is left over and what no layer uses is refused.
#include "server/model/load_network.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/checkpoint/checkpoint.h"
#include "tests/server/model/model_runner.h"
#include "tests/server/model/shared_device.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

struct Fixture {
  explicit Fixture(const std::string& name)
      : config(*ReadConfig(testing::FixtureFolder(name))),
        checkpoint(*Checkpoint::Open(testing::FixtureFolder(name))),
        tensors(*checkpoint, std::string(config.architecture->tensor_root)) {}

  absl::StatusOr<LoadedNetwork> Check() {
    return LoadNetwork(config, tensors, {}, LoadPass::kCheck, testing::SharedDevice());
  }

  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
  TensorSource tensors;
};

TEST(LoadNetworkTest, SaysWhereEveryLinearLayerStands) {
  Fixture fixture("opt-dyad-ot4");
  const auto loaded = fixture.Check();
  ASSERT_OK(loaded);
  ASSERT_EQ(loaded->linears.size(), loaded->tally.layers.size());
  EXPECT_EQ(loaded->linears[4].path, "model.decoder.layers.0.fc1");
  EXPECT_EQ(loaded->linears[4].size.in, 76);
  EXPECT_EQ(loaded->linears[4].size.out, 212);
  EXPECT_EQ(loaded->network->shape().layers, 2);
}

TEST(LoadNetworkTest, NothingMayBeLeftOver) {
  Fixture fixture("bad/extra-tensor");
  EXPECT_THAT(fixture.Check().status(), StatusIs(absl::StatusCode::kInvalidArgument,
                                                 HasSubstr("is not part of the network")));
}

TEST(LoadNetworkTest, KeysMustNameLayers) {
  Fixture fixture("opt-dyad-ot4");
  auto keys =
      StructuredLinear::Parse({{"model.decoder.layers.7.fc1", {{"kind", "dyad"}}}}, "model.");
  ASSERT_OK(keys);
  fixture.config.structured_linear = *std::move(keys);
  EXPECT_THAT(fixture.Check().status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names no linear layer")));
}

}  // namespace
}  // namespace dyad
