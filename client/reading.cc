// Word and item are encoded apart, as the pipeline does: a word without blank in front stays one.
#include "client/reading.h"

#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

absl::StatusOr<std::string> ColumnText(const Json& row, const std::string& column) {
  if (row.contains(column) && row[column].is_string()) return row[column].get<std::string>();
  return absl::InvalidArgumentError(Text(
      column,
      " must be a string, found: ", row.contains(column) ? row[column].type_name() : "nothing"));
}

absl::StatusOr<v1::TokenIds> IdsOf(const Client& client, const v1::ScoreRequest& options,
                                   const std::string& text, bool add_special_tokens) {
  v1::TokenizeRequest request;
  request.set_model(options.model());
  request.set_text(text);
  request.set_add_special_tokens(add_special_tokens);
  request.set_special_tokens(options.special_tokens());
  ASSIGN_OR_RETURN(const v1::TokenizeResponse response, client.Tokenize(request));
  v1::TokenIds ids;
  *ids.mutable_ids() = response.ids();
  return ids;
}

}  // namespace

absl::StatusOr<std::vector<ReadingWord>> ReadingWords(const ReadingColumns& columns,
                                                      const Json& row) {
  std::vector<ReadingWord> words;
  for (const auto& [item_column, word_column] :
       {std::pair(columns.item, columns.word), std::pair(columns.prev_item, columns.prev_word)}) {
    const bool is_previous = !words.empty();
    if (is_previous && row.contains(item_column) &&
        (row[item_column].is_null() || row[item_column] == Json(""))) {
      continue;
    }
    ASSIGN_OR_RETURN(std::string item, ColumnText(row, item_column));
    ASSIGN_OR_RETURN(std::string word, ColumnText(row, word_column));
    if (word.empty()) return absl::InvalidArgumentError(Text(word_column, " is empty"));
    words.push_back({std::move(item), std::move(word)});
  }
  return words;
}

absl::StatusOr<v1::ScoreRequest> ReadingRequest(const Client& client, v1::ScoreRequest request,
                                                const std::vector<ReadingWord>& words) {
  for (const ReadingWord& word : words) {
    v1::ScoreItem& item = *request.add_items();
    ASSIGN_OR_RETURN(*item.mutable_context_ids(), IdsOf(client, request, word.item, true));
    ASSIGN_OR_RETURN(*item.mutable_ids(), IdsOf(client, request, word.word, false));
  }
  return request;
}

Json ReadingAnswer(const v1::ScoreResponse& response) {
  return {{"pred", -response.scores(0).sum()},
          {"prev_pred", response.scores_size() > 1 ? Json(-response.scores(1).sum()) : Json()}};
}

}  // namespace dyad::client
