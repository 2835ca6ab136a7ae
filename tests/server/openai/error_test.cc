// Each row of the table of errors.
#include "server/openai/error.h"

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

absl::Status Because(absl::StatusCode code, const std::string& reason) {
  return WithReason(absl::Status(code, "m"), reason);
}

TEST(OpenAiErrorTest, EachCauseHasItsStatusTypeAndCode) {
  struct Row {
    absl::Status status;
    int http;
    const char* type;
    const char* code;
  };
  using enum absl::StatusCode;
  const std::vector<Row> rows = {
      {InvalidField({"f", "v", "l"}), 400, "invalid_request_error", "invalid_value"},
      {Because(kInvalidArgument, "UNKNOWN_PARAMETER"), 400, "invalid_request_error",
       "unknown_parameter"},
      {Because(kInvalidArgument, "INVALID_JSON"), 400, "invalid_request_error", "invalid_json"},
      {Because(kInvalidArgument, "CONTEXT_LENGTH_EXCEEDED"), 400, "invalid_request_error",
       "context_length_exceeded"},
      {Because(kFailedPrecondition, "NO_TOKENIZER"), 400, "invalid_request_error", "no_tokenizer"},
      {Because(kResourceExhausted, "ANSWER_TOO_LARGE"), 400, "invalid_request_error",
       "response_too_large"},
      {absl::FailedPreconditionError("m"), 400, "invalid_request_error", "invalid_value"},
      {absl::UnauthenticatedError("m"), 401, "authentication_error", "invalid_api_key"},
      {Because(kNotFound, "MODEL_NOT_FOUND"), 404, "not_found_error", "model_not_found"},
      {Because(kNotFound, "UNSUPPORTED_ENDPOINT"), 404, "not_found_error", "unsupported_endpoint"},
      {Because(kNotFound, "UNKNOWN_PATH"), 404, "not_found_error", "unknown_path"},
      {absl::NotFoundError("m"), 404, "not_found_error", "not_found"},
      {absl::UnimplementedError("m"), 404, "not_found_error", "unsupported_endpoint"},
      {Because(kInvalidArgument, "METHOD_NOT_ALLOWED"), 405, "invalid_request_error",
       "method_not_allowed"},
      {Because(kResourceExhausted, "MESSAGE_TOO_LARGE"), 413, "invalid_request_error",
       "request_too_large"},
      {Because(kInvalidArgument, "UNSUPPORTED_MEDIA_TYPE"), 415, "invalid_request_error",
       "unsupported_media_type"},
      {Because(kInvalidArgument, "MISDIRECTED_REQUEST"), 421, "invalid_request_error",
       "misdirected_request"},
      {Because(kResourceExhausted, "QUEUE_FULL"), 429, "rate_limit_error", "queue_full"},
      {Because(kResourceExhausted, "UNREAD_ANSWERS"), 429, "rate_limit_error", "unread_answers"},
      {absl::ResourceExhaustedError("m"), 429, "rate_limit_error", "queue_full"},
      {absl::CancelledError("m"), 499, "invalid_request_error", "cancelled"},
      {absl::InternalError("m"), 500, "server_error", "internal"},
      {absl::DataLossError("m"), 500, "server_error", "internal"},
      {Because(kUnavailable, "DRAINING"), 503, "server_error", "draining"},
      {Because(kUnavailable, "DEVICE_LOST"), 503, "server_error", "device_lost"},
      {absl::UnavailableError("m"), 503, "server_error", "overloaded"},
      {absl::DeadlineExceededError("m"), 504, "server_error", "deadline"},
  };
  for (const Row& row : rows) {
    const HttpResponse response = OpenAiError(row.status);
    const auto error = nlohmann::json::parse(response.body)["error"];
    EXPECT_EQ(response.status, row.http) << row.code;
    EXPECT_EQ(error["type"], row.type) << row.code;
    EXPECT_EQ(error["code"], row.code);
    EXPECT_EQ(error.size(), 4u);
    EXPECT_EQ(FindField(response.fields, "Content-Type"), "application/json");
  }
}

TEST(OpenAiErrorTest, TheFirstWrongFieldIsTheParam) {
  FieldFaults faults;
  EXPECT_OK(faults.Add(InvalidField({"top_p", "2", "must be in (0, 1]"})));
  EXPECT_OK(faults.Add(InvalidField({"n", "0", "must be in [1, 16]"})));
  const auto error = nlohmann::json::parse(OpenAiError(faults.status()).body)["error"];
  EXPECT_EQ(error["param"], "top_p");
  EXPECT_EQ(error["message"], "top_p is 2; must be in (0, 1]. n is 0; must be in [1, 16]");
  EXPECT_TRUE(nlohmann::json::parse(OpenAiError(absl::InternalError("x")).body)["error"]["param"]
                  .is_null());
}

TEST(OpenAiErrorTest, FaultsOfHttpHaveTheErrorsShape) {
  for (const auto& [status, code] :
       std::vector<std::pair<int, std::string>>{{400, "invalid_http"},
                                                {408, "request_timeout"},
                                                {413, "request_too_large"},
                                                {414, "target_too_long"},
                                                {415, "unsupported_media_type"},
                                                {431, "head_too_large"},
                                                {503, "overloaded"}}) {
    const HttpResponse response = OpenAiFault({status, "m"});
    EXPECT_EQ(response.status, status);
    const auto error = nlohmann::json::parse(response.body)["error"];
    EXPECT_EQ(error["code"], code);
    EXPECT_EQ(error["message"], "m");
    EXPECT_EQ(error["type"], status < 500 ? "invalid_request_error" : "server_error");
  }
}

}  // namespace
}  // namespace dyad
