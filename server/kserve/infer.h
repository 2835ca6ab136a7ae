// ModelInfer: what its tensors ask for, and the tensors that are the answer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/open_inference_grpc.pb.h"
#include "nlohmann/json.hpp"
#include "server/api/call.h"
#include "server/api/generate_answer.h"
#include "server/api/score_answer.h"
#include "server/kserve/metadata.h"

namespace dyad {

struct InferPlan {
  InferKind kind = InferKind::kGenerate;
  const ServedModel* model = nullptr;
  // Of a pair: good, then bad.
  std::variant<GenerationPlans, ScorePlan> work;
  std::string id;                    // as given
  bool is_raw = false;               // whether inputs, and so outputs, are raw
  std::vector<std::string> outputs;  // those that are wanted, in order
};

// At most max_score_items texts. Errors: NotFound (model), InvalidField named by tensor or
// parameter, and those of PlanPrompts and PlanScore.
absl::StatusOr<InferPlan> PlanInfer(const inference::ModelInferRequest& request, Call& call);

// What prompts and the fields of completions (server/openai) come to. Errors: InvalidField, named
// "text_input" and as completions' fields; those of PlanPrompts.
struct GenerateInput {
  std::string model;
  nlohmann::json prompt;    // a list of strings, or of one list of ids
  nlohmann::json sampling;  // an object of completions' fields
  bool excludes_input = false;
};
absl::StatusOr<GenerationPlans> PlanGenerateInput(const GenerateInput& input, Call& call);

// The answer to one ModelInfer. Threads and lifetime as ScoreAnswer.
class InferAnswer {
 public:
  // `on_end` is called once, from the engine's thread or within Start; it may destroy this. `call`
  // belongs to the answer until then.
  InferAnswer(InferPlan plan, Call& call,
              std::function<void(absl::StatusOr<inference::ModelInferResponse>)> on_end);

  void Start();
  void Abandon();

 private:
  // May destroy this.
  void End(absl::StatusOr<inference::ModelInferResponse> response);

  const InferPlan plan_;
  std::function<void(absl::StatusOr<inference::ModelInferResponse>)> on_end_;
  std::optional<WholeGenerateAnswer> generate_;
  std::optional<ScoreAnswer> score_;
};

}  // namespace dyad
