// Strict reading, and writing.
#include "server/routes/json_body.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "server/base/json.h"
#include "server/base/nearest.h"

namespace dyad {
namespace {

constexpr size_t kMaxDepth = 16;

absl::Status Invalid(std::string message) {
  return WithReason(absl::InvalidArgumentError(std::move(message)), "INVALID_JSON");
}

}  // namespace

absl::StatusOr<nlohmann::json> ReadJsonBody(std::string_view body) {
  // The parser would skip a byte order mark.
  const size_t brace = body.find_first_not_of(" \t\r\n");
  if (brace == std::string_view::npos || body[brace] != '{') {
    return Invalid("the body must be a JSON object");
  }
  // The last of two values would hold in silence.
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto look = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) keys.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) keys.pop_back();
    if (event == nlohmann::json::parse_event_t::key) {
      if (!keys.back().insert(parsed.get<std::string>()).second && twice.empty()) {
        twice = parsed.get<std::string>();
      }
    }
    return true;
  };
  const JsonBounds bounds = {body.size(), kMaxDepth, body.size()};
  absl::StatusOr<nlohmann::json> json = ParseJsonObject(body, "the body", bounds, look);
  if (!json.ok()) return Invalid(std::string(json.status().message()));
  if (!twice.empty()) {
    return Invalid(absl::StrCat("the body has ", Shortened(twice, 100), " twice"));
  }
  return json;
}

absl::Status UnknownName(const std::string& field, std::string_view name,
                         const std::vector<std::string>& names) {
  const std::string nearest = NearestName(name, names);
  return InvalidField({field, "no field of this request",
                       nearest.empty() ? "it is refused rather than ignored"
                                       : absl::StrCat("did you mean ", nearest, "?"),
                       "UNKNOWN_PARAMETER"});
}

absl::Status CheckNames(const nlohmann::json& object, const std::vector<std::string>& names) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    return UnknownName(Shortened(name, 100), name, names);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> StringOr(const nlohmann::json& object, const std::string& name,
                                     std::string absent) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return absent;
  if (!found->is_string()) return WrongType(name, *found, "a string");
  return found->get<std::string>();
}

absl::StatusOr<bool> BoolOr(const nlohmann::json& object, const std::string& name, bool absent) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return absent;
  if (!found->is_boolean()) return WrongType(name, *found, "true or false");
  return found->get<bool>();
}

absl::Status WrongType(const std::string& name, const nlohmann::json& value,
                       std::string_view expected) {
  return InvalidField({name, JsonText(value), "must be " + std::string(expected)});
}

std::string JsonBytes(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpResponse JsonResponse(const nlohmann::ordered_json& json) {
  return {200, {{"Content-Type", "application/json"}}, JsonBytes(json)};
}

}  // namespace dyad
