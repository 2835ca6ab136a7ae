// What the registry's models say of themselves. Every field:
// tests/server/grpc/model_service_test.cc.
#include "server/api/describe_model.h"

#include "tests/server/api/api_fixture.h"
#include "tests/server/engine/recording_sink.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;

class DescribeModelTest : public ::testing::Test {
 protected:
  DescribeModelTest() {
    served_.name = "m";
    LinearInfo& layer = served_.info.layers.emplace_back();
    layer.name = "layers.0.fc1";
    layer.structure = "dyad it 4 blocks";
    layer.in_features = 8;
    layer.out_features = 16;
    layer.parameters = 96;
    layer.kind = "dyad";
    layer.tensors = {{"layers.0.fc1.wl", "float16", {4, 4, 2}}, {"layers.0.fc1.wu", "float16", {}}};
    layer.steps = {"contract x -> y"};
    layer.form_reason = "fewer parameters";
    layer.multiply_adds = 64;
    layer.weight_bytes = 192;
    layer.dense_weight_bytes = 320;
    layer.biased = true;
    served_.eos_ids = {0, 7};
  }
  absl::StatusOr<v1::Model> Get(const std::string& name) {
    v1::GetModelRequest request;
    request.set_model(name);
    return Get(request);
  }
  absl::StatusOr<v1::Model> Get(const v1::GetModelRequest& request) {
    const ModelRegistry models({served_});
    ServerState state{models, {}, nullptr, {}, nullptr, draining_};
    Call call(state, {.method = "S/M"});
    const absl::StatusOr<v1::GetModelResponse> response = GetModel(request, call);
    EXPECT_EQ(call.record().model, request.model() == "m" ? "m" : "");
    if (!response.ok()) return response.status();
    return response->model();
  }

  ServedModel served_;
  bool draining_ = false;
};

TEST_F(DescribeModelTest, AModelHasItsLayers) {
  const auto model = Get("m");
  ASSERT_OK(model);
  EXPECT_EQ(model->state(), v1::MODEL_STATE_READY);
  ASSERT_EQ(model->layers_size(), 1);
  EXPECT_EQ(model->layers(0).structure(), "dyad it 4 blocks");
  EXPECT_TRUE(model->has_eos_id()) << "id 0 is an id";
  EXPECT_THAT(model->eos_ids(), ::testing::ElementsAre(0, 7));
  EXPECT_FALSE(model->has_prefix_id());
}

TEST_F(DescribeModelTest, DetailsComeIfAskedFor) {
  v1::GetModelRequest request;
  request.set_model("m");
  EXPECT_FALSE(Get(request)->layers(0).has_details());
  request.set_layer_details(true);
  auto model = Get(request);
  ASSERT_OK(model);
  EXPECT_EQ(model->layer_count(), 1);
  const v1::LayerDetails& details = model->layers(0).details();
  EXPECT_EQ(details.kind(), "dyad");
  EXPECT_EQ(details.tensor_count(), 2);
  EXPECT_EQ(details.tensors(0).name(), "layers.0.fc1.wl");
  EXPECT_EQ(details.tensors(0).type(), "float16");
  EXPECT_THAT(details.tensors(0).shape(), ::testing::ElementsAre(4, 4, 2));
  EXPECT_THAT(details.steps(), ::testing::ElementsAre("contract x -> y"));
  EXPECT_EQ(details.form(), v1::LAYER_FORM_PLAN);
  EXPECT_EQ(details.form_reason(), "fewer parameters");
  EXPECT_EQ(details.dense_parameters(), 8 * 16 + 16);
  EXPECT_EQ(details.multiply_adds(), 64);
  EXPECT_EQ(details.dense_multiply_adds(), 8 * 16);
  EXPECT_EQ(details.weight_bytes(), 192);
  EXPECT_EQ(details.dense_weight_bytes(), 320);
  EXPECT_FALSE(details.has_pays());
  served_.info.layers[0].routed = true;
  served_.info.layers[0].multiplied_out = true;
  model = Get(request);
  EXPECT_TRUE(model->layers(0).details().pays());
  EXPECT_EQ(model->layers(0).details().form(), v1::LAYER_FORM_DENSE);
  served_.info.layers[0].multiply_adds = 128;
  model = Get(request);
  EXPECT_TRUE(model->layers(0).details().has_pays());
  EXPECT_FALSE(model->layers(0).details().pays());
}

// Names and tensors of the largest kind that a checkpoint may have.
TEST_F(DescribeModelTest, AnswersAreBounded) {
  LinearInfo& one = served_.info.layers[0];
  one.name = std::string(512, 'n');
  one.steps.assign(9, std::string(100, 's'));
  one.tensors.assign(17, {one.name, "float16", std::vector<int64_t>(16, 1'000'000)});
  served_.info.layers.resize(1500, one);
  const ModelRegistry models({served_});
  const ServerState state{models, {}, nullptr};
  const auto get = [&](const v1::GetModelRequest& request) {
    Call call(state, {.method = "S/M"});
    return *GetModel(request, call)->mutable_model();
  };
  v1::GetModelRequest request;
  request.set_model("m");
  for (const bool details : {false, true}) {
    request.set_layer_details(details);
    int layers = 0;
    for (request.set_first_layer(0); request.first_layer() < 1500;) {
      const v1::Model model = get(request);
      EXPECT_EQ(model.layer_count(), 1500);
      ASSERT_GT(model.layers_size(), 0);
      EXPECT_LT(model.ByteSizeLong(), size_t{4} << 20);
      layers += model.layers_size();
      request.set_first_layer(request.first_layer() + model.layers_size());
    }
    EXPECT_EQ(layers, 1500);
    EXPECT_EQ(get(request).layers_size(), 0);
  }
}

TEST_F(DescribeModelTest, FirstLayerIsOneOfThem) {
  v1::GetModelRequest request;
  request.set_model("m");
  for (const int first : {-1, 2}) {
    request.set_first_layer(first);
    EXPECT_THAT(Get(request),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("first_layer")));
  }
}

TEST_F(DescribeModelTest, DrainingShows) {
  draining_ = true;
  EXPECT_EQ(Get("m")->state(), v1::MODEL_STATE_DRAINING);
}

TEST(DescribeModelStateTest, AModelWithoutProgressIsStalled) {
  Gate gate;
  StackOptions options;
  options.model.before_step = [&](int64_t) {
    gate.Pass();
    return absl::OkStatus();
  };
  EngineStack stack(options);
  stack.state.stall_timeout = absl::Milliseconds(1);
  const auto state = [&] {
    Call call(stack.state, {.method = "S/M"});
    return ListModels({}, call)->models(0).state();
  };
  EXPECT_EQ(state(), v1::MODEL_STATE_READY);
  RecordingSink sink;
  engine::Request request;
  request.ids = {1};
  request.max_new_tokens = 1;
  ASSERT_OK(stack.engine->Submit({{request, &sink}}));
  gate.AwaitArrivals(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(state(), v1::MODEL_STATE_STALLED);
  gate.Open();
  sink.AwaitEnd();
  EXPECT_TRUE(stack.ComesToRest());
  EXPECT_EQ(state(), v1::MODEL_STATE_READY);
}

TEST_F(DescribeModelTest, AnUnknownModelIsNotFound) {
  EXPECT_THAT(Get("none"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST_F(DescribeModelTest, TheListLeavesLayersOut) {
  const ModelRegistry models({served_, served_});
  const ServerState state{models, {}, nullptr};
  Call call(state, {.method = "S/M"});
  const auto list = ListModels({}, call);
  ASSERT_OK(list);
  ASSERT_EQ(list->models_size(), 2);
  EXPECT_EQ(list->models(0).layers_size(), 0);
}

}  // namespace
}  // namespace dyad
