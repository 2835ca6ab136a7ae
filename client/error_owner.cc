// The table; details are google.rpc messages, which ToStatus (connection.h) made payloads.
#include "client/error_owner.h"

#include <google/rpc/error_details.pb.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace dyad::client {
namespace {

template <typename Detail>
std::optional<Detail> Find(const absl::Status& status) {
  const auto payload =
      status.GetPayload(absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name()));
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

ErrorOwner LineIfItNames(const Json& line, std::initializer_list<const char*> keys) {
  const bool named = std::any_of(keys.begin(), keys.end(), [&](const char* key) {
    return line.contains(key) && !line[key].is_null();
  });
  return named ? ErrorOwner::kLine : ErrorOwner::kCommand;
}

}  // namespace

ErrorOwner OwnerOf(const absl::Status& error, const Json& line) {
  switch (error.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorOwner::kLine;
    case absl::StatusCode::kResourceExhausted: {
      // Everything else is a size; gRPC itself refuses what is too large without details.
      const auto info = Find<google::rpc::ErrorInfo>(error);
      const bool full = info.has_value() &&
                        (info->reason() == "QUEUE_FULL" || info->reason() == "UNREAD_ANSWERS");
      return full ? ErrorOwner::kFullQueue : ErrorOwner::kLine;
    }
    case absl::StatusCode::kNotFound:
      return LineIfItNames(line, {"model"});
    case absl::StatusCode::kFailedPrecondition:
      return LineIfItNames(line, {"model", "convention", "context", "context_ids"});
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:  // of the output, not of the server
      return ErrorOwner::kCommand;
    default:
      return ErrorOwner::kServer;  // UNAVAILABLE, CANCELLED; UNKNOWN, as a cut connection may give
  }
}

absl::Duration Pushback(const absl::Status& error) {
  const auto info = Find<google::rpc::RetryInfo>(error);
  if (!info.has_value()) return absl::Milliseconds(100);
  const auto& delay = info->retry_delay();
  return absl::Seconds(delay.seconds()) + absl::Nanoseconds(delay.nanos());
}

}  // namespace dyad::client
