// Field by field; lengths before anything is computed from them.
#include "server/engine/check_request.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/engine/sequence.h"

namespace dyad::engine {

absl::Status CheckRequest(const Request& request, const ModelLimits& limits) {
  const auto prompt = static_cast<int64_t>(request.ids.size());
  if (prompt == 0) return absl::InvalidArgumentError("ids is empty; at least 1 is needed");
  if (request.max_new_tokens < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_new_tokens is ", request.max_new_tokens, "; it must not be negative"));
  }
  const bool last_is_fed = request.max_new_tokens > 0 || !request.sets.empty();
  if (prompt + request.max_new_tokens > limits.context_length + (last_is_fed ? 0 : 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ids has ", prompt, " tokens and max_new_tokens is ", request.max_new_tokens,
        "; together they must not exceed the model's context of ", limits.context_length,
        last_is_fed ? "" : ", and the one that is only scored"));
  }
  for (int64_t i = 0; i < prompt; ++i) {
    if (request.ids[i] < 0 || request.ids[i] >= limits.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ids[", i, "] is ", request.ids[i], "; the vocabulary is [0, ", limits.vocab_size, ")"));
    }
  }
  if (request.score_from.has_value() && *request.score_from < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("score_from is ", *request.score_from, "; it must not be negative"));
  }
  if (request.top_n < 0 || request.top_n > kMaxTopN) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_n is ", request.top_n, "; it must be in [0, ", kMaxTopN, "]"));
  }
  if (!request.sets.empty()) {
    const int64_t scored = prompt - std::max(1, request.score_from.value_or(0));
    if (!request.score_from.has_value() || scored < 1 || request.max_new_tokens > 0 ||
        std::ssize(request.sets) != scored + 1 ||
        std::ssize(request.id_sets) != limits.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sets has ", request.sets.size(), " entries of ", scored, " scored ids, and id_sets has ",
          request.id_sets.size(), " of ", limits.vocab_size, "; with sets nothing is generated"));
    }
  }
  for (const auto& [id, bias] : request.sampling.logit_bias) {
    if (id < 0 || id >= limits.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "logit_bias names id ", id, "; the vocabulary is [0, ", limits.vocab_size, ")"));
    }
  }
  const int32_t pages = PagesFor(StoredTokens(request));
  if (pages > limits.kv_pages) {
    return absl::InvalidArgumentError(
        absl::StrCat("ids has ", prompt, " tokens and max_new_tokens is ", request.max_new_tokens,
                     "; that needs ", pages, " KV pages of ", kPageTokens,
                     " tokens, and the model has ", limits.kv_pages));
  }
  return absl::OkStatus();
}

}  // namespace dyad::engine
