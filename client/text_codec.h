// Text to ids and back, wherever the tokenizer is.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "dyad/v1/tokenizer.pb.h"

namespace dyad::client {

// Any number of threads.
class TextCodec {
 public:
  virtual ~TextCodec() = default;
  virtual absl::StatusOr<v1::TokenizeResponse> Tokenize(
      const v1::TokenizeRequest& request) const = 0;
  virtual absl::StatusOr<v1::DetokenizeResponse> Detokenize(
      const v1::DetokenizeRequest& request) const = 0;
};

// Asks the server.
std::unique_ptr<TextCodec> ServerCodec(Client client);

// Reads the tokenizer files of `folder`; answers as a server of that folder would, whatever `model`
// says. Errors: NotFound if the folder has no tokenizer; else what LoadTokenizer reports.
absl::StatusOr<std::unique_ptr<TextCodec>> OfflineCodec(const std::string& folder);

}  // namespace dyad::client
