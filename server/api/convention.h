// What is fed and what is counted when a text is scored: one table, and the two ways to lay out
// tokens that it and contexts lead to. proto/dyad/v1/scoring.proto tells users the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/parse_request.h"
#include "server/api/request_limits.h"
#include "server/api/served_model.h"
#include "server/api/window.h"
#include "server/api/words.h"

namespace dyad {

enum class LeadingSpace { kNo, kYes };
// kFrame: what the tokenizer adds by itself.
enum class InFront { kPrefixId, kFrame };
enum class Reduction { kSum, kMean };  // what decides a pair

struct ConventionRow {
  v1::Convention convention;
  LeadingSpace leading_space;
  InFront in_front;
  // First token that counts; the model tells nothing of token 0.
  int32_t scored_from;
  Reduction reduction;
};

// CONVENTION_UNSPECIFIED means LM_EVAL. InvalidArgument for a number that names none.
absl::StatusOr<const ConventionRow*> FindConvention(v1::Convention convention);

// One text to score.
struct ScoreInput {
  // 1 … Layout::max_tokens, each in the vocabulary.
  std::vector<int32_t> ids;
  // Of each id in the text fed, in bytes; empty if ids were given.
  std::vector<int32_t> offsets;
  int32_t scored_from = 1;  // >= 1; ids.size() if nothing is scored
  int32_t not_scored = 0;   // at the end
  WordPlan spans = {};
  std::vector<uint8_t> sets = {};    // engine::Request::sets, of all that is scored
  std::vector<Window> windows = {};  // of ids, one after the other; none: they are one

  int32_t scored_end() const { return static_cast<int32_t>(ids.size()) - not_scored; }
  int32_t scored_tokens() const { return scored_end() - scored_from; }
};

// A text as it was laid out, before its words are looked for.
struct LaidOut : ScoreInput {
  std::string fed;
  int32_t own_begin = 0;  // where the item's own text begins in it
  bool is_normalized = false;
};

// What every text of a request is laid out with.
struct Layout {
  const ServedModel& model;
  const RequestLimits& limits;
  const ConventionRow& row;
  SpecialTokens special_tokens = SpecialTokens::kParse;
  int64_t max_tokens = MostScoredTokens(model);
};

// A text without context: by the row of the table.
// Errors: InvalidField (no token at all; too long: both lengths), NothingToScore unless the text is
// empty, FailedPrecondition (no tokenizer; the row wants a prefix id and the model has none).
absl::StatusOr<LaidOut> LayOutText(const Layout& layout, const TextField& text);

// A text after a context (not by the row): trailing blanks of the context move to the text, both
// are encoded together without special tokens, and scored from the number of tokens that the
// context alone has. A context that is empty then is the prefix id. Errors as LayOutText, and
// NothingToScore.
absl::StatusOr<LaidOut> LayOutAfterContext(const Layout& layout, const TextField& context,
                                           const TextField& text);

// `ids` after `context`, or fed as they are if it is null. An empty context is the prefix id.
// Errors: InvalidField (no token at all; not in the vocabulary; too long), FailedPrecondition as
// above, and NothingToScore after a context.
absl::StatusOr<ScoreInput> LayOutIds(const Layout& layout, const std::string& field,
                                     std::span<const int32_t> ids, const v1::TokenIds* context);

// InvalidField: the score of no token would look like that of a certain event.
absl::Status NothingToScore(const std::string& field);

// Bytes of white space (as Unicode and Python's str.rstrip have it) at the end of valid UTF-8.
size_t TrailingBlankBytes(std::string_view text);

}  // namespace dyad
