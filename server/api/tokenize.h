// What TokenizerService answers. The cost is bounded by the request's size.
#pragma once

#include "absl/status/statusor.h"
#include "dyad/v1/tokenizer.pb.h"
#include "server/api/call.h"

namespace dyad {

// Errors: NotFound (model), InvalidField, FailedPrecondition (no tokenizer).
absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request, Call& call);
absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request, Call& call);

}  // namespace dyad
