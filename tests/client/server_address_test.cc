// What is said about servers that cannot be reached.
#include "client/server_address.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(ServerAddressTest, RefusesWhatGrpcWouldTakeForAName) {
  for (const char* good : {"127.0.0.1:50051", "dns:///name:1", "unix:/run/x", "[::1]:1"}) {
    EXPECT_OK(CheckAddress(good));
  }
  EXPECT_THAT(CheckAddress(""), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(CheckAddress("http://h:1"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--server is http://h:1; leave http:// out: HOST:PORT"));
  EXPECT_THAT(CheckAddress("HTTPS://h:1"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("leave https:// out")));
}

TEST(ServerAddressTest, SaysWhatToDo) {
  const struct {
    const char* grpc;
    const char* message;
  } rows[] = {
      {"connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to "
       "connect to remote host: Connection refused",
       "cannot reach h:1: nobody listens there; is a server running?"},
      {"DNS resolution failed for h:1: C-ares status is not ARES_SUCCESS",
       "cannot reach h:1: the name has no address"},
      {"connections to all backends failing; last error: UNAVAILABLE: ipv4:127.0.0.1:1: Socket "
       "closed",
       "cannot reach h:1: it closes the connection; a server with TLS wants --tls_ca"},
      {"connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: Ssl handshake "
       "failed: SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong version number",
       "cannot reach h:1: the server speaks no TLS; leave out --tls_ca"},
      {"connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: Ssl handshake "
       "failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify failed",
       "cannot reach h:1: --tls_ca is not the authority of its certificate"},
      {"failed to connect to all addresses; last error: something new",
       "cannot reach h:1: is a server running? (failed to connect to all addresses; last error: "
       "something new)"},
      {"the server is shutting down", "the server is shutting down"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(ExplainUnreachable(absl::UnavailableError(row.grpc), {.server = "h:1"}),
                StatusIs(absl::StatusCode::kUnavailable, row.message));
  }
  const absl::Status other = absl::InternalError("failed to connect to all addresses");
  EXPECT_EQ(ExplainUnreachable(other, {}), other);
}

}  // namespace
}  // namespace dyad::client
