// The one place where absl::Status becomes what gRPC sends.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"

namespace dyad {

// Codes are the same in both; message and details are those of ToErrorReply.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace dyad
