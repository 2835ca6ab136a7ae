// Bytes to messages and back, each within its limit.
#include "server/grpc/wire_message.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include "absl/strings/str_cat.h"
#include "server/api/answer_size.h"
#include "server/api/request_error.h"
#include "server/base/catch_exceptions.h"

namespace dyad {
namespace {

using Traits = grpc::SerializationTraits<google::protobuf::MessageLite>;

}  // namespace

absl::Status ParseMessage(const grpc::ByteBuffer& bytes, int64_t number,
                          const RequestLimits& limits, google::protobuf::MessageLite& message) {
  const auto size = static_cast<int64_t>(bytes.Length());
  if (size > limits.max_receive_message_bytes) {
    return TooLarge({"MESSAGE_TOO_LARGE", absl::StrCat("message ", number), size,
                     limits.max_receive_message_bytes, "--max_receive_message_bytes"});
  }
  grpc::ByteBuffer shared = bytes;  // reading takes the buffer, not its bytes
  if (Traits::Deserialize(&shared, &message).ok()) return absl::OkStatus();
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "message ", number, " cannot be read: it is no ", message.GetTypeName(),
                        ", is cut short, or has a string that is not valid UTF-8")),
                    "UNREADABLE_MESSAGE");
}

absl::StatusOr<grpc::ByteBuffer> WriteMessage(const google::protobuf::MessageLite& message,
                                              const RequestLimits& limits) {
  return CatchExceptions("answer", [&]() -> absl::StatusOr<grpc::ByteBuffer> {
    RETURN_IF_ERROR(CheckAnswerBytes(static_cast<int64_t>(message.ByteSizeLong()), limits));
    grpc::ByteBuffer bytes;
    bool owns_buffer = false;
    if (!Traits::Serialize(message, &bytes, &owns_buffer).ok()) {
      return absl::InternalError(absl::StrCat("cannot write a ", message.GetTypeName()));
    }
    return bytes;
  });
}

absl::StatusOr<grpc::ByteBuffer> WriteMessage(std::vector<std::string> pieces,
                                              const RequestLimits& limits) {
  int64_t bytes = 0;
  for (const std::string& piece : pieces) bytes += static_cast<int64_t>(piece.size());
  RETURN_IF_ERROR(CheckAnswerBytes(bytes, limits));
  const auto drop = [](void* piece) { delete static_cast<std::string*>(piece); };
  std::vector<grpc::Slice> slices;
  for (std::string& piece : pieces) {
    auto* kept = new std::string(std::move(piece));  // gRPC keeps it, and calls `drop`
    slices.emplace_back(kept->data(), kept->size(), drop, kept);
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace dyad
