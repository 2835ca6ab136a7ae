// The Open Inference Protocol over a real channel.
#include "server/grpc/kserve_service.h"

#include <filesystem>
#include <fstream>

#include "inference/open_inference_grpc.grpc.pb.h"
#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using inference::GRPCInferenceService;

TEST(KserveServiceTest, EachMethodAnswers) {
  Stack stack;
  const auto stub = GRPCInferenceService::NewStub(stack.channel);
  const auto ok = [](const grpc::Status& status) {
    EXPECT_TRUE(status.ok()) << status.error_message();
    return status.ok();
  };
  grpc::ClientContext contexts[6];
  inference::ServerLiveResponse live;
  EXPECT_TRUE(ok(stub->ServerLive(&contexts[0], {}, &live)) && live.live());
  inference::ServerReadyResponse ready;
  EXPECT_TRUE(ok(stub->ServerReady(&contexts[1], {}, &ready)) && ready.ready());
  inference::ModelReadyRequest name;
  name.set_name("bytes");
  inference::ModelReadyResponse model_ready;
  EXPECT_TRUE(ok(stub->ModelReady(&contexts[2], name, &model_ready)) && model_ready.ready());
  inference::ServerMetadataResponse server;
  EXPECT_TRUE(ok(stub->ServerMetadata(&contexts[3], {}, &server)));
  EXPECT_EQ(server.name(), "dyad-server");
  inference::ModelMetadataRequest wanted;
  wanted.set_name("bytes");
  inference::ModelMetadataResponse model;
  EXPECT_TRUE(ok(stub->ModelMetadata(&contexts[4], wanted, &model)));
  EXPECT_EQ(model.platform(), "dyad_opt");
  inference::ModelInferRequest request;
  request.set_model_name("bytes");
  auto& text = *request.add_inputs();
  text.set_name("text");
  text.set_datatype("BYTES");
  text.add_shape(1);
  text.mutable_contents()->add_bytes_contents("two");
  inference::ModelInferResponse response;
  EXPECT_TRUE(ok(stub->ModelInfer(&contexts[5], request, &response)));
  EXPECT_EQ(response.outputs(0).name(), "sum");
  EXPECT_LT(response.outputs(0).contents().fp64_contents(0), 0);
  EXPECT_EQ(stack.observer.Await(5).method, "GRPCInferenceService/ModelInfer");
}

TEST(KserveServiceTest, ErrorsAreThoseOfTheApi) {
  Stack stack;
  const auto stub = GRPCInferenceService::NewStub(stack.channel);
  grpc::ClientContext context;
  inference::ModelInferRequest request;
  request.set_model_name("bytes");
  inference::ModelInferResponse response;
  const grpc::Status status = stub->ModelInfer(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(Reason(details), "dyad.v1 INVALID_FIELD");
}

TEST(KserveServiceTest, OnlyProbesNeedNoKey) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/kserve_keys_", getpid());
  std::ofstream(path) << "0123456789abcdef\n";
  const auto keys = ApiKeys::Load(path, nullptr);
  ASSERT_TRUE(keys.ok());
  Stack stack;
  stack.state.keys = keys->get();
  const auto stub = GRPCInferenceService::NewStub(stack.channel);
  grpc::ClientContext probe;
  inference::ServerReadyResponse ready;
  EXPECT_TRUE(stub->ServerReady(&probe, {}, &ready).ok());
  grpc::ClientContext other;
  inference::ServerMetadataResponse server;
  EXPECT_EQ(stub->ServerMetadata(&other, {}, &server).error_code(), grpc::UNAUTHENTICATED);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace dyad
