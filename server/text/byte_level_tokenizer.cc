// Puts the parts together in the reference's order; decoding is a table of bytes by id.
#include "server/text/byte_level_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/text/byte_alphabet.h"
#include "server/text/nfc.h"
#include "server/text/utf8.h"
#include "server/text/word_splitter.h"

namespace dyad {
namespace {

// Offsets are 32-bit, and NFC can make a text three times as long.
constexpr size_t kMaxTextBytes = size_t{256} << 20;

std::string Normalize(Normalizer normalizer, std::string_view text) {
  if (normalizer == Normalizer::kNfc) return ToNfc(text).value_or(std::string(text));
  return std::string(text);
}

enum class MatchedIn { kGivenText, kNormalizedText };

std::vector<AddedToken> TokensFor(const TokenizerSpec& spec, MatchedIn matched_in) {
  std::vector<AddedToken> tokens;
  for (const AddedToken& token : spec.added) {
    if (token.normalized != (matched_in == MatchedIn::kNormalizedText)) continue;
    tokens.push_back(token);
    if (token.normalized) tokens.back().content = Normalize(spec.normalizer, token.content);
  }
  // Special ones first: they win where two become equal by normalisation.
  std::stable_partition(tokens.begin(), tokens.end(),
                        [](const AddedToken& token) { return token.special; });
  return tokens;
}

// Entry by id, the added tokens included; two entries cannot have one id, nor one entry two.
absl::StatusOr<std::vector<std::string>> EntriesById(const TokenizerSpec& spec) {
  int32_t largest = -1;
  for (const auto& [entry, id] : spec.vocabulary) largest = std::max(largest, id);
  for (const AddedToken& token : spec.added) largest = std::max(largest, token.id);
  std::vector<std::string> entries(largest + 1);
  std::vector<bool> taken(largest + 1, false);
  for (const auto& [entry, id] : spec.vocabulary) {
    if (taken[id]) {
      const auto [first, second] = std::minmax(entries[id], entry);
      return absl::InvalidArgumentError(absl::StrCat(spec.vocabulary_source, ": \"", first,
                                                     "\" and \"", second, "\" both have id ", id));
    }
    taken[id] = true;
    entries[id] = entry;
  }
  for (const AddedToken& token : spec.added) {
    const auto known = spec.vocabulary.find(token.content);
    if (known != spec.vocabulary.end() && known->second != token.id) {
      return absl::InvalidArgumentError(absl::StrCat("added token \"", token.content, "\" has id ",
                                                     token.id, "; in ", spec.vocabulary_source,
                                                     " it has ", known->second));
    }
    if (taken[token.id] && entries[token.id] != token.content) {
      return absl::InvalidArgumentError(absl::StrCat("added token \"", token.content, "\" has id ",
                                                     token.id, ", which is that of \"",
                                                     entries[token.id], "\""));
    }
    taken[token.id] = true;
    entries[token.id] = token.content;
  }
  return entries;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> ByteLevelTokenizer::Create(const TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(std::vector<std::string> entries, EntriesById(spec));
  for (const std::vector<int32_t>& frame : {spec.frame_before, spec.frame_after}) {
    for (const int32_t id : frame) {
      if (static_cast<size_t>(id) < entries.size()) continue;
      return absl::InvalidArgumentError(absl::StrCat("post_processor adds token id ", id,
                                                     "; the largest is ", entries.size() - 1));
    }
  }
  ASSIGN_OR_RETURN(BytePairMerger merger, BytePairMerger::Create(spec));
  std::unique_ptr<ByteLevelTokenizer> tokenizer(new ByteLevelTokenizer(spec, std::move(merger)));
  tokenizer->special_.resize(entries.size(), false);
  for (const AddedToken& token : spec.added) tokenizer->special_[token.id] = token.special;
  tokenizer->token_bytes_.reserve(entries.size());
  const std::string blank = EncodeUtf8(CharacterOfByte(' '));
  for (std::string& entry : entries) {
    tokenizer->begins_word_.push_back(entry.starts_with(blank));
    // An entry that is not written in the byte alphabet stands for itself, as NeoX's runs of blanks
    // do.
    std::optional<std::string> bytes = BytesOfToken(entry);
    tokenizer->token_bytes_.push_back(bytes.has_value() ? *std::move(bytes) : std::move(entry));
  }
  return tokenizer;
}

ByteLevelTokenizer::ByteLevelTokenizer(const TokenizerSpec& spec, BytePairMerger merger)
    : merger_(std::move(merger)),
      raw_tokens_(TokensFor(spec, MatchedIn::kGivenText)),
      normalized_tokens_(TokensFor(spec, MatchedIn::kNormalizedText)),
      normalizer_(spec.normalizer),
      add_prefix_space_(spec.add_prefix_space),
      split_words_(spec.split_words),
      frame_before_(spec.frame_before),
      frame_after_(spec.frame_after),
      bos_id_(spec.bos_id),
      eos_id_(spec.eos_id) {}

absl::StatusOr<Encoding> ByteLevelTokenizer::Encode(std::string_view text,
                                                    const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("text has ", text.size(), " bytes; at most ", kMaxTextBytes, " are encoded"));
  }
  if (const std::optional<size_t> bad = FirstInvalidByte(text); bad.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("text is not valid UTF-8: bad byte at offset ", *bad));
  }
  Encoding encoding;
  constexpr size_t kUsualBytesPerToken = 4;
  encoding.ids.reserve(text.size() / kUsualBytesPerToken + 8);
  encoding.offsets.reserve(text.size() / kUsualBytesPerToken + 8);
  if (options.frame == Frame::kDefault) {
    encoding.ids = frame_before_;
    encoding.offsets.assign(frame_before_.size(), 0);
  }
  size_t offset = 0;  // in the normalised text
  for (const TextPart& part : raw_tokens_.Split(text, options.special_tokens)) {
    const std::string_view given = text.substr(part.begin, part.end - part.begin);
    if (part.id.has_value()) {
      encoding.ids.push_back(*part.id);
      encoding.offsets.push_back(static_cast<int32_t>(offset));
      offset += given.size();
      continue;
    }
    std::optional<std::string> normalized;
    if (normalizer_ == Normalizer::kNfc) normalized = ToNfc(given);
    const std::string_view plain = normalized.has_value() ? *normalized : given;
    encoding.is_normalized |= normalized.has_value() && plain != given;
    AppendNormalized(plain, static_cast<int32_t>(offset), options.special_tokens, encoding);
    offset += plain.size();
  }
  if (options.frame == Frame::kDefault) {
    for (const int32_t id : frame_after_) {
      encoding.ids.push_back(id);
      encoding.offsets.push_back(static_cast<int32_t>(offset));
    }
  }
  return encoding;
}

void ByteLevelTokenizer::AppendNormalized(std::string_view text, int32_t offset,
                                          SpecialTokens special, Encoding& encoding) const {
  for (const TextPart& part : normalized_tokens_.Split(text, special)) {
    const int32_t begin = offset + static_cast<int32_t>(part.begin);
    if (part.id.has_value()) {
      encoding.ids.push_back(*part.id);
      encoding.offsets.push_back(begin);
      continue;
    }
    const std::string_view plain = text.substr(part.begin, part.end - part.begin);
    if (add_prefix_space_ && plain.front() != ' ') {
      const size_t first = encoding.offsets.size();
      AppendWords(' ' + std::string(plain), begin - 1, encoding);
      // The blank is not in the text: what begins with it begins where the text does.
      for (size_t i = first; i < encoding.offsets.size() && encoding.offsets[i] < begin; ++i) {
        encoding.offsets[i] = begin;
      }
    } else {
      AppendWords(plain, begin, encoding);
    }
  }
}

void ByteLevelTokenizer::AppendWords(std::string_view text, int32_t offset,
                                     Encoding& encoding) const {
  if (!split_words_) {
    merger_.Append(text, offset, encoding);
    return;
  }
  for (size_t start = 0; start < text.size();) {
    const size_t end = EndOfWord(text, start);
    merger_.Append(text.substr(start, end - start), offset + static_cast<int32_t>(start), encoding);
    start = end;
  }
}

std::string ByteLevelTokenizer::Decode(std::span<const int32_t> ids, DecodeSpecial special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (special == DecodeSpecial::kSkip && IsSpecial(id)) continue;
    bytes += TokenBytes(id);
  }
  ValidText valid = ToValidText(bytes);
  if (valid.consumed < bytes.size()) valid.text += kReplacementCharacter;
  return std::move(valid.text);
}

std::string_view ByteLevelTokenizer::TokenBytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return token_bytes_[id];
}

bool ByteLevelTokenizer::IsSpecial(int32_t id) const {
  return id >= 0 && id < vocab_size() && special_[id];
}

bool ByteLevelTokenizer::BeginsWord(int32_t id) const {
  return id >= 0 && id < vocab_size() && begins_word_[id];
}

}  // namespace dyad
