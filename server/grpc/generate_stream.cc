// One GenerateStream call.
#include "server/grpc/generate_stream.h"

#include <optional>
#include <utility>

#include "server/grpc/wire_message.h"

namespace dyad {

GenerateStream::GenerateStream(RpcCall call, GenerationPlans plans)
    : call_(std::move(call)),
      answer_(std::move(plans), call_, Delivery::kPieces, [this] { SendNext(); }) {}

void GenerateStream::OnWriteDone(bool ok) {
  if (!ok) answer_.Abandon();
  call_.unread().Remove(static_cast<int64_t>(bytes_.Length()));
  SendNext();
}

void GenerateStream::OnDone() {
  call_.ReportDone();
  delete this;
}

void GenerateStream::SendNext() {
  while (std::optional<GeneratePart> part = answer_.Next()) {
    const bool is_last = part->end.has_value();
    v1::GenerateStreamResponse message;
    if (is_last) {
      failure_.Update(*part->end);
      *message.mutable_final() = answer_.Summary();
    } else {
      *message.mutable_choice() = std::move(part->piece);
    }
    absl::StatusOr<grpc::ByteBuffer> bytes =
        call_.Hold(WriteMessage(message, call_.state().limits));
    failure_.Update(bytes.status());
    if (bytes.ok()) bytes_ = *std::move(bytes);
    if (is_last) {
      const grpc::Status status = call_.End(failure_);
      return status.ok() ? StartWriteAndFinish(&bytes_, grpc::WriteOptions(), status)
                         : Finish(status);
    }
    if (failure_.ok()) return StartWrite(&bytes_);
    answer_.Abandon();  // its end is the next part
  }
}

}  // namespace dyad
