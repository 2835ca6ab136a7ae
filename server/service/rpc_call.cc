// Request ids, records and trailing metadata.
#include "server/service/rpc_call.h"

#include <algorithm>
#include <string>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/service/grpc_status.h"
#include "server/service/request_error.h"

namespace dyad {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kPushbackKey[] = "grpc-retry-pushback-ms";
constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kMaxPromptBytes = 1024;

std::string RequestId(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  if (const auto given = metadata.find(kRequestIdKey); given != metadata.end()) {
    const std::string_view id(given->second.data(), given->second.size());
    const bool printable = std::all_of(id.begin(), id.end(), [](char c) {
      return absl::ascii_isgraph(static_cast<unsigned char>(c));
    });
    if (printable && !id.empty() && id.size() <= kMaxRequestIdBytes) return std::string(id);
  }
  absl::BitGen random;
  return absl::StrFormat("%016x%016x", absl::Uniform<uint64_t>(random),
                         absl::Uniform<uint64_t>(random));
}

}  // namespace

RpcCall::RpcCall(const ServiceState& state, grpc::CallbackServerContext* context,
                 std::string_view method)
    : state_(&state), context_(context) {
  record_.request_id = RequestId(*context);
  record_.method = method;
  record_.peer = context->peer();
}

absl::Time RpcCall::deadline() const { return absl::FromChrono(context_->deadline()); }

void RpcCall::SetModel(const ServedModel& model) { record_.model = model.name; }

void RpcCall::NotePrompt(std::string_view text) {
  const RpcObserver* observer = state_->context.observer;
  if (observer == nullptr || !record_.prompt.empty() || !observer->WantsPrompts()) return;
  record_.prompt = Shortened(text, kMaxPromptBytes);
}

void RpcCall::AddTiming(const engine::Timing& timing) {
  const absl::Duration all = timing.queue + timing.prefill + timing.decode;
  if (all < slowest_) return;
  slowest_ = all;
  record_.queue = timing.queue;
  record_.prefill = timing.prefill;
  record_.decode = timing.decode;
}

v1::Usage RpcCall::Usage() const {
  v1::Usage usage;
  usage.set_queue_seconds(absl::ToDoubleSeconds(record_.queue));
  usage.set_prefill_seconds(absl::ToDoubleSeconds(record_.prefill));
  usage.set_decode_seconds(absl::ToDoubleSeconds(record_.decode));
  usage.set_prompt_tokens(static_cast<int32_t>(record_.prompt_tokens));
  usage.set_generated_tokens(static_cast<int32_t>(record_.generated_tokens));
  usage.set_cached_tokens(static_cast<int32_t>(record_.cached_tokens));
  return usage;
}

grpc::Status RpcCall::End(const absl::Status& status) {
  const grpc::Status result = ToGrpcStatus(status);
  record_.code = CodeName(status.code());
  record_.message = result.error_message();
  record_.total = absl::FromChrono(std::chrono::steady_clock::now() - start_);
  context_->AddTrailingMetadata(kRequestIdKey, record_.request_id);
  if (const auto delay = RetryAfter(status); delay.has_value()) {
    context_->AddTrailingMetadata(kPushbackKey, absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
  return result;
}

void RpcCall::Report() const {
  if (state_->context.observer != nullptr) state_->context.observer->OnRpcEnd(record_);
}

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context, RpcCall call,
                                    const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const grpc::Status result = call.End(status);
  call.Report();  // first: a client that has its answer finds the call in the log
  reactor->Finish(result);
  return reactor;
}

}  // namespace dyad
