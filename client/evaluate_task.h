// The tasks of `dyadctl evaluate`: what of a line is compared, and what the answer counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "dyad/v1/scoring.pb.h"

namespace dyad::client {

enum class TaskKind {
  kEwokBabylm,  // two targets after the first context
  kEwokPaper,   // each target after its own context, against after the other one
  kComps,       // a phrase after an acceptable prefix, against after an unacceptable one
  kEntityTracking,
  kWug,  // two forms; their probabilities are compared with people's
  kChoices
};

struct EvaluateTask {
  std::string name;
  std::string variant;  // empty: the task has one
  TaskKind kind;
  std::vector<std::string> texts;  // keys that must be strings
};

// All names: {"choices", "comps", ...}; "blimp" and "blimp_supplement" are commands of pairs
// (client/pair_command.h), "reading" is a command of its own.
std::vector<std::string> EvaluateTaskNames();

// An empty variant is the first one. Errors: InvalidArgument naming what there is.
absl::StatusOr<EvaluateTask> FindEvaluateTask(const std::string& name, const std::string& variant);

// Whether a line has the task's keys, of the right types, and none that the answer has too, whose
// keys begin with `prefix`. Errors: InvalidArgument naming the key.
absl::Status CheckTaskLine(const EvaluateTask& task, const Json& line,
                           const std::string& prefix = "");

// What a line's request scores: 2 … 64 texts. By BABYLM each is the whole text, of which the
// compared phrase is scored; by another convention the phrase after its context.
// REQUIRES: CheckTaskLine.
std::vector<v1::ScoreItem> TaskItems(const EvaluateTask& task, v1::Convention convention,
                                     const Json& line);

// {"row", "sums", "means", "scored_tokens", "best", "tie", "score"}: lists by option; the option
// with the largest sum (MINICONS_MEAN: mean), of equals the first; whether another is equal; 1 if
// it is the right one, else 0. kEwokPaper has no best, and its score may be 0.5. kWug has
// "p_first", the softmax of the two sums, instead of a score; so has kChoices without label null.
Json TaskAnswer(const EvaluateTask& task, v1::Convention convention, const Json& line,
                const v1::ScoreResponse& response);

// Whether BabyLM's pipeline writes predictions of the task; and that of an answer (with its line's
// own keys): {"pred": the chosen text}, of kWug also "prob". REQUIRES: HasPredictions.
bool HasPredictions(const EvaluateTask& task);
Json PredictionOf(const EvaluateTask& task, const Json& answer);

}  // namespace dyad::client
