// Request ids and records.
#include "server/api/call.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "server/api/error_reply.h"
#include "server/api/request_error.h"

namespace dyad {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kMaxPromptBytes = 1024;

std::string RequestId(std::string given) {
  const bool printable = std::all_of(given.begin(), given.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (printable && !given.empty() && given.size() <= kMaxRequestIdBytes) return given;
  absl::BitGen random;
  return absl::StrFormat("%016x%016x", absl::Uniform<uint64_t>(random),
                         absl::Uniform<uint64_t>(random));
}

}  // namespace

Call::Call(const ServerState& state, Arrival arrival)
    : state_(&state),
      caller_{arrival.deadline, absl::HashOf(arrival.peer)},
      unread_(std::make_unique<UnreadAnswers::Part>(state.unread, caller_.client,
                                                    std::move(arrival.give_up))) {
  record_.request_id = RequestId(std::move(arrival.request_id));
  record_.method = arrival.method;
  record_.peer = std::move(arrival.peer);
  authorizations_ = std::move(arrival.authorizations);
}

absl::Status Call::CheckKey() const {
  return state_->keys == nullptr ? absl::OkStatus() : state_->keys->Check(authorizations_);
}

void Call::SetModel(const ServedModel& model) { record_.model = model.name; }

void Call::NotePrompt(std::string_view text) {
  const RpcObserver* observer = state_->observer;
  if (observer == nullptr || !record_.prompt.empty() || !observer->WantsPrompts()) return;
  record_.prompt = Shortened(text, kMaxPromptBytes);
}

void Call::AddTiming(const engine::Timing& timing) {
  record_.timing = Slower(record_.timing, timing);
}

v1::Usage Call::Usage() const {
  v1::Usage usage;
  usage.set_queue_seconds(absl::ToDoubleSeconds(record_.timing.queue));
  usage.set_prefill_seconds(absl::ToDoubleSeconds(record_.timing.prefill));
  usage.set_decode_seconds(absl::ToDoubleSeconds(record_.timing.decode));
  usage.set_prompt_tokens(static_cast<int32_t>(record_.prompt_tokens));
  usage.set_generated_tokens(static_cast<int32_t>(record_.generated_tokens));
  usage.set_cached_tokens(static_cast<int32_t>(record_.cached_tokens));
  return usage;
}

void Call::Close(const absl::Status& status) {
  record_.code = CodeName(status.code());
  record_.message = BoundedMessage(status);
  record_.total = absl::FromChrono(std::chrono::steady_clock::now() - start_);
}

void Call::Report() const {
  if (state_->observer != nullptr) state_->observer->OnRpcEnd(record_);
}

}  // namespace dyad
