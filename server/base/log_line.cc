// Both forms of a log line.
#include "server/base/log_line.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace dyad {
namespace {

std::string Json(const std::string& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Quoted if a reader that splits at blanks would go wrong.
std::string LogText(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > ' ' && byte < 0x7f && c != '"' && c != '\\' && c != '=';
  });
  return plain ? value : Json(value);
}

std::string Value(LogFormat format, const LogField& field) {
  if (const auto* text = std::get_if<FieldText>(&field.value)) {
    return format == LogFormat::kJson ? Json(text->text) : LogText(text->text);
  }
  if (const auto* number = std::get_if<double>(&field.value)) {
    return absl::StrFormat("%.6f", *number);
  }
  return absl::StrCat(std::get<int64_t>(field.value));
}

}  // namespace

std::string LogLine(LogFormat format, const std::string& event,
                    const std::vector<LogField>& fields) {
  std::string line = format == LogFormat::kJson ? absl::StrCat("\"event\":", Json(event)) : event;
  for (const LogField& field : fields) {
    if (format == LogFormat::kJson) {
      absl::StrAppend(&line, ",", Json(field.key), ":", Value(format, field));
    } else {
      absl::StrAppend(&line, " ", field.key, "=", Value(format, field));
    }
  }
  return line;
}

}  // namespace dyad
