// What goes with an error over HTTP, whatever its words.
#include "server/routes/http_error.h"

#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

absl::Status Because(absl::StatusCode code, const std::string& reason) {
  return WithReason(absl::Status(code, "m"), reason);
}

TEST(HttpErrorTest, ReasonsGoBeforeCodes) {
  const auto status = [](const absl::Status& error) { return ToHttpError(error).status; };
  EXPECT_EQ(status(absl::InvalidArgumentError("m")), 400);
  EXPECT_EQ(status(Because(absl::StatusCode::kInvalidArgument, "METHOD_NOT_ALLOWED")), 405);
  EXPECT_EQ(status(absl::ResourceExhaustedError("m")), 429);
  EXPECT_EQ(status(Because(absl::StatusCode::kResourceExhausted, "MESSAGE_TOO_LARGE")), 413);
  EXPECT_EQ(status(absl::UnknownError("m")), 500);
  EXPECT_EQ(ToHttpError(absl::UnknownError("m")).word, "internal");
}

TEST(HttpErrorTest, HeadersSayWhenToComeBackAndWhenNot) {
  const auto field = [](const absl::Status& status, std::string_view name) {
    const HttpResponse response = ErrorResponse(ToHttpError(status), "{}");
    return std::string(FindField(response.fields, name).value_or("none"));
  };
  const absl::Status full = WithRetryAfter(
      Because(absl::StatusCode::kResourceExhausted, "QUEUE_FULL"), absl::Milliseconds(1200));
  EXPECT_EQ(field(full, "Retry-After"), "2");
  EXPECT_EQ(field(full, "retry-after-ms"), "1200");
  const absl::Status soon = WithRetryAfter(full, absl::ZeroDuration());
  EXPECT_EQ(field(soon, "Retry-After"), "1");
  EXPECT_EQ(field(soon, "retry-after-ms"), "1");
  EXPECT_EQ(field(Because(absl::StatusCode::kUnavailable, "DRAINING"), "Retry-After"), "1");
  EXPECT_EQ(field(absl::UnauthenticatedError("m"), "WWW-Authenticate"), "Bearer");
  EXPECT_EQ(field(absl::InternalError("m"), "x-should-retry"), "false");
  EXPECT_EQ(field(absl::InvalidArgumentError("m"), "Retry-After"), "none");
}

}  // namespace
}  // namespace dyad
