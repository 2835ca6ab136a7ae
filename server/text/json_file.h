// JSON files of a model folder, of at most kMaxTokenizerFileBytes (tokenizer_spec.h). Every access
// is checked, and errors say file, key, what was found and what was expected.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace dyad {

// A value and where it stands ("tokenizer.json: model.merges[3]"). A view: the document must
// outlive it. A key that is absent reads as null. Nothing here throws.
class JsonValue {
 public:
  JsonValue(const nlohmann::json& value, std::string where)
      : value_(&value), where_(std::move(where)) {}

  const nlohmann::json& json() const { return *value_; }
  const std::string& where() const { return where_; }
  bool is_null() const { return value_->is_null(); }

  JsonValue operator[](std::string_view key) const;  // null unless this is an object that has it
  absl::StatusOr<std::vector<JsonValue>> Elements() const;  // a list of at most kMaxListElements
  absl::StatusOr<std::string> String() const;
  absl::StatusOr<bool> Bool() const;
  absl::StatusOr<bool> BoolOr(bool fallback) const;  // the fallback stands for null
  absl::StatusOr<int32_t> TokenId() const;           // 0 ... kMaxTokenId
  absl::Status IsObject() const;

  // "WHERE is FOUND; expected EXPECTED"
  absl::Status Mismatch(std::string_view expected) const;

 private:
  const nlohmann::json* value_;
  std::string where_;
};

// A parsed file: an object at the top, nested at most 32 deep.
class JsonFile {
 public:
  // Errors: InvalidArgument naming the file; those of ReadFile (server/base/file.h).
  static absl::StatusOr<JsonFile> Read(const std::filesystem::path& path);

  // REQUIRES: this JsonFile outlives the value and is not moved meanwhile.
  JsonValue root() const { return JsonValue(document_, name_); }

 private:
  JsonFile(nlohmann::json document, std::string name)
      : document_(std::move(document)), name_(std::move(name)) {}

  nlohmann::json document_;
  std::string name_;  // the file's name without its folder
};

}  // namespace dyad
