// Every field of ServerInfo reaches the answer.
#include "server/api/describe_server.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::ElementsAre;

TEST(DescribeServerTest, SaysAllOfIt) {
  const ModelRegistry models({});
  const ServerState state{
      models, {}, nullptr, {"1.2.3", "abc", "gRPC 9", "cpu", {"tls"}, {{"max_choices", 4}}}};
  Call call(state, {.method = "S/M"});
  const auto response = GetServerInfo({}, call);
  ASSERT_OK(response);
  EXPECT_EQ(response->version(), "1.2.3");
  EXPECT_EQ(response->commit(), "abc");
  EXPECT_EQ(response->transport(), "gRPC 9");
  EXPECT_EQ(response->device(), "cpu");
  EXPECT_THAT(response->features(), ElementsAre("tls"));
  ASSERT_EQ(response->limits_size(), 1);
  EXPECT_EQ(response->limits().at("max_choices"), 4);
}

}  // namespace
}  // namespace dyad
