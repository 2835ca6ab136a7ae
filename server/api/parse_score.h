// ScoreRequest and ScoreMinimalPairsRequest -> what the engine is asked, or what is wrong with it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/call.h"
#include "server/api/convention.h"
#include "server/api/request_limits.h"
#include "server/api/served_model.h"
#include "server/engine/request.h"

namespace dyad {

struct ScorePlan {
  const ServedModel* model = nullptr;
  const ConventionRow* row = nullptr;
  int32_t top_n = 0;
  std::vector<ScoreInput> inputs;  // one per item
};

// Checks every field against what scoring.proto says of it, and encodes the texts.
// Cost: that of encoding. Errors: NotFound (model), InvalidField, FailedPrecondition
// (convention.h).
absl::StatusOr<ScorePlan> ParseScore(const v1::ScoreRequest& proto, const ModelRegistry& models,
                                     const RequestLimits& limits);

enum class ReturnTokens { kNo, kYes };

// What a stream's first message sets for all its pairs.
struct PairOptions {
  const ServedModel* model = nullptr;
  const ConventionRow* row = nullptr;
  SpecialTokens special_tokens = SpecialTokens::kParse;
  ReturnTokens return_tokens = ReturnTokens::kNo;
};

// Texts to compare, ready to be submitted: good and bad of a pair, or the options of a choice.
struct ComparisonPlan {
  enum class Of { kPair, kChoice };
  int64_t index = 0;
  Of of = Of::kPair;
  std::vector<ScoreInput> texts = {};
};

// InvalidField if a message has more pairs and choices than scoring.proto allows.
absl::Status CheckPairCount(const v1::ScoreMinimalPairsRequest& proto);

// Errors: NotFound (model), InvalidField, FailedPrecondition (the model has no tokenizer).
absl::StatusOr<PairOptions> ParsePairOptions(const v1::ScoreMinimalPairsRequest& proto,
                                             const ModelRegistry& models);

// InvalidField if a later message of the stream asks for something else than the first. What it
// leaves unset is as in the first.
absl::Status CheckSameOptions(const v1::ScoreMinimalPairsRequest& proto, const PairOptions& first);

// Cost: that of encoding. Errors: as LayOutText, LayOutAfterContext, NothingToScore and
// CheckAnswerBytes.
absl::StatusOr<ComparisonPlan> ParsePair(const v1::MinimalPair& proto, const PairOptions& options,
                                         const RequestLimits& limits);
// The same, and InvalidField for a number of options that is not allowed.
absl::StatusOr<ComparisonPlan> ParseChoice(const v1::ChoiceSet& proto, const PairOptions& options,
                                           const RequestLimits& limits);

// What is fed of an input, in order: its windows, or all of it up to the last scored token. None if
// nothing is scored.
std::vector<Window> FedWindows(const ScoreInput& input);

// What the engine is asked for one of them. `model` outlives the request.
engine::Request ToEngineRequest(const ServedModel& model, const ScoreInput& input,
                                const Window& window, int32_t top_n, const Caller& caller);

}  // namespace dyad
