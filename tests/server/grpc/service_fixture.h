// A real server with the five services over a real engine and a fake model, for one test.
#pragma once

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dyad/v1/generation.grpc.pb.h"
#include "dyad/v1/model.grpc.pb.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "dyad/v1/server.grpc.pb.h"
#include "dyad/v1/tokenizer.grpc.pb.h"
#include "server/grpc/services.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/connected_channel.h"

namespace dyad::testing {

// Everything between a client's stub and the fake model.
class Stack : public EngineStack {
 public:
  explicit Stack(const StackOptions& options = {}) : EngineStack(options), services(state) {
    services.AddKserve(state);
    grpc::ServerBuilder builder;
    static int count = 0;
    address = absl::StrCat("unix:", ::testing::TempDir(), "/service_", getpid(), "_", count++);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    services.Register(builder);
    server = builder.BuildAndStart();
    channel = ConnectedChannel(address);
    generation = v1::GenerationService::NewStub(channel);
    scoring = v1::ScoringService::NewStub(channel);
    tokens = v1::TokenizerService::NewStub(channel);
    model_stub = v1::ModelService::NewStub(channel);
    server_stub = v1::ServerService::NewStub(channel);
  }
  ~Stack() {
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(10));
    engine.reset();
  }

  // A channel over which little is under way that its client has not read.
  std::shared_ptr<grpc::Channel> NarrowChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16384);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return ConnectedChannel(address, arguments);
  }

  Services services;
  std::string address;
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::GenerationService::Stub> generation;
  std::unique_ptr<v1::ScoringService::Stub> scoring;
  std::unique_ptr<v1::TokenizerService::Stub> tokens;
  std::unique_ptr<v1::ModelService::Stub> model_stub;
  std::unique_ptr<v1::ServerService::Stub> server_stub;
};

// Value of a trailing metadata key; empty if there is none.
inline std::string Trailer(const grpc::ClientContext& context, const std::string& key) {
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

// What came of a call whose messages are sent as they are, whatever its method's kind.
struct RawAnswer {
  grpc::Status status;
  std::vector<std::string> messages;
  std::string request_id;
  std::string pushback;  // "" if there is none
};

// `method` as in RpcRecord.
inline RawAnswer CallRaw(const Stack& stack, const std::string& method,
                         const std::vector<std::string>& messages) {
  RawAnswer answer;
  grpc::ClientContext context;
  const std::string path = absl::StrCat("/dyad.v1.", method);
  const grpc::internal::RpcMethod raw(path.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING);
  const std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          stack.channel.get(), raw, &context));
  for (const std::string& message : messages) {
    const grpc::Slice slice(message);
    stream->Write(grpc::ByteBuffer(&slice, 1));
  }
  stream->WritesDone();
  grpc::ByteBuffer bytes;
  while (stream->Read(&bytes)) {
    grpc::Slice slice;
    EXPECT_TRUE(bytes.DumpToSingleSlice(&slice).ok());
    answer.messages.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  answer.status = stream->Finish();
  answer.request_id = Trailer(context, "x-request-id");
  answer.pushback = Trailer(context, "grpc-retry-pushback-ms");
  return answer;
}

inline constexpr const char* kMethods[] = {
    "GenerationService/Generate", "GenerationService/GenerateStream",
    "ScoringService/Score",       "ScoringService/ScoreMinimalPairs",
    "TokenizerService/Tokenize",  "TokenizerService/Detokenize",
    "ModelService/ListModels",    "ModelService/GetModel",
    "ServerService/GetServerInfo"};

// The detail of this type that an error carries.
template <typename Detail>
std::optional<Detail> FindDetail(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  return FindDetail<Detail>(details);
}

inline std::string Reason(const grpc::Status& status) {
  google::rpc::Status details;
  return details.ParseFromString(status.error_details()) ? Reason(details) : "no details";
}

// The field that a BadRequest names.
inline std::string BadField(const grpc::Status& status) {
  const auto bad = FindDetail<google::rpc::BadRequest>(status);
  return bad.has_value() && bad->field_violations_size() == 1 ? bad->field_violations(0).field()
                                                              : "no field";
}

}  // namespace dyad::testing
