// JSON of unknown origin, read event by event.
#include "server/checkpoint/bounded_json.h"

#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

// Depth and token length need no grammar: only strings, brackets and separators are told apart, and
// text that is no JSON is left to the parser. The parser buffers white space too, so it counts as
// part of a token.
absl::Status CheckBounds(std::string_view text, const JsonBounds& bounds) {
  size_t depth = 0;
  size_t token = 0;
  bool in_string = false;
  bool escaped = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool closes = in_string && c == '"' && !escaped;
    if (in_string) {
      escaped = c == '\\' && !escaped;
      ++token;
    } else if (c == '{' || c == '[') {
      token = 0;
      if (++depth > bounds.max_depth) {
        return absl::InvalidArgumentError(Text("JSON is nested deeper than ", bounds.max_depth,
                                               " at byte ", i, ", expected less"));
      }
    } else if (c == '}' || c == ']') {
      token = 0;
      if (depth > 0) --depth;
    } else if (c == ',' || c == ':') {
      token = 0;
    } else {
      in_string = c == '"';
      escaped = false;
      ++token;
    }
    if (closes) in_string = false;
    if (token > bounds.max_token) {
      return absl::InvalidArgumentError(Text("JSON token longer than ", bounds.max_token,
                                             " bytes at byte ", i, ", expected less"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool JsonHandler::number_integer(number_integer_t value) {
  return Unexpected(Text("the number ", value));
}

bool JsonHandler::parse_error(size_t position, const std::string&,
                              const nlohmann::detail::exception&) {
  return Fail(Text("is not JSON at byte ", position));
}

bool JsonHandler::Fail(const std::string& message) {
  status_ = absl::InvalidArgumentError(message);
  return false;
}

absl::Status ReadJson(std::string_view text, const JsonBounds& bounds, JsonHandler& handler) {
  RETURN_IF_ERROR(CheckBounds(text, bounds));
  const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  RETURN_IF_ERROR(handler.status());
  return complete ? absl::OkStatus() : absl::InvalidArgumentError("is not JSON");
}

}  // namespace dyad
