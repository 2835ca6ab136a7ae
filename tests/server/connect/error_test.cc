// Errors in Connect's shape.
#include "server/connect/error.h"

#include <google/rpc/error_details.pb.h>

#include "absl/strings/escaping.h"
#include "nlohmann/json.hpp"
#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

nlohmann::json BodyOf(const absl::Status& status) {
  return nlohmann::json::parse(ConnectError(status).body);
}

TEST(ConnectErrorTest, CodesAreConnects) {
  struct Row {
    absl::Status status;
    int http;
    const char* code;
  };
  for (const Row& row :
       std::vector<Row>{{absl::InvalidArgumentError("m"), 400, "invalid_argument"},
                        {absl::CancelledError("m"), 499, "canceled"},
                        {absl::UnauthenticatedError("m"), 401, "unauthenticated"},
                        {absl::NotFoundError("m"), 404, "not_found"},
                        {absl::FailedPreconditionError("m"), 400, "failed_precondition"},
                        {absl::ResourceExhaustedError("m"), 429, "resource_exhausted"},
                        {absl::DeadlineExceededError("m"), 504, "deadline_exceeded"},
                        {absl::UnavailableError("m"), 503, "unavailable"},
                        {absl::InternalError("m"), 500, "internal"}}) {
    EXPECT_EQ(ConnectError(row.status).status, row.http) << row.code;
    EXPECT_EQ(BodyOf(row.status)["code"], row.code);
    EXPECT_EQ(BodyOf(row.status)["message"], "m");
  }
}

TEST(ConnectErrorTest, DetailsAreBytesAndJson) {
  const nlohmann::json body = BodyOf(InvalidField({"top_n", "21", "must be in [0, 20]"}));
  ASSERT_EQ(body["details"].size(), 2u);
  bool has_fields = false;
  for (const nlohmann::json& detail : body["details"]) {
    const auto value = detail["value"].get<std::string>();
    EXPECT_EQ(value.find('='), std::string::npos);
    std::string bytes;
    ASSERT_TRUE(absl::Base64Unescape(value, &bytes));
    if (detail["type"] != "google.rpc.BadRequest") continue;
    has_fields = true;
    google::rpc::BadRequest bad;
    ASSERT_TRUE(bad.ParseFromString(bytes));
    EXPECT_EQ(bad.field_violations(0).field(), "top_n");
    EXPECT_EQ(detail["debug"]["field_violations"][0]["field"], "top_n");
  }
  EXPECT_TRUE(has_fields);
}

TEST(ConnectErrorTest, AFullQueueSaysWhenToComeBack) {
  const absl::Status full =
      WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Milliseconds(1500));
  const HttpResponse response = ConnectError(full);
  EXPECT_EQ(FindField(response.fields, "Retry-After"), "2");
  EXPECT_NE(response.body.find("google.rpc.RetryInfo"), std::string::npos);
}

}  // namespace
}  // namespace dyad
