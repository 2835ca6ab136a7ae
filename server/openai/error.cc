// What routes/http_error.h says, with OpenAI's types.
#include "server/openai/error.h"

#include <string>
#include <string_view>

#include "server/routes/http_error.h"
#include "server/routes/json_body.h"

namespace dyad {
namespace {

std::string_view TypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

HttpResponse Write(const HttpError& error) {
  nlohmann::ordered_json inner = {{"message", error.message},
                                  {"type", std::string(TypeOf(error.status))},
                                  {"param", nullptr},
                                  {"code", error.word}};
  if (!error.param.empty()) inner["param"] = error.param;
  return ErrorResponse(error, JsonBytes({{"error", std::move(inner)}}));
}

std::string_view WordOf(int status) {
  switch (status) {
    case 408:
      return "request_timeout";
    case 413:
      return "request_too_large";
    case 414:
      return "target_too_long";
    case 415:
      return "unsupported_media_type";
    case 431:
      return "head_too_large";
    case 503:
      return "overloaded";
    default:
      return "invalid_http";
  }
}

}  // namespace

HttpResponse OpenAiError(const absl::Status& status) { return Write(ToHttpError(status)); }

HttpResponse OpenAiFault(const HttpFault& fault) {
  return Write({fault.status, std::string(WordOf(fault.status)), fault.message});
}

}  // namespace dyad
