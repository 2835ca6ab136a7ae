// Reading and checking: every type is asked for before a value is taken.
#include "server/text/json_file.h"

#include "absl/strings/str_cat.h"
#include "server/base/file.h"
#include "server/base/json.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {
namespace {

using nlohmann::json;

constexpr JsonBounds kBounds = {.max_bytes = kMaxTokenizerFileBytes, .max_depth = 32};

const json& Null() {
  static const json& null = *new json(nullptr);
  return null;
}

}  // namespace

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
  return absl::InvalidArgumentError(Text(
      where_, " is ", is_null() ? "absent or null" : JsonText(*value_), "; expected ", expected));
}

absl::StatusOr<JsonFile> JsonFile::Read(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxTokenizerFileBytes));
  const std::string name = path.filename().string();
  ASSIGN_OR_RETURN(json document, ParseJsonObject(text, name, kBounds));
  return JsonFile(std::move(document), name);
}

}  // namespace dyad
