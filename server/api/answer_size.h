// How large an answer gets, told from its request: refused before anything is computed for it.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "server/api/convention.h"
#include "server/api/parse_generate.h"
#include "server/api/request_limits.h"

namespace dyad {

// ResourceExhausted (ANSWER_TOO_LARGE) if `bytes` are more than one message may have.
absl::Status CheckAnswerBytes(int64_t bytes, const RequestLimits& limits);

// Serialized bytes of a TextScore, estimated from below: texts of competitors count as one byte.
// What an answer really has is checked once more when it is written. Cost: the input's tokens.
int64_t TextScoreBytes(const ServedModel& model, const ScoreInput& input, int32_t top_n);

// The same of a Generate call's choices, if all tokens that it allows are generated.
int64_t ChoicesBytes(const GenerationPlan& plan);

}  // namespace dyad
