// Text to ids and back, wherever the tokenizer is.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "dyad/v1/tokenizer.pb.h"

namespace dyad::client {

// Any number of threads.
struct TextCodec {
  std::function<absl::StatusOr<v1::TokenizeResponse>(const v1::TokenizeRequest&)> tokenize;
  std::function<absl::StatusOr<v1::DetokenizeResponse>(const v1::DetokenizeRequest&)> detokenize;
};

// Asks the server.
TextCodec ServerCodec(Client client);

// Reads the tokenizer files of `folder`; answers as a server of that folder would, but refuses
// requests that name a model. Errors: NotFound if the folder has no tokenizer; else what
// LoadTokenizer reports.
absl::StatusOr<TextCodec> OfflineCodec(const std::string& folder);

}  // namespace dyad::client
