// One JSON object per line: reading and writing, with numbers that survive the trip.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace dyad::client {

using Json = nlohmann::ordered_json;  // keys stay in the order in which they were set

// Arrays and objects inside each other, at most: deeper lines are refused, not recursed into.
inline constexpr int kMaxJsonDepth = 64;

// Reads one object. Errors: InvalidArgument with the byte where reading stopped, or what was found
// in place of an object.
absl::StatusOr<Json> ParseLine(absl::string_view line);

// One line without its line feed. Numbers are in their shortest form that reads back to the same
// bits; what is not finite is null; bytes that are no UTF-8 become U+FFFD.
std::string FormatLine(const Json& value);

// The number that prints as the shortest decimal which reads back to this float: 0.1f gives 0.1,
// not 0.10000000149011612. Not finite: null.
Json FloatJson(float value);

// {"error": {"code": "INVALID_ARGUMENT", "message": "..."}}, put in the place of an answer.
Json ErrorJson(const absl::Status& status);

// Whether `line` is an answer that FormatLine(ErrorJson(...)) may have written.
bool IsErrorLine(absl::string_view line);

}  // namespace dyad::client
