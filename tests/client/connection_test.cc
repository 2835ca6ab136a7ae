// Service config, TLS options, and retries as gRPC carries them out.
#include "client/connection.h"

#include <chrono>

#include "client/client.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::StatusIs;

TEST(ConnectionTest, TheServiceConfigNamesEveryService) {
  const auto config = nlohmann::json::parse(ServiceConfigJson(Readiness::kRequired));
  std::vector<std::string> names;
  for (const auto& name : config["methodConfig"][0]["name"]) {
    names.push_back(name["service"]);
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(v1::GenerationService::service_full_name(),
                                                     v1::ScoringService::service_full_name(),
                                                     v1::TokenizerService::service_full_name(),
                                                     v1::ModelService::service_full_name()));
  EXPECT_EQ(config["healthCheckConfig"]["serviceName"], "readiness");
  EXPECT_FALSE(
      nlohmann::json::parse(ServiceConfigJson(Readiness::kIgnored)).contains("healthCheckConfig"));
}

TEST(ConnectionTest, ChannelsTakeTheConfigAndBalanceByRoundRobin) {
  const auto channel = Connect({.server = "127.0.0.1:1"});
  ASSERT_OK(channel);
  EXPECT_EQ((*channel)->GetLoadBalancingPolicyName(), "");  // lazily: nothing is connected yet
  FakeServer server;
  const auto live = Connect({.server = server.address()});
  ASSERT_OK(Client(*live).ListModels());
  EXPECT_EQ((*live)->GetLoadBalancingPolicyName(), "round_robin");
}

TEST(ConnectionTest, UnavailableAndExhaustedAreTriedAgain) {
  for (const auto code : {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    FakeServer server;
    server.traffic.SetFaults({.fail_first = 2, .code = code});
    const Client client(*Connect({.server = server.address()}));
    v1::TokenizeRequest request;
    request.set_text("ab");
    EXPECT_OK(client.Tokenize(request));
    EXPECT_EQ(server.traffic.calls(), 3);
  }
}

// pair_run.h opens the stream again itself; both together would multiply the attempts.
TEST(ConnectionTest, ThePairStreamIsNotTriedAgainByGrpc) {
  FakeServer server;
  server.traffic.SetFaults({.fail_first = 1});
  const auto channel = *Connect({.server = server.address()});
  // Only the call's own failure is to count.
  ASSERT_TRUE(
      channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)));
  const auto stub = v1::ScoringService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->ScoreMinimalPairs(&context);
  stream->WritesDone();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.traffic.calls(), 1);
}

TEST(ConnectionTest, OtherCodesAreNotTriedAgain) {
  FakeServer server;
  server.traffic.SetFaults({.fail_first = 1, .code = grpc::StatusCode::INTERNAL});
  const Client client(*Connect({.server = server.address()}));
  EXPECT_THAT(client.Tokenize({}), StatusIs(absl::StatusCode::kInternal, HasSubstr("purpose")));
  EXPECT_EQ(server.traffic.calls(), 1);
}

TEST(ConnectionTest, AServerThatIsNotReadyGetsNoCalls) {
  FakeServer server;
  server.SetReady(false);
  const Client client(*Connect({.server = server.address()}), absl::Milliseconds(800));
  EXPECT_FALSE(client.Tokenize({}).ok());
  EXPECT_EQ(server.traffic.calls(), 0);
  const Client indifferent(
      *Connect({.server = server.address(), .readiness = Readiness::kIgnored}));
  EXPECT_OK(indifferent.Tokenize({}));
}

TEST(ConnectionTest, TlsFilesAreNamedWhenTheyAreMissing) {
  EXPECT_THAT(Connect({.tls_ca = "/nowhere/ca.pem"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("tls_ca: cannot read /nowhere")));
  EXPECT_THAT(Connect({.tls_cert = "/nowhere/cert.pem"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("go together")));
}

TEST(ConnectionTest, StatusesKeepCodeAndMessage) {
  const absl::Status status = ToStatus({grpc::StatusCode::NOT_FOUND, "no such model"});
  EXPECT_EQ(status, absl::NotFoundError("no such model"));
  EXPECT_OK(ToStatus(grpc::Status::OK));
}

}  // namespace
}  // namespace dyad::client
