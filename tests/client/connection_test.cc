// Service config and TLS options.
#include "client/connection.h"

#include <google/rpc/status.pb.h>

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

TEST(ConnectionTest, TheServiceConfigAsksForHealthUnlessTold) {
  const auto config = nlohmann::json::parse(ServiceConfigJson(Readiness::kRequired));
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

TEST(ConnectionTest, TheFileOfAKeyIsNamedWhenThereIsNone) {
  EXPECT_THAT(Connect({.api_key_file = "/nowhere/key"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("api_key_file is /nowhere/key")));
  const testing::TemporaryFolder folder;
  EXPECT_THAT(Connect({.api_key_file = folder.Write("empty", "# none\n\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("which has no key")));
  FakeServer server;
  EXPECT_OK(Client(*Connect({.server = server.address(),
                             .api_key_file = folder.Write("key", "# mine\nabc\r\n")}))
                .ListModels());
}

TEST(ConnectionTest, TlsFilesAreNamedWhenTheyAreMissing) {
  EXPECT_THAT(Connect({.tls_ca = "/nowhere/ca.pem"}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("tls_ca is /nowhere/ca.pem: 'ca.pem': cannot open")));
  const testing::TemporaryFolder folder;
  EXPECT_THAT(Connect({.tls_ca = folder.Path("")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
  EXPECT_THAT(Connect({.tls_ca = folder.Write("notes", "notes\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("which is no PEM file")));
  EXPECT_THAT(Connect({.tls_cert = "/nowhere/cert.pem"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("go together")));
}

TEST(ConnectionTest, StatusesKeepCodeAndMessage) {
  const absl::Status status = ToStatus({grpc::StatusCode::NOT_FOUND, "no such model"});
  EXPECT_EQ(status, absl::NotFoundError("no such model"));
  google::rpc::Status reply;
  reply.add_details()->set_type_url("type/of.Detail");
  reply.mutable_details(0)->set_value("bytes");
  EXPECT_EQ(*ToStatus({grpc::StatusCode::INTERNAL, "x", reply.SerializeAsString()})
                 .GetPayload("type/of.Detail"),
            "bytes");
  EXPECT_OK(ToStatus(grpc::Status::OK));
}

}  // namespace
}  // namespace dyad::client
