// The messages of a call as bytes. gRPC's own reader answers bytes that are no message with
// UNIMPLEMENTED and no word, or takes them for the end of a stream. Here they get a status, which
// is logged, counted and told to the client like every other.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/api/request_limits.h"
#include "server/base/status_macros.h"

namespace dyad {

// Reads `bytes`, the call's message of this number, from 1, into `message`. Errors: InvalidArgument
// (UNREADABLE_MESSAGE: no protobuf, cut short, a string that is no UTF-8, or no message at all),
// ResourceExhausted (MESSAGE_TOO_LARGE).
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, int64_t number,
                          const RequestLimits& limits, google::protobuf::MessageLite& message);

template <typename Message>
absl::StatusOr<Message> ReadMessage(const grpc::ByteBuffer& bytes, int64_t number,
                                    const RequestLimits& limits) {
  Message message;
  RETURN_IF_ERROR(ParseMessage(bytes, number, limits, message));
  return message;
}

// Errors: ResourceExhausted (ANSWER_TOO_LARGE).
absl::StatusOr<grpc::ByteBuffer> WriteMessage(const google::protobuf::MessageLite& message,
                                              const RequestLimits& limits);
// The same of one that is serialized already, cut into pieces.
absl::StatusOr<grpc::ByteBuffer> WriteMessage(std::vector<std::string> pieces,
                                              const RequestLimits& limits);

}  // namespace dyad
