// One GenerateStream call.
#include "server/grpc/generate_stream.h"

#include <optional>
#include <utility>

namespace dyad {

GenerateStream::GenerateStream(RpcCall call, GenerationPlan plan)
    : call_(std::move(call)),
      answer_(std::move(plan), call_, Delivery::kPieces, [this] { SendNext(); }) {}

void GenerateStream::OnWriteDone(bool ok) {
  if (!ok) answer_.Abandon();
  SendNext();
}

void GenerateStream::OnDone() {
  call_.Report();
  delete this;
}

void GenerateStream::SendNext() {
  std::optional<GeneratePart> part = answer_.Next();
  if (!part.has_value()) return;
  message_.Clear();
  if (!part->end.has_value()) {
    *message_.mutable_choice() = std::move(part->piece);
    return StartWrite(&message_);
  }
  const grpc::Status status = call_.End(*part->end);
  if (!status.ok()) return Finish(status);
  *message_.mutable_final() = answer_.Summary();
  StartWriteAndFinish(&message_, grpc::WriteOptions(), status);
}

}  // namespace dyad
