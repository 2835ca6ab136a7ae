// GenerateRequest -> what the engine is asked, or what is wrong with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/generation.pb.h"
#include "server/api/request_limits.h"
#include "server/api/served_model.h"
#include "server/engine/request.h"

namespace dyad {

enum class Echo { kNo, kYes };

struct GenerationPlan {
  const ServedModel* model = nullptr;
  // Of choice 0; the others differ in sampling.choice.
  engine::Request request;
  int32_t choices = 1;
  std::vector<std::string> stop;
  Echo echo = Echo::kNo;
  std::string prompt_text;          // with echo: as given, or the decoded ids
  std::optional<int32_t> logprobs;  // top-N asked for; absent: no logprobs
};

// Checks every field against what generation.proto says of it, and encodes the prompt. `seed` is
// used if the request has none. The deadline is left to the caller. Cost: that of encoding. Errors:
// NotFound (model), InvalidField, FailedPrecondition (a text or a stop string for a model without
// tokenizer).
absl::StatusOr<GenerationPlan> ParseGenerate(const v1::GenerateRequest& proto,
                                             const ModelRegistry& models,
                                             const RequestLimits& limits, uint64_t seed);

}  // namespace dyad
