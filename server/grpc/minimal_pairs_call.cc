// One ScoreMinimalPairs call.
#include "server/grpc/minimal_pairs_call.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/api/request_error.h"
#include "server/api/score_result.h"
#include "server/base/catch_exceptions.h"
#include "server/grpc/wire_message.h"

namespace dyad {
namespace {

// Results gather while a write is in flight; a message stays well below the 4 MiB that clients read
// by default.
constexpr size_t kMessageBytes = size_t{1} << 20;
// Tag and length of a result, at most.
constexpr size_t kEntryBytes = 5;
// How long pairs wait if the engine's queue is full of other calls' work. An upper bound because
// the end of the stream waits for the alarm too.
constexpr absl::Duration kMaxWait = absl::Milliseconds(250);

}  // namespace

MinimalPairsCall::MinimalPairsCall(RpcCall call)
    : state_(call.state()), client_(call.caller().client), queue_(state_), call_(std::move(call)) {
  StartRead(&bytes_in_);
  state_.open_streams.Add(this, [this] { OnShutdown(); });
  if (state_.draining) OnShutdown();
}

void MinimalPairsCall::OnShutdown() {
  Next next;
  {
    MutexLock lock(&mutex_);
    Fail(absl::UnavailableError("the server is shutting down"));
    next = PickNext();
  }
  Do(next);
}

void MinimalPairsCall::OnReadDone(bool ok) {
  const bool is_first = !queue_.has_options();
  absl::StatusOr<v1::ScoreMinimalPairsRequest> message;
  absl::StatusOr<std::vector<v1::PairScore>> at_fault;
  if (ok) {  // not under mutex_: it parses and encodes
    ++messages_read_;
    at_fault = CatchExceptions("message", [&]() -> decltype(at_fault) {
      message = ReadMessage<v1::ScoreMinimalPairsRequest>(bytes_in_, messages_read_, state_.limits);
      return message.ok() ? queue_.Add(*message) : message.status();
    });
  }
  Next next;
  {
    MutexLock lock(&mutex_);
    if (ok) Fail(at_fault.status());
    intake_ = ok && failure_.ok() ? Intake::kResumes : Intake::kClosed;
    if (intake_ == Intake::kResumes) {
      if (is_first) OnFirstMessage();
      if (!message->pairs().empty()) call_.NotePrompt(message->pairs(0).good());
      in_flight_ += at_fault->size();
      std::move(at_fault->begin(), at_fault->end(), std::back_inserter(results_));
    }
    next = PickNext();
  }
  Do(next);
}

void MinimalPairsCall::OnWriteDone(bool ok) {
  if (!ok) OnCancel();
  Next next;
  {
    MutexLock lock(&mutex_);
    pending_ = Action::kNone;
    // What was written made room.
    if (intake_ == Intake::kWaitsForRoom) intake_ = Intake::kResumes;
    next = PickNext();
  }
  Do(next);
}

void MinimalPairsCall::OnCancel() {
  Next next;
  {
    MutexLock lock(&mutex_);
    Fail(absl::CancelledError("the client cancelled the call"));
    results_.clear();
    // The engine sees it at its next step.
    for (const auto& [group, owned] : groups_) group->Abandon();
    next = PickNext();
  }
  Do(next);
}

void MinimalPairsCall::OnAlarm() {
  Next next;
  {
    MutexLock lock(&mutex_);
    intake_ = Intake::kResumes;
    next = PickNext();
  }
  Do(next);
}

void MinimalPairsCall::OnGroupEnd(PairGroup& group) {
  std::vector<v1::PairScore> results = group.Results();
  std::map<PairGroup*, std::unique_ptr<PairGroup>>::node_type ended;
  Next next;
  {
    MutexLock lock(&mutex_);
    ended = groups_.extract(&group);
    group.AddTo(call_);
    std::move(results.begin(), results.end(), std::back_inserter(results_));
    Fail(group.failure());
    next = PickNext();
  }
  Do(next);
}

void MinimalPairsCall::OnDone() {
  state_.open_streams.Remove(this);
  {
    MutexLock lock(&mutex_);
    call_.ReportDone();
  }
  delete this;
}

MinimalPairsCall::Next MinimalPairsCall::PickNext() {
  Next next;
  next.submits = intake_ == Intake::kResumes;
  if (next.submits) intake_ = Intake::kSubmits;
  next.action = PickAction();
  return next;
}

MinimalPairsCall::Action MinimalPairsCall::PickAction() {
  if (pending_ != Action::kNone) return Action::kNone;
  const bool all_ended = groups_.empty() && intake_ == Intake::kClosed;
  if (!results_.empty() || (header_.has_value() && failure_.ok() && all_ended)) {
    absl::StatusOr<grpc::ByteBuffer> bytes = WriteMessage(TakeResults(), state_.limits);
    if (bytes.ok()) {
      bytes_out_ = *std::move(bytes);
      return pending_ = Action::kWrite;
    }
    Fail(bytes.status());
    results_.clear();
    for (const auto& [group, owned] : groups_) group->Abandon();
    return PickAction();
  }
  // A failed stream does not wait for its client's next message.
  const bool has_failed = !failure_.ok() && groups_.empty() && intake_ == Intake::kReads;
  if (!all_ended && !has_failed) return Action::kNone;
  result_ = call_.End(failure_);
  return pending_ = Action::kFinish;
}

v1::ScoreMinimalPairsResponse MinimalPairsCall::TakeResults() {
  const size_t max_bytes =
      std::min(kMessageBytes, static_cast<size_t>(state_.limits.max_send_message_bytes));
  v1::ScoreMinimalPairsResponse message;
  if (header_.has_value()) message = *std::exchange(header_, std::nullopt);
  size_t bytes = message.ByteSizeLong();
  while (!results_.empty()) {
    bytes += results_.front().ByteSizeLong() + kEntryBytes;
    if (bytes > max_bytes && !message.results().empty()) break;
    *message.add_results() = std::move(results_.front());
    results_.pop_front();
    --in_flight_;
  }
  return message;
}

void MinimalPairsCall::Do(const Next& next) {
  if (next.action == Action::kWrite) StartWrite(&bytes_out_);
  if (next.action == Action::kFinish) Finish(result_);
  if (next.submits) SubmitPairs();
}

void MinimalPairsCall::Fail(const absl::Status& status) {
  if (status.ok() || !failure_.ok()) return;
  failure_ = status;
  if (intake_ == Intake::kWaitsForRoom) intake_ = Intake::kClosed;
}

void MinimalPairsCall::OnFirstMessage() {
  const PairOptions& options = queue_.options();
  call_.SetModel(*options.model);
  header_.emplace();
  header_->set_convention(options.row->convention);
  header_->set_request_id(call_.record().request_id);
  header_->set_model(options.model->name);
  header_->set_model_digest(options.model->info.digest);
}

void MinimalPairsCall::SubmitPairs() {
  PairGroup* group = nullptr;
  absl::Status refused;
  Next next;
  bool waits_for_alarm = false;
  do {
    {
      MutexLock lock(&mutex_);
      if (!refused.ok()) OnRefused(*group, refused);
      group = NextGroup();
      if (group == nullptr) next = PickNext();
      waits_for_alarm = intake_ == Intake::kWaitsForAlarm;
    }
    // It may be gone when this returns.
    if (group != nullptr) refused = group->Submit(state_);
  } while (group != nullptr);
  if (waits_for_alarm) return SetAlarm(refused);
  Do(next);
}

PairGroup* MinimalPairsCall::NextGroup() {
  if (intake_ != Intake::kSubmits) return nullptr;
  const auto max_pairs = static_cast<size_t>(state_.limits.max_stream_pairs);
  if (!failure_.ok()) {
    intake_ = Intake::kClosed;
  } else if (in_flight_ >= max_pairs) {
    intake_ = Intake::kWaitsForRoom;
  } else if (queue_.empty()) {
    intake_ = Intake::kReads;
    StartRead(&bytes_in_);
  } else {
    std::vector<PairPlan> plans = queue_.Take(max_pairs - in_flight_);
    in_flight_ += plans.size();
    auto group = std::make_unique<PairGroup>(queue_.options(), std::move(plans), client_,
                                             [this](PairGroup& ended) { OnGroupEnd(ended); });
    return groups_.emplace(group.get(), std::move(group)).first->first;
  }
  return nullptr;
}

void MinimalPairsCall::OnRefused(PairGroup& group, const absl::Status& refused) {
  std::vector<PairPlan> plans = group.TakePlans();
  groups_.erase(&group);
  const bool is_full = absl::IsResourceExhausted(refused);
  if (!is_full && !absl::IsInvalidArgument(refused)) return Fail(refused);
  const bool is_pair = plans.size() == 1;
  if (is_pair && !is_full) return results_.push_back(ToPairError(plans[0].index, refused));
  in_flight_ -= plans.size();
  queue_.PutBack(std::move(plans));
  if (!is_pair || !failure_.ok()) return;
  // If something of this stream is on its way, OnWriteDone will come; else only time helps.
  const bool moves = !groups_.empty() || !results_.empty() || pending_ == Action::kWrite;
  intake_ = moves ? Intake::kWaitsForRoom : Intake::kWaitsForAlarm;
}

void MinimalPairsCall::SetAlarm(const absl::Status& refused) {
  const absl::Duration delay = std::min(RetryAfter(refused).value_or(kMaxWait), kMaxWait);
  alarm_ = std::make_unique<grpc::Alarm>();
  const gpr_timespec time = gpr_time_from_millis(absl::ToInt64Milliseconds(delay), GPR_TIMESPAN);
  alarm_->Set(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), time), [this](bool) { OnAlarm(); });
}

}  // namespace dyad
