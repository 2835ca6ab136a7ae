// What of an absl::Status a client is told.
#include "server/api/error_reply.h"

#include "server/api/request_error.h"
#include "server/text/utf8.h"
#include "tests/server/api/api_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;

TEST(CodeNameTest, NamesEveryCode) {
  EXPECT_EQ(CodeName(absl::StatusCode::kOk), "OK");
  EXPECT_EQ(CodeName(absl::StatusCode::kResourceExhausted), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(CodeName(absl::StatusCode::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<absl::StatusCode>(99)), "UNKNOWN");
}

TEST(ToErrorReplyTest, OkHasNothing) {
  EXPECT_EQ(ToErrorReply(absl::OkStatus()).SerializeAsString(), "");
}

TEST(ToErrorReplyTest, EveryErrorHasAReason) {
  for (int code = 1; code <= 16; ++code) {
    const auto status_code = static_cast<absl::StatusCode>(code);
    const google::rpc::Status reply = ToErrorReply(absl::Status(status_code, "why"));
    EXPECT_EQ(reply.code(), code);
    EXPECT_EQ(reply.message(), "why");
    EXPECT_EQ(Reason(reply), "dyad.v1 " + std::string(CodeName(status_code)));
  }
}

TEST(ToErrorReplyTest, PayloadsBecomeDetails) {
  const google::rpc::Status reply = ToErrorReply(InvalidField({"top_p", "2", "must be in (0, 1]"}));
  EXPECT_EQ(Reason(reply), "dyad.v1 INVALID_FIELD");
  const auto bad = FindDetail<google::rpc::BadRequest>(reply);
  ASSERT_TRUE(bad.has_value());
  EXPECT_EQ(bad->field_violations(0).field(), "top_p");
}

TEST(ToErrorReplyTest, MessagesAreBoundedAndValidUtf8) {
  const google::rpc::Status reply = ToErrorReply(absl::InternalError(std::string(100'000, '\xFF')));
  EXPECT_LE(reply.message().size(), 1024u);
  EXPECT_FALSE(FirstInvalidByte(reply.message()).has_value());
}

}  // namespace
}  // namespace dyad
