// What of an absl::Status reaches a client.
#include "server/grpc/grpc_status.h"

#include "server/api/error_reply.h"
#include "server/api/request_error.h"
#include "server/text/utf8.h"
#include "tests/server/grpc/service_fixture.h"

namespace dyad {
namespace {

using ::dyad::testing::FindDetail;
using ::dyad::testing::Reason;

TEST(GrpcStatusTest, OkStaysOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

TEST(GrpcStatusTest, EveryCodeKeepsNumberNameAndMessage) {
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status =
        ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "why"));
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), "why");
    EXPECT_EQ(Reason(status),
              "dyad.v1 " + std::string(CodeName(static_cast<absl::StatusCode>(code))));
  }
  EXPECT_EQ(CodeName(absl::StatusCode::kResourceExhausted), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(CodeName(absl::StatusCode::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<absl::StatusCode>(99)), "UNKNOWN");
}

TEST(GrpcStatusTest, PayloadsBecomeDetails) {
  const grpc::Status status = ToGrpcStatus(WithRetryAfter(
      WithReason(absl::ResourceExhaustedError("full"), "QUEUE_FULL"), absl::Milliseconds(1500)));
  EXPECT_EQ(Reason(status), "dyad.v1 QUEUE_FULL");
  const auto retry = FindDetail<google::rpc::RetryInfo>(status);
  ASSERT_TRUE(retry.has_value());
  EXPECT_EQ(retry->retry_delay().seconds(), 1);
  EXPECT_EQ(retry->retry_delay().nanos(), 500'000'000);
}

TEST(GrpcStatusTest, MessagesAreBoundedAndValidUtf8) {
  const grpc::Status status = ToGrpcStatus(absl::InternalError(std::string(100'000, '\xFF')));
  EXPECT_LE(status.error_message().size(), 1024u);
  EXPECT_FALSE(FirstInvalidByte(status.error_message()).has_value());
  EXPECT_LT(status.error_details().size(), 4096u);
}

}  // namespace
}  // namespace dyad
