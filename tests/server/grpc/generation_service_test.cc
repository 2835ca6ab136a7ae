// The handlers of GenerationService: both forms refuse and record alike; requests as README.md
// writes them in JSON are understood. What calls answer: generate_call_test.cc and
// generate_stream_test.cc.
#include <google/protobuf/util/json_util.h>

#include "tests/server/grpc/service_fixture.h"
#include "tests/support/for_stream.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;

v1::GenerateRequest FromJson(const std::string& json) {
  v1::GenerateRequest request;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &request);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return request;
}

TEST(GenerationServiceTest, TextRequestInJson) {
  Stack stack;
  const v1::GenerateRequest request = FromJson(R"json({
    "model": "bytes",
    "text": "Once upon a time",
    "max_new_tokens": 40,
    "temperature": 0.8,
    "top_p": 0.95,
    "seed": "1234",
    "stop": ["\n\n"],
    "logprobs": 2
  })json");
  v1::GenerateResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stack.generation->Generate(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.seed(), 1234u);
  EXPECT_EQ(response.choices(0).logprobs(0).top_size(), 2);
}

TEST(GenerationServiceTest, IdsRequestInJson) {
  Stack stack;
  const v1::GenerateRequest request = FromJson(
      R"json({"model": "ids", "ids": {"ids": [2, 100, 33]}, "ignore_eos": true, "n": 2})json");
  v1::GenerateResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stack.generation->Generate(&context, request, &response).ok());
  EXPECT_EQ(response.choices_size(), 2);
  EXPECT_EQ(ToVector(response.choices(1).ids()), stack.model.ExpectedGreedy({2, 100, 33}, 16));
  EXPECT_EQ(response.choices(1).text(), "");
}

TEST(GenerationServiceTest, BothFormsRefuseAlike) {
  Stack stack;
  const v1::GenerateRequest request =
      FromJson(R"json({"model": "bytes", "text": "x", "top_k": -1})json");
  v1::GenerateResponse response;
  grpc::ClientContext unary_context;
  const grpc::Status unary = stack.generation->Generate(&unary_context, request, &response);
  EXPECT_EQ(stack.observer.Await(0).method, "GenerationService/Generate");
  grpc::ClientContext stream_context;
  auto reader = stack.generation->GenerateStream(&stream_context, ForStream(request));
  v1::GenerateStreamResponse message;
  EXPECT_FALSE(reader->Read(&message));
  const grpc::Status streamed = reader->Finish();
  EXPECT_EQ(unary.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(streamed.error_code(), unary.error_code());
  EXPECT_EQ(streamed.error_message(), unary.error_message());
  EXPECT_EQ(BadField(streamed), "top_k");
  EXPECT_EQ(stack.observer.Await(1).method, "GenerationService/GenerateStream");
  EXPECT_EQ(stack.observer.Await(1).prompt, "x");
}

}  // namespace
}  // namespace dyad
