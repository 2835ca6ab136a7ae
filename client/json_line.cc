// JSON lines: the library's own reading and writing, with its exceptions turned into errors.
#include "client/json_line.h"

#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace dyad::client {
absl::StatusOr<Json> ParseLine(std::string_view line) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxJsonDepth;
    // What lies deeper is dropped while it is read.
    return !too_deep;
  };
  Json value;
  try {
    value = Json::parse(line, watch_depth);
  } catch (const std::exception& error) {  // the library's way of reporting bad text
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.what()));
  }
  if (too_deep) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON is nested deeper than ", kMaxJsonDepth, " levels"));
  }
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a line must be a JSON object, found: ", value.type_name()));
  }
  return value;
}

std::string FormatLine(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json FloatJson(float value) {
  if (!std::isfinite(value)) return nullptr;
  // Through decimal: the double next to the float's shortest decimal prints as that decimal, where
  // the float itself would print with the 17 digits of a double.
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  double shortest = 0;
  std::from_chars(buffer.data(), end, shortest);
  return shortest;
}

Json ErrorJson(const absl::Status& status) {
  return {{"error",
           {{"code", absl::StatusCodeToString(status.code())},
            {"message", std::string(status.message())}}}};
}

}  // namespace dyad::client
