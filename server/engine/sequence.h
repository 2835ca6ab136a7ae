// One request's state in the engine. Data, and what follows from it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/engine/adjustments.h"
#include "server/engine/outlook.h"
#include "server/engine/prefix_tree.h"
#include "server/engine/request.h"

namespace dyad::engine {

constexpr int32_t PagesFor(int32_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

// Tokens of `request` whose keys and values are stored when it ends. Nobody reads those of the last
// token: not those of the last one generated, nor of the last one scored. A set after it is read.
inline int32_t StoredTokens(const Request& request) {
  const auto prompt = static_cast<int32_t>(request.ids.size());
  const bool scores = request.score_from.has_value() && *request.score_from < prompt;
  if (request.max_new_tokens == 0 && !scores) return 0;
  return prompt + request.max_new_tokens - (request.sets.empty() ? 1 : 0);
}

struct Sequence {
  Sequence(Submission submission, absl::Time now)
      : request(std::move(submission.request)),
        sink(submission.sink),
        ids(std::move(request.ids)),
        adjustments(request.sampling, ids),
        prompt_tokens(static_cast<int32_t>(ids.size())),
        score_begin(request.score_from.has_value()
                        ? std::clamp(*request.score_from, 1, std::max(1, prompt_tokens))
                        : prompt_tokens),
        submitted(now) {}

  Request request;  // without its ids
  TokenSink* sink;
  std::vector<int32_t> ids;  // the request's, then those generated
  Adjustments adjustments;   // of the next draw
  int32_t prompt_tokens;
  int32_t score_begin;             // the first id that is scored; prompt_tokens if none is
  std::vector<TokenScore> scores;  // of ids[score_begin…], as far as known
  uint64_t order = 0;              // of submission; lower is older
  ClientLoad* client = nullptr;    // the scheduler's

  // Keys and values. pages[p] holds positions [16 p, 16 p + 16); the first tree_pages of them are
  // in the prefix tree, where they are called `node`. Empty while waiting.
  std::vector<int32_t> pages;
  int32_t tree_pages = 0;
  NodeId node = kRootNode;
  int32_t stored = 0;  // tokens whose keys and values are there

  bool running = false;

  absl::Time submitted;
  absl::Time scheduled = absl::InfiniteFuture();    // first
  absl::Time prompt_done = absl::InfiniteFuture();  // all of the request's ids were processed
  absl::Time last_token = absl::InfiniteFuture();
  // What a layer could not compute of it, for a message; empty: nothing.
  std::string failure;
  std::optional<Outcome> outcome;  // set when it ends
  int32_t cached_tokens = 0;       // when first scheduled

  bool generates() const { return request.max_new_tokens > 0; }
  int32_t length() const { return static_cast<int32_t>(ids.size()); }
  int32_t generated() const { return length() - prompt_tokens; }
  // What it is in a queue.
  QueuedWork queued() const { return {1, length(), request.max_new_tokens - generated()}; }
  // Behind the last place that is scored: that of a set behind all ids, or the last id's.
  int32_t score_end() const { return prompt_tokens + (request.sets.empty() ? 0 : 1); }
  // The first place whose score is wanted and not known; score_end() if there is none.
  int32_t next_score() const { return score_begin + static_cast<int32_t>(scores.size()); }
  bool scores_missing() const { return next_score() < score_end(); }
  // What is asked after the token before place i.
  int32_t target_at(int32_t i) const { return i < length() ? ids[static_cast<size_t>(i)] : 0; }
  uint8_t set_at(int32_t i) const {
    return request.sets.empty() ? uint8_t{0} : request.sets[static_cast<size_t>(i - score_begin)];
  }

  // Tokens that must be stored before the next token can be drawn or the last score is known.
  int32_t target() const {
    if (generates()) return length();
    return score_begin < score_end() ? score_end() - 1 : 0;
  }
  int32_t remaining() const { return std::max(0, target() - stored); }

  PageIds PageIdsAt(int32_t page) const {
    return PageIds(ids.data() + int64_t{page} * kPageTokens, size_t{kPageTokens});
  }
};

}  // namespace dyad::engine
