// Bytes -> whole characters -> stop strings: each layer holds back what it cannot decide yet.
#include "server/text/stream_decoder.h"

#include <algorithm>
#include <utility>

#include "server/text/utf8.h"

namespace dyad {

StreamDecoder::Matcher::Matcher(std::string stop)
    : stop_(std::move(stop)), fallback_(stop_.size() + 1, 0) {
  for (size_t n = 2; n <= stop_.size(); ++n) {
    size_t length = fallback_[n - 1];
    while (length > 0 && stop_[length] != stop_[n - 1]) length = fallback_[length];
    fallback_[n] = stop_[length] == stop_[n - 1] ? length + 1 : 0;
  }
}

void StreamDecoder::Matcher::Step(char byte) {
  while (matched_ > 0 && stop_[matched_] != byte) matched_ = fallback_[matched_];
  if (stop_[matched_] == byte) ++matched_;
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, std::vector<std::string> stop)
    : tokenizer_(tokenizer) {
  for (std::string& text : stop) {
    if (!text.empty() && !FirstInvalidByte(text).has_value())
      matchers_.emplace_back(std::move(text));
  }
}

StreamDecoder::Piece StreamDecoder::Push(int32_t id) {
  if (!stop_.empty()) return {"", true};
  if (tokenizer_.IsSpecial(id)) return {};
  bytes_ += tokenizer_.TokenBytes(id);
  const ValidText valid = ToValidText(bytes_);
  bytes_.erase(0, valid.consumed);
  return Append(valid.text);
}

StreamDecoder::Piece StreamDecoder::Finish() {
  if (!stop_.empty()) return {"", true};
  Piece piece;
  if (!bytes_.empty()) {
    bytes_.clear();
    piece = Append(kReplacementCharacter);  // may complete a stop string
  }
  piece.text += std::exchange(held_, {});
  return piece;
}

StreamDecoder::Piece StreamDecoder::Append(std::string_view text) {
  for (const char byte : text) {
    held_ += byte;
    size_t found = 0;
    for (Matcher& matcher : matchers_) {
      matcher.Step(byte);
      if (matcher.complete()) found = std::max(found, matcher.matched());
    }
    if (found > 0) {
      stop_ = held_.substr(held_.size() - found);
      held_.resize(held_.size() - found);
      return {std::exchange(held_, {}), true};
    }
  }
  size_t undecided = 0;
  for (const Matcher& matcher : matchers_) undecided = std::max(undecided, matcher.matched());
  Piece piece;
  piece.text = held_.substr(0, held_.size() - undecided);
  held_.erase(0, piece.text.size());
  return piece;
}

}  // namespace dyad
