// Objects and floats by hand; nlohmann's text of all else is Python's.
#include "client/canonical_json.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dyad::client {
namespace {

// Of a finite float: nlohmann reads no other.
std::string FloatText(double value) {
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

}  // namespace

std::string CanonicalJson(const Json& value) {
  if (value.is_number_float()) return FloatText(value.get<double>());
  std::vector<std::string> parts;
  if (value.is_array()) {
    for (const Json& part : value) parts.push_back(CanonicalJson(part));
    return absl::StrCat("[", absl::StrJoin(parts, ","), "]");
  }
  if (!value.is_object()) return FormatLine(value);
  std::map<std::string, const Json*> sorted;
  for (const auto& [key, member] : value.items()) sorted[key] = &member;
  for (const auto& [key, member] : sorted) {
    parts.push_back(absl::StrCat(FormatLine(key), ":", CanonicalJson(*member)));
  }
  return absl::StrCat("{", absl::StrJoin(parts, ","), "}");
}

}  // namespace dyad::client
