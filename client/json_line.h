// One JSON object per line: reading and writing, with numbers that survive the trip.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace dyad::client {

// Keys stay in the order in which they were set.
using Json = nlohmann::ordered_json;

// Bytes of one line; more is no text that a server takes.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

// Arrays and objects inside each other, at most: deeper lines are refused, not recursed into.
inline constexpr int kMaxJsonDepth = 64;

// Reads one value. Errors: InvalidArgument with the byte, from 0, where reading stopped; of a text
// of several lines the line and the column there, from 1.
absl::StatusOr<Json> ParseJson(std::string_view text);

// Reads one object. Errors: those of ParseJson; InvalidArgument with what was found in place of an
// object.
absl::StatusOr<Json> ParseLine(std::string_view line);

// One line without its line feed: the text that Python's json.dumps(value, separators=(",", ":"),
// ensure_ascii=False) gives, so that either may go on with a file of the other. A float is the
// shortest decimal that reads back to it: 1.0, 1e-05, 1e+16; what is not finite is null; bytes that
// are no UTF-8 become U+FFFD.
std::string FormatLine(const Json& value);

// The number that prints as a decimal of this float: 0.1f gives 0.1, not 0.10000000149011612. Not
// finite: null.
Json FloatJson(float value);

// {"error": {"code": "INVALID_ARGUMENT", "message": "..."}}, put in the place of an answer.
Json ErrorJson(const absl::Status& status);

}  // namespace dyad::client
