// Ids -> text as they come: whole UTF-8 characters only, held back while a stop string may be starting.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/text/tokenizer.h"

namespace dyad {

// The pieces it returns, joined, equal Tokenizer::Decode of all ids (special tokens skipped), cut before
// the first stop string. One thread.
class StreamDecoder {
 public:
  // `stop`: non-empty strings. `tokenizer` must outlive this.
  StreamDecoder(const Tokenizer& tokenizer, std::vector<std::string> stop);

  struct Piece {
    std::string text;      // may be empty
    bool stopped = false;  // a stop string was found; nothing comes after this piece
  };
  // Cost: O(bytes of the token · total bytes of stop strings) at worst.
  Piece Push(int32_t id);
  // What is still held back; an incomplete character becomes U+FFFD.
  Piece Finish();

 private:
  Piece Release(bool at_end);

  const Tokenizer& tokenizer_;
  const std::vector<std::string> stop_;
  std::string bytes_;  // decoded bytes, not yet a whole character
  std::string held_;   // valid UTF-8 that may begin a stop string
  bool stopped_ = false;
};

}  // namespace dyad
