// JSON lines: see the header. Written by hand where the library's own output is not the shortest.
#include "client/json_line.h"

#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace dyad::client {
namespace {

constexpr absl::string_view kErrorStart = R"({"error":{"code":)";

// std::to_chars gives the shortest digits but writes 2.0 as 2, which other readers take for an
// integer.
void AppendDouble(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const absl::string_view digits(buffer.data(), static_cast<size_t>(end - buffer.data()));
  absl::StrAppend(&out, digits);
  if (digits.find_first_of(".e") == absl::string_view::npos) out += ".0";
}

void AppendText(const Json& text, std::string& out) {
  out += text.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void Append(const Json& value, std::string& out) {
  bool first = true;
  const auto comma = [&] {
    if (!std::exchange(first, false)) out += ',';
  };
  if (value.is_number_float()) {
    AppendDouble(value.get<double>(), out);
  } else if (value.is_array()) {
    out += '[';
    for (const Json& element : value) {
      comma();
      Append(element, out);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const auto& [key, element] : value.items()) {
      comma();
      AppendText(Json(key), out);
      out += ':';
      Append(element, out);
    }
    out += '}';
  } else {
    AppendText(value, out);
  }
}

}  // namespace

absl::StatusOr<Json> ParseLine(absl::string_view line) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxJsonDepth;
    return !too_deep;  // what lies deeper is dropped while it is read
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
  std::string line;
  Append(value, line);
  return line;
}

Json FloatJson(float value) {
  if (!std::isfinite(value)) return nullptr;
  // Through decimal: a float's shortest form has at most 9 digits, so the double next to it has the
  // same shortest form.
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

bool IsErrorLine(absl::string_view line) { return absl::StartsWith(line, kErrorStart); }

}  // namespace dyad::client
