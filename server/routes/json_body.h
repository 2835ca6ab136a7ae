// Bodies of requests: JSON that says one thing only.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "server/http/message.h"

namespace dyad {

// One object, at most 16 deep, in which no key stands twice. Errors: InvalidArgument INVALID_JSON,
// with line and column where it is not JSON.
absl::StatusOr<nlohmann::json> ReadJsonBody(std::string_view body);

// InvalidField UNKNOWN_PARAMETER of `field`, whose key is `name` and none of `names`: with the
// nearest of them.
absl::Status UnknownName(const std::string& field, std::string_view name,
                         const std::vector<std::string>& names);
// The same of the first key that is not among `names`, with the nearest one.
absl::Status CheckNames(const nlohmann::json& object, const std::vector<std::string>& names);

// Fields of an object: null counts as absent, which gives `absent`. Errors: InvalidField.
absl::StatusOr<std::string> StringOr(const nlohmann::json& object, const std::string& name,
                                     std::string absent);
absl::StatusOr<bool> BoolOr(const nlohmann::json& object, const std::string& name, bool absent);

// What is wrong with a value that is no `expected`: "must be a string".
absl::Status WrongType(const std::string& name, const nlohmann::json& value,
                       std::string_view expected);

// An answer of JSON.
HttpResponse JsonResponse(const nlohmann::ordered_json& json);
std::string JsonBytes(const nlohmann::ordered_json& json);  // valid UTF-8 whatever stands in it

}  // namespace dyad
