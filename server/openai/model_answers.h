// What is answered at once: models, and text to ids and back.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "server/routes/http_call.h"

namespace dyad {

// One entry of the list; `created` is what the client is told of its age, in Unix seconds.
nlohmann::ordered_json ModelJson(const ServedModel& model, int64_t created);

// The model of a request: the one that the path fixes, else the body's, else the only one. Errors:
// NotFound; InvalidField if several could be meant.
absl::StatusOr<const ServedModel*> FindModel(const ServerState& state, const std::string& fixed,
                                             const std::string& named);

// Bodies and answers of /tokenize and /detokenize. Errors: of the request.
absl::StatusOr<nlohmann::ordered_json> TokenizeAnswer(const nlohmann::json& body,
                                                      const std::string& fixed, HttpCall& call);
absl::StatusOr<nlohmann::ordered_json> DetokenizeAnswer(const nlohmann::json& body,
                                                        const std::string& fixed, HttpCall& call);

// Of /tokenizer_info, as lm-evaluation-harness asks for it. Errors: FailedPrecondition: there is no
// tokenizer.
absl::StatusOr<nlohmann::ordered_json> TokenizerInfo(const ServedModel& model);

}  // namespace dyad
