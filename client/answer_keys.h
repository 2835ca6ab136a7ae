// The keys that an answer of pairs, or of a task of `evaluate`, has besides its line's own and
// those of every run. A prefix keeps the two apart.
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "client/json_line.h"

namespace dyad::client {

inline constexpr const char* kTaskAnswerKeys[] = {"row",  "sums", "means", "scored_tokens",
                                                  "best", "tie",  "score", "p_first"};
inline constexpr const char* kPairAnswerKeys[] = {
    "good_sum",          "bad_sum", "good_mean", "bad_mean", "good_scored_tokens",
    "bad_scored_tokens", "margin",  "tie",       "correct",  "first_difference"};

// The answer with `prefix` in front of its keys; an error stays what it is.
Json WithPrefix(const std::string& prefix, const Json& answer);

// And back, of an answer with its line's own keys: one of them that is called like an answer's, of
// pairs or of a task, makes room. Without prefix nothing changes.
Json WithoutPrefix(const std::string& prefix, const Json& answer);

// Whether a line has none of `keys` with `prefix` in front. Errors: InvalidArgument naming the key.
absl::Status CheckOwnKeys(const Json& line, std::span<const char* const> keys,
                          const std::string& prefix);

}  // namespace dyad::client
