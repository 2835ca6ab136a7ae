// JSON lines: the library's reading, with its exceptions turned into errors, and its writing but
// for floats.
#include "client/json_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/text/utf8.h"

namespace dyad::client {
namespace {

// As Python writes it. The library's own text of a double is not always the shortest.
std::string FloatText(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 32> buffer = {};  // zeros end it
  const char* end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                  std::chars_format::scientific)
                        .ptr;
  const std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  const size_t e = text.find('e');
  const int exponent = std::atoi(buffer.data() + e + 1);
  // Python writes an exponent of two digits or more, too.
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const bool negative = text.front() == '-';
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '-' && c != '.') digits.push_back(c);
  }
  if (exponent < 0) digits.insert(0, static_cast<size_t>(-exponent), '0');
  const size_t point = exponent < 0 ? 1 : static_cast<size_t>(exponent) + 1;
  if (digits.size() <= point) digits.append(point + 1 - digits.size(), '0');
  return absl::StrCat(negative ? "-" : "", digits.substr(0, point), ".", digits.substr(point));
}

void AppendJson(const Json& value, std::string& text) {
  if (value.is_number_float()) {
    text += FloatText(value.get<double>());
    return;
  }
  if (!value.is_structured()) {
    text += value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  text += value.is_array() ? '[' : '{';
  bool is_first = true;
  for (const auto& [key, member] : value.items()) {
    if (!is_first) text += ',';
    is_first = false;
    if (value.is_object()) {
      AppendJson(Json(key), text);
      text += ':';
    }
    AppendJson(member, text);
  }
  text += value.is_array() ? ']' : '}';
}

// Of a text of several lines its line and column, from 1; else the byte, from 0.
std::string PlaceIn(std::string_view text, size_t byte) {
  if (text.find('\n') == std::string_view::npos) return absl::StrCat("byte ", byte);
  const std::string_view before = text.substr(0, byte);
  const size_t line_begin = before.rfind('\n') + 1;  // 0 if there is none
  return absl::StrCat("line ", std::count(before.begin(), before.end(), '\n') + 1, ", column ",
                      byte - line_begin + 1);
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text) {
  if (const std::optional<size_t> bad = FirstInvalidByte(text); bad.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("no UTF-8 at ", PlaceIn(text, *bad)));
  }
  bool too_deep = false;
  const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxJsonDepth;
    // What lies deeper is dropped while it is read.
    return !too_deep;
  };
  Json value;
  try {
    value = Json::parse(text, watch_depth);
  } catch (const Json::parse_error& error) {  // counts from 1
    const size_t byte = std::min(std::max(error.byte, size_t{1}) - 1, text.size());
    const std::string_view rest = text.substr(byte);
    const bool python = rest.starts_with("NaN") || rest.starts_with("Infinity");
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON at ", PlaceIn(text, byte), byte == text.size() ? ", the end" : "",
                     python ? "; NaN and Infinity are Python's: JSON has null" : ""));
  } catch (const std::exception&) {
    return absl::InvalidArgumentError("not JSON: a number is too large");
  }
  if (too_deep) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON is nested deeper than ", kMaxJsonDepth, " levels"));
  }
  return value;
}

absl::StatusOr<Json> ParseLine(std::string_view line) {
  ASSIGN_OR_RETURN(Json value, ParseJson(line));
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a line must be a JSON object, found: ", value.type_name()));
  }
  return value;
}

std::string FormatLine(const Json& value) {
  std::string text;
  AppendJson(value, text);
  return text;
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
