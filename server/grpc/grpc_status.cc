// absl::Status -> grpc::Status with google.rpc details.
#include "server/grpc/grpc_status.h"

#include "server/api/error_reply.h"

namespace dyad {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status reply = ToErrorReply(status);
  return grpc::Status(static_cast<grpc::StatusCode>(reply.code()), reply.message(),
                      reply.SerializeAsString());
}

}  // namespace dyad
