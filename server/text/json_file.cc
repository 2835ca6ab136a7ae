// Reading and checking; nlohmann's parser is told not to throw, and every type is asked for first.
#include "server/text/json_file.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/text/tokenizer_spec.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

using nlohmann::json;

constexpr int kMaxNesting = 32;
constexpr size_t kMaxQuotedBytes = 60;

// Deepest nesting of brackets outside of strings. Right for well-formed JSON; the parser refuses
// the rest.
int Nesting(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

const json& Null() {
  static const json& null = *new json(nullptr);
  return null;
}

// What an error says was found: the value if it is short to tell, its type otherwise.
std::string Describe(const json& value) {
  if (value.is_null()) return "absent or null";
  if (value.is_object()) return absl::StrCat("an object of ", value.size(), " keys");
  if (value.is_array()) return absl::StrCat("a list of ", value.size(), " elements");
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() <= kMaxQuotedBytes) return text;
  return absl::StrCat(ToValidText(text.substr(0, kMaxQuotedBytes)).text, "...");
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is not a regular file"));
  }
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", error.message()));
  }
  if (bytes > kMaxTokenizerFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(name, " has ", bytes, " bytes; at most ",
                                                   kMaxTokenizerFileBytes, " are read"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string content(bytes, '\0');
  if (!file.read(content.data(), static_cast<std::streamsize>(bytes))) {
    return absl::InvalidArgumentError(absl::StrCat(name, " cannot be read"));
  }
  return content;
}

JsonValue JsonValue::operator[](std::string_view key) const {
  const std::string separator = where_.find(": ") == std::string::npos ? ": " : ".";
  std::string where = absl::StrCat(where_, separator, std::string(key));
  if (!value_->is_object()) return JsonValue(Null(), std::move(where));
  const auto found = value_->find(std::string(key));
  return JsonValue(found == value_->end() ? Null() : *found, std::move(where));
}

absl::StatusOr<std::vector<JsonValue>> JsonValue::Elements() const {
  if (!value_->is_array()) return Mismatch("a list");
  if (value_->size() > kMaxListElements) {
    return Mismatch(absl::StrCat("at most ", kMaxListElements));
  }
  std::vector<JsonValue> elements;
  elements.reserve(value_->size());
  for (const nlohmann::json& element : *value_) {
    elements.emplace_back(element, absl::StrCat(where_, "[", elements.size(), "]"));
  }
  return elements;
}

absl::StatusOr<std::string> JsonValue::String() const {
  if (!value_->is_string()) return Mismatch("a string");
  return value_->get_ref<const std::string&>();
}

absl::StatusOr<bool> JsonValue::Bool() const {
  if (!value_->is_boolean()) return Mismatch("true or false");
  return value_->get<bool>();
}

absl::StatusOr<bool> JsonValue::BoolOr(bool fallback) const {
  return is_null() ? fallback : Bool();
}

absl::StatusOr<int32_t> JsonValue::TokenId() const {
  // Every integer that JSON writes without a sign is an unsigned one to the parser.
  if (!value_->is_number_unsigned() || value_->get<uint64_t>() > kMaxTokenId) {
    return Mismatch(absl::StrCat("a token id, 0 to ", kMaxTokenId));
  }
  return static_cast<int32_t>(value_->get<uint64_t>());
}

absl::Status JsonValue::IsObject() const {
  return value_->is_object() ? absl::OkStatus() : Mismatch("an object");
}

absl::Status JsonValue::Mismatch(std::string_view expected) const {
  return absl::InvalidArgumentError(
      absl::StrCat(where_, " is ", Describe(*value_), "; expected ", std::string(expected)));
}

absl::StatusOr<JsonFile> JsonFile::Read(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  const std::string name = path.filename().string();
  if (const int nesting = Nesting(text); nesting > kMaxNesting) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is nested ", nesting, " deep; at most ", kMaxNesting, " is read"));
  }
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is not valid JSON"));
  }
  JsonFile file(std::move(document), name);
  RETURN_IF_ERROR(file.root().IsObject());
  return file;
}

}  // namespace dyad
