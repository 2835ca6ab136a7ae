// Reasons and codes -> statuses and words.
#include "server/routes/http_error.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/error_reply.h"
#include "server/api/request_error.h"

namespace dyad {
namespace {

struct Row {
  std::string_view cause;  // reason of the ErrorInfo, or name of the code
  int status;
  std::string_view word;
};

// Reasons go before codes.
constexpr std::array<Row, 25> kRows = {{
    {"UNKNOWN_PARAMETER", 400, "unknown_parameter"},
    {"INVALID_JSON", 400, "invalid_json"},
    {kContextLengthExceeded, 400, "context_length_exceeded"},
    {"NO_TOKENIZER", 400, "no_tokenizer"},
    {"ANSWER_TOO_LARGE", 400, "response_too_large"},
    {"MODEL_NOT_FOUND", 404, "model_not_found"},
    {"UNKNOWN_PATH", 404, "unknown_path"},
    {"UNSUPPORTED_ENDPOINT", 404, "unsupported_endpoint"},
    {"METHOD_NOT_ALLOWED", 405, "method_not_allowed"},
    {"UNSUPPORTED_MEDIA_TYPE", 415, "unsupported_media_type"},
    {"MISDIRECTED_REQUEST", 421, "misdirected_request"},
    {"MESSAGE_TOO_LARGE", 413, "request_too_large"},
    {"QUEUE_FULL", 429, "queue_full"},
    {"UNREAD_ANSWERS", 429, "unread_answers"},
    {"DRAINING", 503, "draining"},
    {"DEVICE_LOST", 503, "device_lost"},
    {"INVALID_ARGUMENT", 400, "invalid_value"},
    {"FAILED_PRECONDITION", 400, "invalid_value"},
    {"NOT_FOUND", 404, "not_found"},
    {"UNIMPLEMENTED", 404, "unsupported_endpoint"},
    {"UNAUTHENTICATED", 401, "invalid_api_key"},
    {"RESOURCE_EXHAUSTED", 429, "queue_full"},
    {"UNAVAILABLE", 503, "overloaded"},
    {"DEADLINE_EXCEEDED", 504, "deadline"},
    {"CANCELLED", 499, "cancelled"},
}};

const Row* Find(std::string_view cause) {
  const auto row =
      std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.cause == cause; });
  return row == kRows.end() ? nullptr : &*row;
}

}  // namespace

HttpError ToHttpError(const absl::Status& status) {
  const Row* row = Find(ReasonOf(status));
  if (row == nullptr) row = Find(CodeName(status.code()));
  HttpError error{500, "internal", BoundedMessage(status)};
  if (row != nullptr) {
    error.status = row->status;
    error.word = std::string(row->word);
  }
  const std::vector<std::string> fields = FieldsOf(status);
  if (!fields.empty()) error.param = fields.front();
  error.retry_after = RetryAfter(status);
  return error;
}

HttpResponse ErrorResponse(const HttpError& error, std::string json) {
  HttpResponse response{error.status, {{"Content-Type", "application/json"}}, std::move(json)};
  std::optional<absl::Duration> retry_after = error.retry_after;
  // A server that ends is replaced by another one in about this time.
  if (error.word == "draining" && !retry_after.has_value()) retry_after = absl::Seconds(1);
  if (retry_after.has_value()) {
    const int64_t milliseconds = std::max<int64_t>(absl::ToInt64Milliseconds(*retry_after), 1);
    response.fields.push_back({"Retry-After", absl::StrCat((milliseconds + 999) / 1000)});
    response.fields.push_back({"retry-after-ms", absl::StrCat(milliseconds)});
  }
  if (error.status == 401) response.fields.push_back({"WWW-Authenticate", "Bearer"});
  // The same request gives the same again.
  if (error.status == 500) response.fields.push_back({"x-should-retry", "false"});
  return response;
}

}  // namespace dyad
