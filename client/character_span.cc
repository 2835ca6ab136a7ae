// Characters are counted by their first bytes.
#include "client/character_span.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

bool BeginsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

// The byte where character `character` begins; npos if the text has fewer.
size_t ByteOf(std::string_view text, int64_t character) {
  size_t byte = 0;
  for (; byte < text.size(); ++byte) {
    if (BeginsCharacter(text[byte]) && character-- == 0) return byte;
  }
  return character == 0 ? byte : std::string_view::npos;
}

v1::ByteSpan Span(size_t begin, size_t end) {
  v1::ByteSpan span;
  span.set_begin(static_cast<int>(begin));
  span.set_end(static_cast<int>(end));
  return span;
}

absl::StatusOr<v1::ByteSpan> SpanOfNumbers(const std::string& cell, std::string_view text) {
  const std::vector<std::string> ends = absl::StrSplit(cell, ':');
  int64_t begin = 0, end = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &begin) || !absl::SimpleAtoi(ends[1], &end)) {
    return absl::InvalidArgumentError(
        Text("the region ", Quoted(cell), " is neither 12:18 nor JSON"));
  }
  const size_t first = ByteOf(text, begin);
  const size_t last = ByteOf(text, end);
  if (begin >= 0 && begin < end && last != text.npos) return Span(first, last);
  return absl::InvalidArgumentError(Text("the region ", Quoted(cell), " is not inside the text's ",
                                         CharactersBefore(text, static_cast<int>(text.size())),
                                         " characters"));
}

absl::StatusOr<v1::ByteSpan> SpanOfText(const Json& cell, std::string_view text) {
  const Json nth = cell.value("nth", Json(1));
  const bool good = cell.contains("text") && cell["text"].is_string() &&
                    !cell["text"].get<std::string>().empty() && nth.is_number_integer() &&
                    nth.get<int64_t>() >= 1 && cell.size() == 1u + cell.count("nth");
  if (!good) {
    return absl::InvalidArgumentError(
        Text("the region ", FormatLine(cell), R"( must be {"text": "...", "nth": 1})"));
  }
  const std::string piece = cell["text"].get<std::string>();
  size_t at = text.find(piece);
  for (int64_t left = nth.get<int64_t>(); at != text.npos; at = text.find(piece, at + 1)) {
    if (--left == 0) return Span(at, at + piece.size());
  }
  return absl::InvalidArgumentError(
      Text("the region ", FormatLine(cell), " does not stand in the text"));
}

}  // namespace

int CharactersBefore(std::string_view text, int byte) {
  const size_t end = std::min(text.size(), static_cast<size_t>(std::max(byte, 0)));
  return static_cast<int>(std::count_if(
      text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), BeginsCharacter));
}

absl::StatusOr<std::vector<v1::ByteSpan>> SpansOf(const Json& cell, std::string_view text) {
  Json value = cell;
  if (cell.is_string()) {
    // "12:18" is no JSON.
    const absl::StatusOr<Json> json = ParseJson(cell.get<std::string>());
    if (json.ok()) value = *json;
  }
  if (!value.is_array()) value = Json::array({value});
  std::vector<v1::ByteSpan> spans;
  for (const Json& one : value) {
    if (one.is_object()) {
      ASSIGN_OR_RETURN(spans.emplace_back(), SpanOfText(one, text));
    } else {
      ASSIGN_OR_RETURN(
          spans.emplace_back(),
          SpanOfNumbers(one.is_string() ? one.get<std::string>() : FormatLine(one), text));
    }
  }
  return spans;
}

}  // namespace dyad::client
