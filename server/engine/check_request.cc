// Field by field; lengths before anything is computed from them.
#include "server/engine/check_request.h"

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
  if (prompt + request.max_new_tokens > limits.context_length) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ids has ", prompt, " tokens and max_new_tokens is ", request.max_new_tokens,
        "; together they must not exceed the model's context of ", limits.context_length));
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
