// Joins the ends of sequences.
#include "server/api/sequence_group.h"

#include <utility>

#include "server/api/admission.h"
#include "server/api/request_error.h"

namespace dyad {
namespace {

// One that was sent away for lack of time is told when to come back, as if it had not been let in.
absl::Status FailureOf(const engine::Outcome& outcome) {
  if (absl::IsUnavailable(outcome.status)) {
    return WithReason(outcome.status, outcome.device_lost ? "DEVICE_LOST" : "DRAINING");
  }
  if (!outcome.retry_after.has_value()) return outcome.status;
  return WithRetryAfter(WithReason(outcome.status, kQueueFull), *outcome.retry_after);
}

}  // namespace

void SequenceGroup::Member::OnEnd(const engine::Outcome& outcome) {
  OnSequenceEnd(outcome);
  group_->OnMemberEnd(outcome);
}

SequenceGroup::SequenceGroup(OnFailure on_failure, std::function<void()> on_end)
    : on_failure_(on_failure), on_end_(std::move(on_end)) {}

void SequenceGroup::Add(engine::Request request, Member& member) {
  member.group_ = this;
  submissions_.push_back({std::move(request), &member});
  ++running_;
}

absl::Status SequenceGroup::Submit(const ServerState& state, const ServedModel& model) {
  if (running_ > 0) return Admit(state, model, TakeSubmissions());
  std::exchange(on_end_, nullptr)();
  return absl::OkStatus();
}

void SequenceGroup::OnMemberEnd(const engine::Outcome& outcome) {
  timing_ = Slower(timing_, outcome.timing);
  cached_tokens_ += outcome.cached_tokens;
  if (!outcome.status.ok()) {
    if (status_.ok()) status_ = FailureOf(outcome);
    if (on_failure_ == OnFailure::kAbandonAll) Abandon();
  }
  // Taken out first, as it may destroy the group.
  if (--running_ == 0) std::exchange(on_end_, nullptr)();
}

}  // namespace dyad
