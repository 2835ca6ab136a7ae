// What a server and its models say of themselves.
#include "server/kserve/metadata.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;

TEST(MetadataTest, ModelsAreDescribed) {
  EngineStack stack;
  Call call(stack.state, {.method = "S/M", .peer = "p"});
  inference::ModelMetadataRequest request;
  request.set_name("bytes");
  request.set_version("d1");
  const auto model = ModelMetadata(request, call);
  ASSERT_OK(model);
  EXPECT_EQ(model->name(), "bytes");
  EXPECT_THAT(model->versions(), ElementsAre("d1"));
  EXPECT_EQ(model->platform(), "dyad_opt");
  EXPECT_EQ(model->inputs_size(), 8);
  EXPECT_EQ(model->outputs_size(), 10);
  EXPECT_EQ(model->properties().at("digest"), "d1");
  EXPECT_EQ(model->properties().at("structure"), "dense");
  request.set_version("d2");
  EXPECT_EQ(ModelMetadata(request, call).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_name("none");
  EXPECT_EQ(ModelMetadata(request, call).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ServerMetadata({}, call)->version(), "the version of a test");
}

TEST(MetadataTest, ReadyIsWhatHealthSays) {
  EngineStack stack;
  std::string not_so;
  stack.state.serves = [&](std::string_view name) { return name != not_so; };
  Call call(stack.state, {.method = "S/M", .peer = "p"});
  inference::ModelReadyRequest request;
  request.set_name("ids");
  EXPECT_TRUE(ServerLive({}, call)->live());
  EXPECT_TRUE(ServerReady({}, call)->ready());
  EXPECT_TRUE(ModelReady(request, call)->ready());
  not_so = "readiness";
  EXPECT_TRUE(ServerLive({}, call)->live());
  EXPECT_FALSE(ServerReady({}, call)->ready());
  not_so = "liveness";
  EXPECT_FALSE(ServerLive({}, call)->live());
  stack.state.draining = true;
  EXPECT_FALSE(ModelReady(request, call)->ready());
}

}  // namespace
}  // namespace dyad
