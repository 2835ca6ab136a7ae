// Request ids and trailing metadata.
#include "server/grpc/rpc_call.h"

#include <grpc/support/time.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/api/error_reply.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"
#include "server/grpc/grpc_status.h"

namespace dyad {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kPushbackKey[] = "grpc-retry-pushback-ms";

// Of the clock that the deadline belongs to: the wall clock may be set while the call runs.
absl::Duration TimeLeft(gpr_timespec deadline) {
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    return absl::InfiniteDuration();
  }
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec);
}

Arrival ArrivalOf(const grpc::CallbackServerContext& context, std::string_view method) {
  Arrival arrival;
  arrival.method = method;
  const auto& metadata = context.client_metadata();
  if (const auto given = metadata.find(kRequestIdKey); given != metadata.end()) {
    arrival.request_id.assign(given->second.data(), given->second.size());
  }
  const auto [begin, end] = metadata.equal_range("authorization");
  for (auto value = begin; value != end; ++value) {
    arrival.authorizations.emplace_back(value->second.data(), value->second.size());
  }
  arrival.peer = context.peer();
  arrival.deadline = SteadyNow() + TimeLeft(context.raw_deadline());
  arrival.give_up = [&context] { context.TryCancel(); };
  return arrival;
}

}  // namespace

RpcCall::RpcCall(const ServerState& state, grpc::CallbackServerContext* context,
                 std::string_view method)
    : Call(state, ArrivalOf(*context, method)), context_(context) {}

absl::StatusOr<grpc::ByteBuffer> RpcCall::Hold(absl::StatusOr<grpc::ByteBuffer> bytes) {
  RETURN_IF_ERROR(bytes.status());
  RETURN_IF_ERROR(unread().Add(static_cast<int64_t>(bytes->Length())));
  return bytes;
}

grpc::Status RpcCall::End(const absl::Status& status) {
  Close(status);
  context_->AddTrailingMetadata(kRequestIdKey, record().request_id);
  if (const auto delay = RetryAfter(status); delay.has_value()) {
    context_->AddTrailingMetadata(kPushbackKey, absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  } else if (absl::IsResourceExhausted(status)) {
    // What is too large stays so; clients whose retry policy goes by the code alone must know.
    context_->AddTrailingMetadata(kPushbackKey, "-1");
  }
  return ToGrpcStatus(status);
}

void RpcCall::ReportDone() {
  const bool given_up = unread().given_up();
  const bool is_ok = record().code == CodeName(absl::StatusCode::kOk);
  if (given_up || (is_ok && context_->IsCancelled())) {
    record().code = CodeName(absl::StatusCode::kCancelled);
    record().message = given_up ? absl::StrCat("the client read nothing of the answer for ",
                                               absl::FormatDuration(state().unread_timeout))
                                : "the client left before it had the whole answer";
  }
  Report();
}

}  // namespace dyad
