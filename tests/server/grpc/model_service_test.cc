// What GetModel and ListModels say of a model.
#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;

v1::Model GetModel(const ServedModel& served) {
  const ModelRegistry registry({served});
  const ServerState state{registry, {}, nullptr};
  Services services(state);
  grpc::ServerBuilder builder;
  services.Register(builder);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::ModelService::NewStub(server->InProcessChannel({}));
  v1::GetModelResponse response;
  grpc::ClientContext context;
  EXPECT_TRUE(stub->GetModel(&context, {}, &response).ok());
  return response.model();
}

ServedModel Model() {
  ServedModel served;
  served.name = "m";
  served.info.architecture = "gpt_neox";
  served.info.digest = "abc";
  served.tokenizer_digest = "def";
  served.info.parameters = 10;
  served.info.dense_equivalent_parameters = 40;
  served.info.weight_dtype = "bfloat16";
  served.info.kv_dtype = "float32";
  served.info.arithmetic = "accurate";
  served.info.device = "cpu";
  served.info.weight_bytes = 20;
  served.info.kv_cache_bytes = 4096;
  served.info.layers.resize(2);
  LinearInfo& layer = served.info.layers[0];
  layer.name = "layers.0.fc1";
  layer.structure = "monarch 4 blocks";
  layer.in_features = 8;
  layer.out_features = 16;
  layer.parameters = 96;
  served.limits.context_length = 2048;
  served.limits.vocab_size = 50;
  served.eos_ids = {0, 7};
  return served;
}

TEST(ModelServiceTest, GetModelSaysEverything) {
  const v1::Model model = GetModel(Model());
  EXPECT_EQ(model.name(), "m");
  EXPECT_EQ(model.architecture(), "gpt_neox");
  EXPECT_EQ(model.state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(model.digest(), "abc");
  EXPECT_EQ(model.tokenizer_digest(), "def");
  EXPECT_EQ(model.parameters(), 10);
  EXPECT_EQ(model.dense_equivalent_parameters(), 40);
  EXPECT_EQ(model.weight_dtype(), "bfloat16");
  EXPECT_EQ(model.kv_dtype(), "float32");
  EXPECT_EQ(model.arithmetic(), "accurate");
  EXPECT_EQ(model.device(), "cpu");
  EXPECT_EQ(model.context_length(), 2048);
  EXPECT_EQ(model.vocab_size(), 50);
  EXPECT_FALSE(model.has_bos_id());
  EXPECT_TRUE(model.has_eos_id()) << "id 0 is an id";
  EXPECT_THAT(model.eos_ids(), ::testing::ElementsAre(0, 7));
  EXPECT_FALSE(model.has_prefix_id());
  EXPECT_FALSE(model.has_tokenizer());
  EXPECT_EQ(model.weight_bytes(), 20);
  EXPECT_EQ(model.kv_cache_bytes(), 4096);
  ASSERT_EQ(model.layers_size(), 2);
  EXPECT_EQ(model.layers(0).name(), "layers.0.fc1");
  EXPECT_EQ(model.layers(0).structure(), "monarch 4 blocks");
  EXPECT_EQ(model.layers(0).in_features(), 8);
  EXPECT_EQ(model.layers(0).out_features(), 16);
  EXPECT_EQ(model.layers(0).parameters(), 96);
}

TEST(ModelServiceTest, ListModelsLeavesTheLayersOut) {
  Stack stack;
  v1::ListModelsResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.model_stub->ListModels(&context, {}, &response).ok());
  ASSERT_EQ(response.models_size(), 2);
  EXPECT_EQ(response.models(0).name(), "bytes");
  EXPECT_TRUE(response.models(0).has_tokenizer());
  EXPECT_EQ(response.models(0).prefix_id(), kEnd);
  EXPECT_FALSE(response.models(1).has_tokenizer());
  EXPECT_EQ(response.models(0).layers_size(), 0);
}

TEST(ModelServiceTest, SeveralModelsNeedAName) {
  Stack stack;
  v1::GetModelResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.model_stub->GetModel(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "dyad.v1 MODEL_NOT_FOUND");
}

}  // namespace
}  // namespace dyad
