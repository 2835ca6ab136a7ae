// The task `reading`: how surprising a word is after the words before it, for reading times. What
// BabyLM's pipeline (2025) exports; regressions are the caller's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/json_line.h"
#include "dyad/v1/scoring.pb.h"

namespace dyad::client {

inline constexpr char kReadingTask[] = "reading";
// The column with the row's number, from 0: "item" is the table's own.
inline constexpr char kReadingNumber[] = "index";

// Where a table has them.
struct ReadingColumns {
  std::string item = "item", word = "word", prev_item = "prev_item", prev_word = "prev_word";
};

// A word and what stands before it.
struct ReadingWord {
  std::string item, word;
};

// The row's word and the one before it; no second one where prev_item is empty or null.
// Errors: InvalidArgument naming the column that is missing or no string, or a word that is empty.
absl::StatusOr<std::vector<ReadingWord>> ReadingWords(const ReadingColumns& columns,
                                                      const Json& row);

// What the words score: the item as the tokenizer encodes it by default, then the word encoded by
// itself without special tokens, as it stands in the table; scored are the word's tokens.
// `request`: model and special tokens, without items. Errors: those of the calls.
absl::StatusOr<v1::ScoreRequest> ReadingRequest(const Client& client, v1::ScoreRequest request,
                                                const std::vector<ReadingWord>& words);

// {"pred", "prev_pred"}: -ln p of the word after its item; the second null without a second word.
Json ReadingAnswer(const v1::ScoreResponse& response);

}  // namespace dyad::client
