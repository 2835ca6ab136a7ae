// The one place where absl::Status becomes what gRPC sends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string_view>

#include "absl/status/status.h"

namespace dyad {

// Codes are the same in both. The message is cut to 1024 bytes and made valid UTF-8. An error
// carries google.rpc.Status as details: the payloads of `status` (request_error.h), and always an
// ErrorInfo with domain "dyad.v1"; without a reason of its own, the code's name is the reason.
grpc::Status ToGrpcStatus(const absl::Status& status);

// "OK", "INVALID_ARGUMENT" …; lives as long as the program.
std::string_view CodeName(absl::StatusCode code);

}  // namespace dyad
