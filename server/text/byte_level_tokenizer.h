// The tokenizer itself, built from what its files say.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/text/added_tokens.h"
#include "server/text/byte_pair_merger.h"
#include "server/text/tokenizer.h"
#include "server/text/tokenizer_spec.h"

namespace dyad {

// Added tokens that match the text as given are cut out first; what lies between is normalised, cut
// at the other added tokens, split into words, and each word is merged. Immutable; any thread.
class ByteLevelTokenizer final : public Tokenizer {
 public:
  // Errors: InvalidArgument for a specification that contradicts itself, naming its source.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Create(const TokenizerSpec& spec);

  absl::StatusOr<Encoding> Encode(std::string_view text,
                                  const EncodeOptions& options) const override;
  std::string Decode(std::span<const int32_t> ids, DecodeSpecial special) const override;
  std::string_view TokenBytes(int32_t id) const override;
  bool IsSpecial(int32_t id) const override;
  bool BeginsWord(int32_t id) const override;
  int32_t vocab_size() const override { return static_cast<int32_t>(token_bytes_.size()); }
  std::optional<int32_t> bos_id() const override { return bos_id_; }
  std::optional<int32_t> eos_id() const override { return eos_id_; }

 private:
  ByteLevelTokenizer(const TokenizerSpec& spec, BytePairMerger merger);

  void AppendNormalized(std::string_view text, int32_t offset, SpecialTokens special,
                        Encoding& encoding) const;
  void AppendWords(std::string_view text, int32_t offset, Encoding& encoding) const;

  const BytePairMerger merger_;
  const AddedTokenMatcher raw_tokens_;         // matched in the text as given
  const AddedTokenMatcher normalized_tokens_;  // matched in the normalised text
  const Normalizer normalizer_;
  const bool add_prefix_space_;
  const bool split_words_;
  const std::vector<int32_t> frame_before_;
  const std::vector<int32_t> frame_after_;
  const std::optional<int32_t> bos_id_;
  const std::optional<int32_t> eos_id_;
  std::vector<std::string> token_bytes_;  // by id; empty where there is no token
  std::vector<bool> special_;             // by id
  std::vector<bool> begins_word_;         // by id
};

}  // namespace dyad
