// Text <-> token ids. Contract and reasons: server/text/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dyad {

// How special tokens that are written out in a text are read.
enum class SpecialTokens { kParse, kLiteral };
// Whether the tokenizer's own frame (OPT: a leading </s>) is put around the ids.
enum class Frame { kNone, kDefault };
// Whether special tokens appear in decoded text.
enum class DecodeSpecial { kKeep, kSkip };

struct EncodeOptions {
  Frame frame = Frame::kNone;
  SpecialTokens special_tokens = SpecialTokens::kParse;
};

struct Encoding {
  std::vector<int32_t> ids;
  // Byte offset of each token in the normalised text; a frame token has the offset where it stands.
  std::vector<int32_t> offsets;
  bool is_normalized = false;  // the normalised text is another than the text given
};

// Immutable; any number of threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // `text` is UTF-8; InvalidArgument names the offset of the first bad byte.
  // Cost: O(bytes · log bytes); no recursion, bounded for any input.
  virtual absl::StatusOr<Encoding> Encode(std::string_view text,
                                          const EncodeOptions& options) const = 0;

  // Ids outside the vocabulary decode to nothing. Each maximal bad UTF-8 part becomes U+FFFD.
  virtual std::string Decode(std::span<const int32_t> ids, DecodeSpecial special) const = 0;

  // The bytes of one token, which may be part of a character; empty for an unknown id.
  virtual std::string_view TokenBytes(int32_t id) const = 0;
  virtual bool IsSpecial(int32_t id) const = 0;
  // Whether its vocabulary entry begins with "Ġ", the blank in front of a word. False for an
  // unknown id, and for added tokens that hold plain blanks.
  virtual bool BeginsWord(int32_t id) const = 0;

  virtual int32_t vocab_size() const = 0;             // 1 + largest id
  virtual std::optional<int32_t> bos_id() const = 0;  // tokenizer_config's bos_token
  virtual std::optional<int32_t> eos_id() const = 0;  // tokenizer_config's eos_token
};

}  // namespace dyad
