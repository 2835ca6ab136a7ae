// What ServerService answers.
#pragma once

#include "absl/status/statusor.h"
#include "dyad/v1/server.pb.h"
#include "server/api/call.h"

namespace dyad {

absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo(const v1::GetServerInfoRequest& request,
                                                        Call& call);

}  // namespace dyad
