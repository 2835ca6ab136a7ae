// A real server on loopback: health, reflection, bounds, and an end that waits for calls only.
#include "server/grpc/rpc_server.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "dyad/v1/model.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/base/steady_clock.h"
#include "tests/support/connected_channel.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::grpc::health::v1::Health;
using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;

// ListModels ends when the test says so; GetModel answers with a description as long as its name
// asks.
class PuppetService final : public v1::ModelService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest*,
                                       v1::ListModelsResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    held_ = reactor;
    arrived_.Notify();
    return reactor;
  }
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override {
    response->mutable_model()->set_digest(std::string(request->model().size(), 'x'));
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  void WaitForCall() { arrived_.WaitForNotification(); }
  void Release() { held_.load()->Finish(grpc::Status::OK); }

 private:
  std::atomic<grpc::ServerUnaryReactor*> held_ = nullptr;
  absl::Notification arrived_;
};

class RpcServerTest : public ::testing::Test {
 protected:
  RpcServerTest() { options_.listen = "127.0.0.1:0"; }

  void Start() {
    absl::StatusOr<RpcServerParts> parts = RpcServer::Prepare(options_, NoLog());
    ASSERT_OK(parts);
    absl::StatusOr<std::unique_ptr<RpcServer>> server = RpcServer::Start(
        options_, *std::move(parts),
        [this](grpc::ServerBuilder& builder) { builder.RegisterService(&service_); });
    ASSERT_OK(server);
    server_ = *std::move(server);
    channel_ = testing::ConnectedChannel(absl::StrCat("127.0.0.1:", server_->port()));
  }

  static LogFunction NoLog() {
    return [](LogLevel, const std::string&, const std::vector<LogField>&) {};
  }

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }

  // The code of a Check, and its answer where the code is OK.
  std::pair<grpc::StatusCode, int> Check(const std::string& name) {
    grpc::ClientContext context;
    SetDeadline(context);
    HealthCheckRequest request;
    request.set_service(name);
    HealthCheckResponse response;
    const grpc::Status status = Health::NewStub(channel_)->Check(&context, request, &response);
    return {status.error_code(), response.status()};
  }

  grpc::Status GetModel(size_t name_bytes, grpc_compression_algorithm packed = GRPC_COMPRESS_NONE) {
    grpc::ClientContext context;
    SetDeadline(context);
    context.set_compression_algorithm(packed);
    v1::GetModelRequest request;
    request.set_model(std::string(name_bytes, 'm'));
    v1::GetModelResponse response;
    return v1::ModelService::NewStub(channel_)->GetModel(&context, request, &response);
  }

  grpc::StatusCode ListModels() {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListModelsResponse response;
    return v1::ModelService::NewStub(channel_)->ListModels(&context, {}, &response).error_code();
  }

  // Whether the reflection service knows itself: one empty stream.
  grpc::StatusCode CallReflection() {
    grpc::ClientContext context;
    SetDeadline(context);
    const grpc::internal::RpcMethod method(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        grpc::internal::RpcMethod::BIDI_STREAMING);
    const std::unique_ptr<grpc::ClientReaderWriter<HealthCheckRequest, HealthCheckResponse>> stream(
        grpc::internal::ClientReaderWriterFactory<HealthCheckRequest, HealthCheckResponse>::Create(
            channel_.get(), method, &context));
    stream->WritesDone();
    return stream->Finish().error_code();
  }

  RpcServerOptions options_;
  PuppetService service_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(RpcServerTest, CheckFollowsSetServing) {
  Start();
  EXPECT_EQ(Check(""), std::pair(grpc::OK, +HealthCheckResponse::NOT_SERVING));
  EXPECT_EQ(Check("readiness").first, grpc::NOT_FOUND);
  server_->SetServing("readiness", ServingState::kServing);
  EXPECT_EQ(Check("readiness"), std::pair(grpc::OK, +HealthCheckResponse::SERVING));
  server_->SetServing("readiness", ServingState::kNotServing);
  EXPECT_EQ(Check("readiness"), std::pair(grpc::OK, +HealthCheckResponse::NOT_SERVING));
}

TEST_F(RpcServerTest, WatchSeesEachChangeAndUnknownNames) {
  Start();
  grpc::ClientContext context;
  SetDeadline(context);
  HealthCheckRequest request;
  request.set_service("demo");
  const auto stub = Health::NewStub(channel_);
  const auto reader = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  server_->SetServing("demo", ServingState::kServing);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->SetServing("demo", ServingState::kNotServing);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  context.TryCancel();
  reader->Finish();
}

TEST_F(RpcServerTest, ShutdownWaitsForTheCallInFlight) {
  Start();
  grpc::StatusCode code = grpc::UNKNOWN;
  std::thread client([&] { code = ListModels(); });
  service_.WaitForCall();
  std::atomic<bool> ended = false;
  std::thread shutdown([&] {
    server_->Shutdown(absl::Seconds(20));
    ended = true;
  });
  EXPECT_EQ(GetModel(1).error_code(), grpc::OK);  // still answers while it waits
  absl::SleepFor(absl::Milliseconds(1500));       // longer than closing connections may take
  EXPECT_FALSE(ended);
  service_.Release();
  client.join();
  shutdown.join();
  EXPECT_EQ(code, grpc::OK);
  EXPECT_EQ(GetModel(1).error_code(), grpc::UNAVAILABLE);
}

TEST_F(RpcServerTest, ShutdownIsNotHeldUpByAWatch) {
  Start();
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stub = Health::NewStub(channel_);
  const auto reader = stub->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  const absl::Time begin = SteadyNow();
  server_->Shutdown(absl::InfiniteDuration());
  EXPECT_LT(SteadyNow() - begin, absl::Seconds(4)) << "waited as for an answer that nobody reads";
  EXPECT_FALSE(reader->Read(&response));
  reader->Finish();
}

TEST_F(RpcServerTest, ShutdownCancelsWhatIsLeftAtTheLimit) {
  Start();
  grpc::StatusCode code = grpc::OK;
  std::thread client([&] { code = ListModels(); });
  service_.WaitForCall();
  std::thread shutdown([&] { server_->Shutdown(absl::Milliseconds(20)); });
  client.join();  // the client hears of it though the handler still sleeps
  EXPECT_NE(code, grpc::OK);
  service_.Release();
  shutdown.join();
  server_->Shutdown(absl::ZeroDuration());  // again: nothing to do
}

// Calls come without a pause while the server ends. A client asks again after UNAVAILABLE, and
// after no other code.
TEST_F(RpcServerTest, CallsThatComeDuringTheEndAreUnavailable) {
  Start();
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::atomic<int> other = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        const grpc::StatusCode code = GetModel(1).error_code();
        if (code == grpc::OK) {
          ++answered;
        } else if (code != grpc::UNAVAILABLE) {
          ++other;
        }
      }
    });
  }
  EXPECT_TRUE(testing::Eventually([&] { return answered >= 200; }));
  server_->Shutdown(absl::Seconds(5));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(other, 0);
}

// The client's window is shut, and nobody opens it.
TEST_F(RpcServerTest, AnAnswerThatNobodyReadsDoesNotHoldUpTheEnd) {
  Start();
  grpc::ChannelArguments narrow;
  narrow.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  narrow.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16384);
  narrow.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      testing::ConnectedChannel(absl::StrCat("127.0.0.1:", server_->port()), narrow);
  grpc::ClientContext context;
  SetDeadline(context);
  const grpc::internal::RpcMethod method("/dyad.v1.ModelService/GetModel",
                                         grpc::internal::RpcMethod::BIDI_STREAMING);
  const std::unique_ptr<grpc::ClientReaderWriter<v1::GetModelRequest, v1::GetModelResponse>> unread(
      grpc::internal::ClientReaderWriterFactory<v1::GetModelRequest, v1::GetModelResponse>::Create(
          channel.get(), method, &context));
  v1::GetModelRequest request;
  request.set_model(std::string(1 << 20, 'm'));
  unread->Write(request);
  unread->WritesDone();
  unread->WaitForInitialMetadata();  // the answer is on its way
  const absl::Time begin = absl::Now();
  server_->Shutdown(absl::Seconds(60));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  context.TryCancel();
  unread->Finish();
}

TEST_F(RpcServerTest, ConnectionsBeyondTheLimitWaitUntilOneEnds) {
  options_.max_connections = 1;  // that of channel_
  Start();
  const std::string address = absl::StrCat("127.0.0.1:", server_->port());
  grpc::ChannelArguments own;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto second = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own);
  EXPECT_FALSE(
      second->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(300)));
  EXPECT_EQ(server_->connections(), 1);
  EXPECT_GE(server_->connection_pauses(), 1);
  channel_.reset();
  EXPECT_TRUE(
      second->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)));
}

TEST_F(RpcServerTest, ReflectionAnswersOnlyWhereItIsOn) {
  Start();
  EXPECT_EQ(CallReflection(), grpc::OK);
  server_.reset();
  options_.reflection = Reflection::kOff;
  Start();
  EXPECT_EQ(CallReflection(), grpc::UNIMPLEMENTED);
}

TEST_F(RpcServerTest, CompressedRequestsAreRefusedByName) {
  Start();
  EXPECT_EQ(GetModel(5000).error_code(), grpc::OK);
  for (const grpc_compression_algorithm packed : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    const grpc::Status status = GetModel(5000, packed);
    EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED);
    EXPECT_THAT(status.error_message(), HasSubstr("is disabled"));
  }
}

TEST_F(RpcServerTest, TakenPortIsUnavailableAndNamed) {
  Start();
  const std::string address = absl::StrCat("127.0.0.1:", server_->port());
  options_.listen = address;
  EXPECT_THAT(
      RpcServer::Prepare(options_, NoLog()).status(),
      StatusIs(absl::StatusCode::kUnavailable, AllOf(HasSubstr(address), HasSubstr("in use"))));
}

TEST_F(RpcServerTest, BadCredentialsAreSaidAtStart) {
  options_.tls.certificate = "/nowhere/cert.pem";
  options_.tls.key = "/nowhere/key.pem";
  EXPECT_THAT(RpcServer::Prepare(options_, NoLog()).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/cert.pem")));
}

}  // namespace
}  // namespace dyad
