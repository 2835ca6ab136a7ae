// Reads the roles first, then lets each change the specification.
#include "server/text/tokenizer_config.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/file.h"
#include "server/base/status_macros.h"
#include "server/base/string_map.h"
#include "server/text/json_file.h"
#include "server/text/vocabulary.h"

namespace dyad {
namespace {

constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

struct Named {
  AddedToken token;
  std::string where;
};

// A token is written as a string or as an object with "content" and how it is matched.
absl::StatusOr<Named> ReadNamed(const JsonValue& value) {
  Named named;
  named.where = value.where();
  if (value.json().is_object()) {
    ASSIGN_OR_RETURN(named.token, ReadAddedToken(value));
  } else {
    ASSIGN_OR_RETURN(named.token.content, value.String());
    if (named.token.content.empty()) return value.Mismatch("a token");
  }
  named.token.special = true;
  return named;
}

class ConfigReader {
 public:
  explicit ConfigReader(TokenizerSpec& spec) : spec_(spec) {}

  absl::Status ReadConfig(const JsonValue& root) {
    RETURN_IF_ERROR(ReadDecoder(root["added_tokens_decoder"]));
    RETURN_IF_ERROR(ReadRoles(root));
    ASSIGN_OR_RETURN(add_bos_, root["add_bos_token"].BoolOr(false));
    ASSIGN_OR_RETURN(add_eos_, root["add_eos_token"].BoolOr(false));
    ASSIGN_OR_RETURN(spec_.add_prefix_space,
                     root["add_prefix_space"].BoolOr(spec_.add_prefix_space));
    return absl::OkStatus();
  }

  // A role that was read before stays as it is.
  absl::Status ReadRoles(const JsonValue& root) {
    for (const char* role : kRoles) {
      if (root[role].is_null()) continue;
      ASSIGN_OR_RETURN(Named named, ReadNamed(root[role]));
      roles_.emplace(role, std::move(named));
    }
    if (const JsonValue more = root["additional_special_tokens"]; !more.is_null()) {
      ASSIGN_OR_RETURN(const std::vector<JsonValue> elements, more.Elements());
      if (elements.size() > kMaxAddedTokens) {
        return more.Mismatch(absl::StrCat("at most ", kMaxAddedTokens));
      }
      for (const JsonValue& element : elements) {
        ASSIGN_OR_RETURN(Named named, ReadNamed(element));
        AddSpecial(named.token);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Finish() {
    for (auto& [role, named] : roles_) {
      const std::optional<int32_t> id = AddSpecial(named.token);
      const bool is_bos = role == "bos_token";
      if (!is_bos && role != "eos_token") continue;
      if (!id.has_value()) {
        return absl::InvalidArgumentError(absl::StrCat(named.where, " is \"", named.token.content,
                                                       "\", which is not in the vocabulary"));
      }
      (is_bos ? spec_.bos_id : spec_.eos_id) = *id;
    }
    if (spec_.has_template) return absl::OkStatus();
    RETURN_IF_ERROR(AddToFrame(add_bos_, "bos_token", spec_.frame_before));
    return AddToFrame(add_eos_, "eos_token", spec_.frame_after);
  }

 private:
  // {"ID": {"content": ..., "special": ...}}
  absl::Status ReadDecoder(const JsonValue& decoder) {
    if (decoder.is_null()) return absl::OkStatus();
    RETURN_IF_ERROR(decoder.IsObject());
    if (decoder.json().size() > kMaxAddedTokens) {
      return decoder.Mismatch(absl::StrCat("at most ", kMaxAddedTokens));
    }
    std::map<int32_t, AddedToken>
        tokens;  // by id, so that the order of the keys as text is nothing
    for (auto entry = decoder.json().begin(); entry != decoder.json().end(); ++entry) {
      const std::string& key = entry.key();
      const JsonValue value = decoder[key];
      int32_t id = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kMaxTokenId) {
        return value.Mismatch(absl::StrCat("its key to be a token id, 0 to ", kMaxTokenId));
      }
      ASSIGN_OR_RETURN(AddedToken token, ReadAddedToken(value));
      token.id = id;
      tokens.emplace(id, std::move(token));
    }
    for (auto& [id, token] : tokens) {
      if (Find(token.content) == nullptr) Insert(std::move(token));
    }
    return absl::OkStatus();
  }

  AddedToken* Find(const std::string& content) {
    if (index_.empty()) {
      for (size_t i = 0; i < spec_.added.size(); ++i) index_.emplace(spec_.added[i].content, i);
    }
    const auto found = index_.find(content);
    return found == index_.end() ? nullptr : &spec_.added[found->second];
  }

  void Insert(AddedToken token) {
    index_.emplace(token.content, spec_.added.size());
    spec_.added.push_back(std::move(token));
  }

  // The id of a token that is special from now on; nothing if it is not in the vocabulary.
  std::optional<int32_t> AddSpecial(AddedToken token) {
    if (AddedToken* known = Find(token.content); known != nullptr) {
      known->special = true;
      return known->id;
    }
    const auto found = spec_.vocabulary.find(token.content);
    if (found == spec_.vocabulary.end()) return std::nullopt;
    token.id = found->second;
    Insert(std::move(token));
    return found->second;
  }

  absl::Status AddToFrame(bool wanted, const char* role, std::vector<int32_t>& frame) {
    if (!wanted) return absl::OkStatus();
    const std::optional<int32_t>& id =
        role == std::string_view("bos_token") ? spec_.bos_id : spec_.eos_id;
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tokenizer_config.json: add_", role, " is true, but there is no ", role));
    }
    frame.push_back(*id);
    return absl::OkStatus();
  }

  TokenizerSpec& spec_;
  std::map<std::string, Named> roles_;
  StringMap<size_t> index_;  // content -> place in spec_.added
  bool add_bos_ = false;
  bool add_eos_ = false;
};

}  // namespace

absl::Status ApplyTokenizerConfig(const std::filesystem::path& folder, TokenizerSpec& spec) {
  ConfigReader reader(spec);
  ASSIGN_OR_RETURN(const bool has_config, HasEntry(folder / "tokenizer_config.json"));
  if (has_config) {
    ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(folder / "tokenizer_config.json"));
    RETURN_IF_ERROR(reader.ReadConfig(file.root()));
  }
  ASSIGN_OR_RETURN(const bool has_map, HasEntry(folder / "special_tokens_map.json"));
  if (has_map) {
    ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(folder / "special_tokens_map.json"));
    RETURN_IF_ERROR(reader.ReadRoles(file.root()));
  }
  RETURN_IF_ERROR(reader.Finish());
  const bool any_special = std::any_of(spec.added.begin(), spec.added.end(),
                                       [](const AddedToken& token) { return token.special; });
  const auto end_of_text = spec.vocabulary.find("<|endoftext|>");
  if (!any_special && end_of_text != spec.vocabulary.end()) {
    AddedToken token;
    token.content = end_of_text->first;
    token.id = end_of_text->second;
    token.special = true;
    spec.added.push_back(std::move(token));
  }
  return absl::OkStatus();
}

}  // namespace dyad
