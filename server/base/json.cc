// One scanner for the bounds, then the library's parser.
#include "server/base/json.h"

#include <algorithm>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr size_t kShownBytes = 60;

// Depth and token length need no grammar: only strings, brackets and separators are told apart, and
// text that is no JSON is left to the parser. The parser buffers white space too, so it counts as
// part of a token.
absl::Status CheckBounds(std::string_view text, const JsonBounds& bounds) {
  if (text.size() > bounds.max_bytes) {
    return absl::InvalidArgumentError(
        Text("has ", text.size(), " bytes, expected at most ", bounds.max_bytes));
  }
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
        return absl::InvalidArgumentError(Text("JSON is nested ", depth, " deep at byte ", i,
                                               ", expected at most ", bounds.max_depth));
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

// Accepts everything: tells where text stops being JSON.
class AnyHandler : public JsonHandler {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool start_array(size_t) override { return true; }

 private:
  bool Unexpected(std::string_view found) override { return Fail(std::string(found)); }
};

// `byte` is where the parser gave up, or the end. Python writes numbers that JSON does not have.
absl::Status NoJsonAt(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, byte);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t column = byte - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  const std::string_view rest = byte < text.size() ? text.substr(byte) : std::string_view();
  const std::string_view hint = rest.empty() ? ": it ends too early"
                                : rest.starts_with("NaN") || rest.starts_with("Infinity")
                                    ? ": NaN and Infinity, as Python writes them, are no JSON"
                                    : "";
  return absl::InvalidArgumentError(Text("is not JSON at line ", line, ", column ", column, hint));
}

absl::Status ReadEvents(std::string_view text, const JsonBounds& bounds, JsonHandler& handler) {
  RETURN_IF_ERROR(CheckBounds(text, bounds));
  const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  if (handler.stopped_at() > 0) return NoJsonAt(text, handler.stopped_at() - 1);
  RETURN_IF_ERROR(handler.status());
  return complete ? absl::OkStatus() : absl::InvalidArgumentError("is not JSON");
}

}  // namespace

std::string JsonText(const nlohmann::json& value) {
  if (value.is_object()) return Text("an object of ", value.size(), " keys");
  if (value.is_array()) return Text("a list of ", value.size(), " elements");
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes) + "...";
  return text;
}

absl::StatusOr<nlohmann::json> ParseJsonObject(std::string_view text, std::string_view where,
                                               const JsonBounds& bounds,
                                               const nlohmann::json::parser_callback_t& look) {
  if (const absl::Status status = CheckBounds(text, bounds); !status.ok()) {
    return absl::InvalidArgumentError(Text(where, ": ", status.message()));
  }
  nlohmann::json value = nlohmann::json::parse(text, look, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    AnyHandler handler;
    const absl::Status status = ReadEvents(text, bounds, handler);
    return absl::InvalidArgumentError(
        Text(where, ": ", status.message(), "; expected a JSON object"));
  }
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        Text(where, ": is ", JsonText(value), "; expected a JSON object"));
  }
  return value;
}

bool JsonHandler::number_integer(number_integer_t value) {
  return Unexpected(Text("the number ", value));
}

bool JsonHandler::parse_error(size_t position, const std::string&,
                              const nlohmann::detail::exception&) {
  stopped_at_ = std::max<size_t>(position, 1);
  return false;
}

bool JsonHandler::Fail(const std::string& message) {
  status_ = absl::InvalidArgumentError(message);
  return false;
}

absl::Status ReadJson(std::string_view text, std::string_view where, const JsonBounds& bounds,
                      JsonHandler& handler) {
  const absl::Status status = ReadEvents(text, bounds, handler);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(Text(where, ": ", status.message()));
}

}  // namespace dyad
