// Entries, merges and added tokens, each checked as it is read.
#include "server/text/vocabulary.h"

#include "absl/strings/str_cat.h"
#include "server/base/file.h"
#include "server/base/status_macros.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

absl::Status ReadMergesFile(const std::filesystem::path& path, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxTokenizerFileBytes));
  spec.merges_source = path.filename().string();
  const auto error = [&](int line_number, std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.merges_source, ": line ", line_number, " ", std::string(what)));
  };
  int line_number = 0;
  for (std::string_view rest = content; !rest.empty();) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++line_number;
    if (line.empty() || line.starts_with("#version")) continue;
    if (FirstInvalidByte(line).has_value()) return error(line_number, "is not valid UTF-8");
    std::optional<std::pair<std::string, std::string>> merge = ParseMerge(line);
    if (!merge.has_value()) {
      return error(line_number, "is not two entries with one blank between them");
    }
    spec.merges.push_back(*std::move(merge));
  }
  return absl::OkStatus();
}

// {"TOKEN": ID}: tokens that were added to a vocabulary after it was made.
absl::Status ReadAddedTokensFile(const std::filesystem::path& path, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(path));
  const JsonValue root = file.root();
  if (root.json().size() > kMaxAddedTokens) {
    return root.Mismatch(absl::StrCat("at most ", kMaxAddedTokens));
  }
  for (const auto& [content, value] : root.json().items()) {
    AddedToken token;
    token.content = content;
    token.normalized = true;
    if (content.empty() || content.size() > kMaxTokenBytes) {
      return root.Mismatch(absl::StrCat("tokens of 1 to ", kMaxTokenBytes, " bytes"));
    }
    ASSIGN_OR_RETURN(token.id, root[content].TokenId());
    spec.vocabulary.try_emplace(content, token.id);
    spec.added.push_back(std::move(token));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadVocabulary(const JsonValue& object, TokenizerSpec& spec) {
  RETURN_IF_ERROR(object.IsObject());
  if (object.json().empty()) return object.Mismatch("at least one entry");
  spec.vocabulary_source = object.where();
  spec.vocabulary.reserve(object.json().size());
  for (auto entry = object.json().begin(); entry != object.json().end(); ++entry) {
    if (entry.key().size() > kMaxTokenBytes) {
      return absl::InvalidArgumentError(absl::StrCat(object.where(), " has an entry of ",
                                                     entry.key().size(), " bytes; at most ",
                                                     kMaxTokenBytes, " are allowed"));
    }
    const JsonValue id(entry.value(), absl::StrCat(object.where(), "[\"", entry.key(), "\"]"));
    ASSIGN_OR_RETURN(spec.vocabulary[entry.key()], id.TokenId());
  }
  return absl::OkStatus();
}

std::optional<std::pair<std::string, std::string>> ParseMerge(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == 0 || blank == std::string_view::npos || blank + 1 == line.size()) {
    return std::nullopt;
  }
  if (line.find(' ', blank + 1) != std::string_view::npos) return std::nullopt;
  return std::pair(std::string(line.substr(0, blank)), std::string(line.substr(blank + 1)));
}

absl::StatusOr<AddedToken> ReadAddedToken(const JsonValue& object) {
  AddedToken token;
  ASSIGN_OR_RETURN(token.content, object["content"].String());
  if (token.content.empty() || token.content.size() > kMaxTokenBytes) {
    return object["content"].Mismatch(absl::StrCat("1 to ", kMaxTokenBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(token.special, object["special"].BoolOr(false));
  ASSIGN_OR_RETURN(token.normalized, object["normalized"].BoolOr(!token.special));
  ASSIGN_OR_RETURN(token.left_strip, object["lstrip"].BoolOr(false));
  ASSIGN_OR_RETURN(token.right_strip, object["rstrip"].BoolOr(false));
  ASSIGN_OR_RETURN(token.single_word, object["single_word"].BoolOr(false));
  return token;
}

absl::StatusOr<TokenizerSpec> ReadVocabularyFiles(const std::filesystem::path& folder) {
  TokenizerSpec spec;
  {
    ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(folder / "vocab.json"));
    RETURN_IF_ERROR(ReadVocabulary(file.root(), spec));
  }
  RETURN_IF_ERROR(ReadMergesFile(folder / "merges.txt", spec));
  ASSIGN_OR_RETURN(const bool has_added, HasEntry(folder / "added_tokens.json"));
  if (has_added) RETURN_IF_ERROR(ReadAddedTokensFile(folder / "added_tokens.json", spec));
  return spec;
}

}  // namespace dyad
