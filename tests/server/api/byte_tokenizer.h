// A tokenizer for tests whose ids can be told by hand: 0…255 are the bytes, the rest stands below.
// The longest token that matches is taken.
#pragma once

#include <array>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/text/tokenizer.h"
#include "server/text/utf8.h"

namespace dyad::testing {

inline constexpr int32_t kEnd = 256;  // "</s>", special; the frame puts it in front
inline constexpr int32_t kThe = 257;
inline constexpr int32_t kSpaceThe = 258;
inline constexpr int32_t kSpaceA = 259;
inline constexpr int32_t kTwoSpaces = 260;
// For this text the system has no memory.
inline constexpr std::string_view kNoMemory = "no memory";
inline constexpr int32_t kByteVocabulary = 261;

class ByteTokenizer : public Tokenizer {
 public:
  absl::StatusOr<Encoding> Encode(std::string_view text,
                                  const EncodeOptions& options) const override {
    if (text == kNoMemory) throw std::bad_alloc();
    if (const auto bad = FirstInvalidByte(text); bad.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("byte ", *bad, " is not UTF-8"));
    }
    Encoding encoding;
    if (options.frame == Frame::kDefault) {
      encoding.ids.push_back(kEnd);
      encoding.offsets.push_back(0);
    }
    for (size_t offset = 0; offset < text.size();) {
      const std::string_view rest = text.substr(offset);
      int32_t id = static_cast<uint8_t>(rest[0]);
      size_t length = 1;
      for (int32_t longer = kEnd; longer < kByteVocabulary; ++longer) {
        if (longer == kEnd && options.special_tokens == SpecialTokens::kLiteral) continue;
        const std::string_view bytes = kLonger[longer - kEnd];
        if (!rest.starts_with(bytes) || bytes.size() <= length) continue;
        id = longer;
        length = bytes.size();
      }
      encoding.ids.push_back(id);
      encoding.offsets.push_back(static_cast<int32_t>(offset));
      offset += length;
    }
    return encoding;
  }

  std::string Decode(std::span<const int32_t> ids, DecodeSpecial special) const override {
    std::string bytes;
    for (const int32_t id : ids) {
      if (special == DecodeSpecial::kKeep || !IsSpecial(id)) bytes += TokenBytes(id);
    }
    ValidText valid = ToValidText(bytes);
    if (valid.consumed < bytes.size()) valid.text += kReplacementCharacter;
    return valid.text;
  }

  std::string_view TokenBytes(int32_t id) const override {
    static const std::string all = [] {
      std::string bytes;
      for (int b = 0; b < 256; ++b) bytes.push_back(static_cast<char>(b));
      return bytes;
    }();
    if (id < 0 || id >= kByteVocabulary) return {};
    return id < kEnd ? std::string_view(all).substr(static_cast<size_t>(id), 1)
                     : kLonger[id - kEnd];
  }
  bool IsSpecial(int32_t id) const override { return id == kEnd; }
  bool BeginsWord(int32_t id) const override { return TokenBytes(id).starts_with(' '); }
  int32_t vocab_size() const override { return kByteVocabulary; }
  std::optional<int32_t> bos_id() const override { return kEnd; }
  std::optional<int32_t> eos_id() const override { return kEnd; }

 private:
  static constexpr std::array<std::string_view, 5> kLonger = {"</s>", "the", " the", " a", "  "};
};

// The ids of a text without frame.
inline std::vector<int32_t> Ids(std::string_view text) {
  return ByteTokenizer().Encode(text, {})->ids;
}

}  // namespace dyad::testing
