// Ids -> text as they come: whole UTF-8 characters only, held back while a stop string may be
// starting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/text/tokenizer.h"

namespace dyad {

// The pieces it returns, joined, equal Tokenizer::Decode of all ids (special tokens skipped), cut
// before the first stop string: the one that is complete first, of those complete at once the
// longest. So the cut does not depend on where tokens end. One thread.
class StreamDecoder {
 public:
  // `stop`: empty ones, and ones that are not UTF-8, are left out: no text can hold those.
  // `tokenizer` must outlive this.
  StreamDecoder(const Tokenizer& tokenizer, std::vector<std::string> stop);

  struct Piece {
    std::string text;      // may be empty
    bool stopped = false;  // a stop string was found; nothing comes after this piece
  };
  // Cost: amortised O(bytes of the token · number of stop strings).
  Piece Push(int32_t id);
  // What is still held back; an incomplete character becomes U+FFFD.
  Piece Finish();

  // The stop string that was found; empty before.
  const std::string& stop() const { return stop_; }

 private:
  // How much of one stop string the text so far ends with (Knuth, Morris and Pratt).
  class Matcher {
   public:
    explicit Matcher(std::string stop);
    void Step(char byte);
    bool complete() const { return matched_ == stop_.size(); }
    size_t matched() const { return matched_; }

   private:
    std::string stop_;
    std::vector<size_t>
        fallback_;  // [n]: longest proper beginning of stop_[0, n) that also ends it
    size_t matched_ = 0;
  };

  Piece Append(std::string_view text);

  const Tokenizer& tokenizer_;
  std::vector<Matcher> matchers_;
  std::string bytes_;  // decoded bytes, not yet a whole character
  std::string held_;   // valid UTF-8 that may begin a stop string
  std::string stop_;
};

}  // namespace dyad
