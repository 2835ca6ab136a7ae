// Addresses that a user types, and what to say when nobody answers there.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/connection.h"

namespace dyad::client {

// Errors: InvalidArgument for what gRPC would take for a name: empty, or with http:// in front.
absl::Status CheckAddress(const std::string& server);

// `failure` of a call, with what to do about it in place of gRPC's words where the server could not
// be reached. Other failures, and those that the server itself reports, stay as they are.
absl::Status ExplainUnreachable(const absl::Status& failure, const ConnectionOptions& options);

}  // namespace dyad::client
