// One scanner for the bounds, then the library's parser.
#include "server/base/json.h"

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

absl::Status ReadEvents(std::string_view text, const JsonBounds& bounds, JsonHandler& handler) {
  RETURN_IF_ERROR(CheckBounds(text, bounds));
  const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
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
                                               const JsonBounds& bounds) {
  if (const absl::Status status = CheckBounds(text, bounds); !status.ok()) {
    return absl::InvalidArgumentError(Text(where, ": ", status.message()));
  }
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
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
  return Fail(Text("is not JSON at byte ", position));
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
