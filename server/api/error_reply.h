// What a client is told of an error, whatever the front door.
#pragma once

#include <google/rpc/status.pb.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dyad {

// "OK", "INVALID_ARGUMENT" …; lives as long as the program.
std::string_view CodeName(absl::StatusCode code);

// The message as valid UTF-8 of at most 1024 bytes.
std::string BoundedMessage(const absl::Status& status);

// Code, bounded message and details: the payloads of `status` (request_error.h), and always an
// ErrorInfo with domain "dyad.v1". Without a reason of its own, the code's name is the reason.
// OK has neither message nor details.
google::rpc::Status ToErrorReply(const absl::Status& status);

}  // namespace dyad
