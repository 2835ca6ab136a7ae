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
    served_.info.layers = {{"layers.0.fc1", "dyad it 4 blocks", 8, 16, 96}};
    served_.eos_ids = {0, 7};
  }
  absl::StatusOr<v1::Model> Get(const std::string& name) {
    const ModelRegistry models({served_});
    ServerState state{models, {}, nullptr, {}, nullptr, draining_};
    Call call(state, {.method = "S/M"});
    v1::GetModelRequest request;
    request.set_model(name);
    const absl::StatusOr<v1::GetModelResponse> response = GetModel(request, call);
    EXPECT_EQ(call.record().model, response.ok() ? "m" : "");
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
