// What the files of a tokenizer say, whichever form they have: plain data between the readers of
// the files and the tokenizer that is built from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/base/string_map.h"

namespace dyad {

// Bounds on what is read; past them a file is refused. OPT and GPT-NeoX need
// a tenth of each or less.
inline constexpr size_t kMaxTokenizerFileBytes = size_t{32} << 20;
inline constexpr int32_t kMaxTokenId = (1 << 20) - 1;
inline constexpr size_t kMaxTokenBytes = 4096;
inline constexpr size_t kMaxAddedTokens = 65536;
inline constexpr size_t kMaxListElements = size_t{1} << 20;  // merges are the longest list
inline constexpr size_t kMaxFrameTokens = 16;                // before a text, and after it

// A token that is matched in the text before the pre-tokenizer sees it.
struct AddedToken {
  std::string content;  // not empty
  int32_t id = 0;
  bool special = false;      // left out of decoded text on request, literal on request
  bool normalized = false;   // matched in the normalised text, not in the text as given
  bool left_strip = false;   // takes the blanks before it with it
  bool right_strip = false;  // takes the blanks after it with it
  bool single_word = false;  // matched only where no word character touches it
};

enum class Normalizer { kNone, kNfc };

struct TokenizerSpec {
  StringMap<int32_t> vocabulary;  // entry as written -> id; ids are distinct
  std::vector<std::pair<std::string, std::string>> merges;  // most urgent first
  std::string vocabulary_source;  // where errors say it is: "tokenizer.json: model.vocab"
  std::string merges_source;

  std::vector<AddedToken> added;
  Normalizer normalizer = Normalizer::kNone;
  bool add_prefix_space = false;   // each text between added tokens begins with a blank
  bool split_words = true;         // the ByteLevel pattern is in use
  bool whole_words_first = false;  // "ignore_merges": a word in the vocabulary is not merged up
  std::optional<std::string>
      unknown;                // entry for bytes that the vocabulary lacks; else they vanish
  bool fuse_unknown = false;  // neighbouring unknown bytes are one token

  bool has_template = false;  // the post-processor sets the frame; else tokenizer_config.json does
  std::vector<int32_t> frame_before;
  std::vector<int32_t> frame_after;
  std::optional<int32_t> bos_id;
  std::optional<int32_t> eos_id;
};

}  // namespace dyad
