// JSON of unknown origin, as a tree or as events. Bytes, nesting and the length of a token are
// bounded before a parser sees the text. Nothing here throws or recurses.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace dyad {

struct JsonBounds {
  size_t max_bytes = 0;  // of the whole text
  size_t max_depth = 0;  // objects and arrays inside each other
  // Bytes of a string or number with the space around it.
  size_t max_token = size_t{1} << 20;
};

// A value as it appears in messages: printable ASCII, about 60 bytes at most.
std::string JsonText(const nlohmann::json& value);

// Reads one object. Memory: a small multiple of the text. `where` begins every message.
// Errors: InvalidArgument: beyond the bounds; not JSON, with line and column; no object.
// `look` sees what the parser finds, as the library's callback of a parser that keeps all.
absl::StatusOr<nlohmann::json> ParseJsonObject(
    std::string_view text, std::string_view where, const JsonBounds& bounds,
    const nlohmann::json::parser_callback_t& look = nullptr);

// Receives events. Refuses whatever a derived class does not expect. A handler returns false to
// stop, after Fail.
class JsonHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  const absl::Status& status() const { return status_; }
  // Where the text stopped being JSON, counted from 1; 0 if it did not.
  size_t stopped_at() const { return stopped_at_; }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override;  // the negative ones
  bool number_unsigned(number_unsigned_t) override { return Unexpected("a number"); }
  bool number_float(number_float_t, const string_t&) override {
    return Unexpected("a number that is no integer of 64 bits");
  }
  bool string(string_t&) override { return Unexpected("a string"); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }
  bool start_object(size_t) override { return Unexpected("an object"); }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return Unexpected("an array"); }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override;

 protected:
  // Says where the reader is and what it expected there. `found` is one of the texts above.
  virtual bool Unexpected(std::string_view found) = 0;
  bool Fail(const std::string& message);  // returns false

 private:
  absl::Status status_;
  size_t stopped_at_ = 0;
};

// Feeds `text`, which must be one JSON value in UTF-8, to `handler`: no tree is built.
// Memory: O(max_token). `where` begins every message.
// Errors: InvalidArgument: not JSON, beyond the bounds, or the handler's own.
absl::Status ReadJson(std::string_view text, std::string_view where, const JsonBounds& bounds,
                      JsonHandler& handler);

}  // namespace dyad
