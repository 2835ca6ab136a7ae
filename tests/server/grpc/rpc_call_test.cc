// Request ids, records and trailers, seen from a client.
#include "server/grpc/rpc_call.h"

#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// Calls ListModels with this x-request-id and returns the one that came back.
std::string Echoed(Stack& stack, const std::string& id) {
  grpc::ClientContext context;
  if (!id.empty()) context.AddMetadata("x-request-id", id);
  v1::ListModelsResponse response;
  EXPECT_TRUE(stack.model_stub->ListModels(&context, {}, &response).ok());
  return Trailer(context, "x-request-id");
}

TEST(RpcCallTest, AClientsRequestIdComesBack) {
  Stack stack;
  EXPECT_EQ(Echoed(stack, "job-7/line:12"), "job-7/line:12");
  EXPECT_EQ(stack.observer.Await(0).request_id, "job-7/line:12");
  EXPECT_EQ(Echoed(stack, std::string(128, 'i')), std::string(128, 'i'));
}

TEST(RpcCallTest, OthersGetARandomOne) {
  Stack stack;
  const std::string first = Echoed(stack, "");
  EXPECT_THAT(first, MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(first.size(), 32u);
  EXPECT_NE(Echoed(stack, ""), first);
  EXPECT_THAT(Echoed(stack, std::string(129, 'i')), Not(HasSubstr("i")));
  EXPECT_THAT(Echoed(stack, "with space"), Not(HasSubstr(" ")));
}

TEST(RpcCallTest, ErrorsAreRecordedToo) {
  Stack stack;
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_model("none");
  v1::GetModelResponse response;
  const grpc::Status status = stack.model_stub->GetModel(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "ModelService/GetModel");
  EXPECT_EQ(record.code, "NOT_FOUND");
  EXPECT_EQ(record.message, status.error_message());
  EXPECT_EQ(record.model, "");
  EXPECT_THAT(record.peer, HasSubstr("unix:"));
  EXPECT_EQ(record.request_id, Trailer(context, "x-request-id"));
}

TEST(RpcCallTest, AnAnswerThatDidNotReachItsClientIsNoOk) {
  Stack stack;
  v1::DetokenizeRequest request;
  request.set_model("bytes");
  for (int i = 0; i < 1'000'000; ++i) request.add_ids(kSpaceThe);
  const std::string bytes = request.SerializeAsString();
  grpc::ClientContext context;
  const grpc::internal::RpcMethod method("/dyad.v1.TokenizerService/Detokenize",
                                         grpc::internal::RpcMethod::BIDI_STREAMING);
  const auto channel = stack.NarrowChannel();
  const std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel.get(), method, &context));
  const grpc::Slice slice(bytes);
  stream->Write(grpc::ByteBuffer(&slice, 1));
  stream->WritesDone();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the answer waits for a reader
  context.TryCancel();
  stream->Finish();
  const RpcRecord record = stack.observer.Await(0);
  EXPECT_EQ(record.method, "TokenizerService/Detokenize");
  EXPECT_EQ(record.code, "CANCELLED");
}

}  // namespace
}  // namespace dyad
