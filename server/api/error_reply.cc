// absl::Status -> google.rpc.Status.
#include "server/api/error_reply.h"

#include <array>

#include "absl/strings/cord.h"
#include "server/api/request_error.h"

namespace dyad {
namespace {

// Details repeat the message, and clients bound what comes beside an answer to 8 KiB.
constexpr size_t kMaxMessageBytes = 1024;

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

}  // namespace

std::string_view CodeName(absl::StatusCode code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodeNames.size() ? kCodeNames[index] : "UNKNOWN";
}

std::string BoundedMessage(const absl::Status& status) {
  return Shortened({status.message().data(), status.message().size()}, kMaxMessageBytes);
}

google::rpc::Status ToErrorReply(const absl::Status& status) {
  google::rpc::Status reply;
  if (status.ok()) return reply;
  reply.set_code(static_cast<int32_t>(status.code()));
  reply.set_message(BoundedMessage(status));
  WithReason(status, CodeName(status.code()))
      .ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
        auto* detail = reply.add_details();
        detail->set_type_url(std::string(type_url));
        detail->set_value(std::string(payload));
      });
  return reply;
}

}  // namespace dyad
