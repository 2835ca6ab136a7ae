// Words and regions of a text: which bytes they have, which tokens belong to them, and what the
// tokens' scores make of them. scoring.proto tells users the same.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "dyad/v1/scoring.pb.h"
#include "server/engine/model.h"
#include "server/text/tokenizer.h"

namespace dyad {

struct ByteSpan {
  int32_t begin = 0;
  int32_t end = 0;
};

// Words of valid UTF-8, in order. Cost: O(bytes).
std::vector<ByteSpan> SplitWords(std::string_view text, v1::WordSplit split);

// A word or region with its tokens.
struct TokenSpan {
  ByteSpan bytes;  // of the item's text
  int32_t first_token = 0;
  int32_t tokens = 0;
  int32_t shared_tokens = 0;
};

// What was fed, with the item's own text at its end.
struct FedText {
  std::string_view text;
  // Of each token in `text`; tokens that are not in it have the offset where they stand.
  std::span<const int32_t> offsets;
  int32_t own_begin = 0;  // where the item's own text begins
};

// The words of the item's own text; white space is as `split` has it. Cost: O(bytes + tokens).
std::vector<TokenSpan> WordsOf(const FedText& fed, v1::WordSplit split);
// `regions` may overlap.
std::vector<TokenSpan> RegionsOf(const FedText& fed, std::span<const ByteSpan> regions);
// The tokens that overlap `bytes`, which may be none.
TokenSpan TokensOver(const FedText& fed, ByteSpan bytes);

// Sets of ids (engine::Request::id_sets) whose probability a correction needs.
inline constexpr uint8_t kBeginsWord = 1;
inline constexpr uint8_t kBeginsWordOrEnds = 2;
inline constexpr uint8_t kContinuesWord = 4;

// [vocab_size], of a tokenizer's ids; `eos`: the id that ends a text, if any. Empty if no entry of
// the vocabulary begins a word.
std::vector<uint8_t> WordIdSets(const Tokenizer& tokenizer, std::optional<int32_t> eos,
                                int32_t vocab_size);

// One item's words, ready to be summed.
struct WordPlan {
  v1::WordCorrection correction = v1::WORD_CORRECTION_NONE;
  std::vector<TokenSpan> words;
  std::vector<TokenSpan> regions;

  bool corrects() const { return correction > v1::WORD_CORRECTION_NONE; }
};

// The sets to ask for in the places of tokens [first, end], the last one behind them; none without
// a correction.
std::vector<uint8_t> SetsFor(const WordPlan& plan, std::span<const int32_t> ids,
                             std::span<const uint8_t> id_sets, int32_t first, int32_t end);

// Scores of tokens [first, end) of an item, and with a correction of the place behind them.
struct ScoredRun {
  std::span<const int32_t> ids;      // all that were fed
  std::span<const uint8_t> id_sets;  // as WordIdSets; read only with a correction
  int32_t first = 0;
  int32_t end = 0;
  std::span<const engine::TokenScore> scores;
};
v1::SpanScore ToSpanScore(const WordPlan& plan, const TokenSpan& span, const ScoredRun& run);

}  // namespace dyad
