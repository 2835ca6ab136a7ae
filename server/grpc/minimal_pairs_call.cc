// One ScoreMinimalPairs call.
#include "server/grpc/minimal_pairs_call.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "server/api/request_error.h"
#include "server/api/score_result.h"
#include "server/base/catch_exceptions.h"
#include "server/grpc/wire_message.h"

namespace dyad {
namespace {

// Messages stay well below the 4 MiB that clients read by default.
constexpr int64_t kMessageBytes = 1 << 20;
// At most: tag and length of a result, and what the first message says beside results.
constexpr int64_t kEntryBytes = 5;
constexpr int64_t kHeaderBytes = 400;
// How long pairs wait if the engine's queue is full of other calls' work. An upper bound because
// the end of the stream waits for the alarm too.
constexpr absl::Duration kMaxWait = absl::Milliseconds(250);

}  // namespace

MinimalPairsCall::MinimalPairsCall(RpcCall call)
    : state_(call.state()),
      max_pairs_(static_cast<size_t>(state_.limits.max_stream_pairs)),
      queue_(state_),
      call_(std::move(call)) {
  state_.open_streams.Add(this, [this] { OnShutdown(); });
  if (state_.draining) OnShutdown();
  MutexLock lock(&mutex_);
  failure_.Update(call_.CheckKey());
  failure_.Update(call_.unread().CheckRoom(1));
  Advance();
}

void MinimalPairsCall::OnShutdown() {
  MutexLock lock(&mutex_);
  failure_.Update(absl::UnavailableError("the server is shutting down"));
  Advance();
}

void MinimalPairsCall::OnReadDone(bool ok) {
  const bool is_first = !queue_.has_options();
  std::string text;
  absl::StatusOr<std::vector<Message>> at_fault;
  if (ok) {  // not under mutex_: it parses and encodes
    ++messages_read_;
    at_fault = CatchExceptions("message", [&]() -> decltype(at_fault) {
      ASSIGN_OR_RETURN(const auto message, ReadMessage<v1::ScoreMinimalPairsRequest>(
                                               bytes_in_, messages_read_, state_.limits));
      if (!message.pairs().empty()) {
        text = message.pairs(0).good();
      } else if (!message.choice_sets().empty() && !message.choice_sets(0).options().empty()) {
        text = message.choice_sets(0).options(0).text();
      }
      ASSIGN_OR_RETURN(std::vector<ComparisonResult> results, queue_.Add(message));
      return ToMessages(std::move(results));
    });
  }
  MutexLock lock(&mutex_);
  is_reading_ = false;
  has_all_ = !ok;
  if (is_finished_) return;
  if (at_fault.ok()) {
    if (is_first) call_.SetModel(*queue_.options().model);
    call_.NotePrompt(text);
    for (const Message& message : *at_fault) in_flight_ += message.pairs;
    Send(std::move(at_fault));
  } else if (ok) {
    failure_.Update(at_fault.status());
  }
  Advance();
}

void MinimalPairsCall::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  is_writing_ = false;
  call_.unread().Remove(static_cast<int64_t>(messages_.front().bytes.Length()));
  messages_.pop_front();
  WriteNext();
  if (!ok) FailAtOnce(absl::CancelledError("the client cancelled the call"));
  Advance();
}

void MinimalPairsCall::OnCancel() {
  MutexLock lock(&mutex_);
  FailAtOnce(absl::CancelledError("the client cancelled the call"));
  Advance();
}

void MinimalPairsCall::OnAlarm() {
  MutexLock lock(&mutex_);
  waits_for_alarm_ = false;
  Advance();
}

void MinimalPairsCall::OnGroupEnd(ComparisonGroup& group) {
  auto messages = ToMessages(group.Results());
  std::unique_ptr<ComparisonGroup> ended;
  MutexLock lock(&mutex_);
  ended = std::move(groups_.extract(&group).mapped());
  group.AddTo(call_);
  Send(std::move(messages));
  failure_.Update(group.failure());
  Advance();
}

void MinimalPairsCall::OnDone() {
  state_.open_streams.Remove(this);
  {
    MutexLock lock(&mutex_);
    call_.ReportDone();
  }
  delete this;
}

void MinimalPairsCall::Advance() {
  if (is_finished_) return;
  bool has_room = true;
  while (has_room && failure_.ok() && !is_reading_ && !waits_for_alarm_ &&
         in_flight_ < max_pairs_) {
    if (!queue_.empty()) {
      has_room = SubmitGroup();
    } else if (!has_all_) {
      is_reading_ = true;
      StartRead(&bytes_in_);
    } else {
      break;
    }
  }
  const bool takes_more = failure_.ok() && (is_reading_ || !has_all_ || !queue_.empty());
  if (takes_more || !groups_.empty() || waits_for_alarm_) return;
  if (failure_.ok() && queue_.has_options() && !has_header_) Send({{Message()}});
  if (is_writing_) return;
  is_finished_ = true;
  Finish(call_.End(failure_));
}

bool MinimalPairsCall::SubmitGroup() {
  std::vector<ComparisonPlan> plans = queue_.Take(max_pairs_ - in_flight_);
  const size_t count = plans.size();
  auto group =
      std::make_unique<ComparisonGroup>(queue_.options(), std::move(plans), call_.caller().client,
                                        [this](ComparisonGroup& ended) { OnGroupEnd(ended); });
  const absl::Status refused = group->Submit(state_);
  if (refused.ok()) {
    in_flight_ += count;
    groups_.emplace(group.get(), std::move(group));
    return true;
  }
  plans = group->TakePlans();
  const bool is_full = absl::IsResourceExhausted(refused);
  if (!is_full && !absl::IsInvalidArgument(refused)) {
    failure_.Update(refused);
  } else if (count > 1) {
    queue_.PutBack(std::move(plans));
  } else if (!is_full) {
    ++in_flight_;
    Send(ToMessages({ToComparisonError(plans[0], refused)}));
  } else {
    queue_.PutBack(std::move(plans));
    // If something of this stream is on its way, its end comes here again; else only time helps.
    if (groups_.empty() && !is_writing_) SetAlarm(RetryAfter(refused).value_or(kMaxWait));
    return false;
  }
  return true;
}

void MinimalPairsCall::SetAlarm(absl::Duration delay) {
  waits_for_alarm_ = true;
  alarm_ = std::make_unique<grpc::Alarm>();
  const int64_t milliseconds = absl::ToInt64Milliseconds(std::min(delay, kMaxWait));
  alarm_->Set(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(milliseconds, GPR_TIMESPAN)),
      [this](bool) { OnAlarm(); });
}

absl::StatusOr<std::vector<MinimalPairsCall::Message>> MinimalPairsCall::ToMessages(
    std::vector<ComparisonResult> results) const {
  const int64_t most =
      std::min<int64_t>(kMessageBytes, state_.limits.max_send_message_bytes) - kHeaderBytes;
  std::vector<Message> messages;
  for (auto next = results.begin(); next != results.end();) {
    v1::ScoreMinimalPairsResponse message;
    int64_t bytes = 0;
    size_t count = 0;
    for (; next != results.end(); ++next, ++count) {
      bytes +=
          kEntryBytes +
          std::visit([](const auto& result) { return static_cast<int64_t>(result.ByteSizeLong()); },
                     *next);
      if (bytes > most && count > 0) break;
      if (auto* pair = std::get_if<v1::PairScore>(&*next)) {
        *message.add_results() = std::move(*pair);
      } else {
        *message.add_choices() = std::get<v1::ChoiceScore>(std::move(*next));
      }
    }
    ASSIGN_OR_RETURN(grpc::ByteBuffer written, WriteMessage(message, state_.limits));
    messages.push_back({std::move(written), count});
  }
  return messages;
}

void MinimalPairsCall::Send(absl::StatusOr<std::vector<Message>> messages) {
  if (!messages.ok()) return FailAtOnce(messages.status());
  if (!messages->empty()) AddHeader(messages->front());
  for (Message& message : *messages) Push(std::move(message));
}

void MinimalPairsCall::AddHeader(Message& message) {
  if (std::exchange(has_header_, true)) return;
  const PairOptions& options = queue_.options();
  v1::ScoreMinimalPairsResponse header;
  header.set_convention(options.row->convention);
  header.set_request_id(call_.record().request_id);
  header.set_model(options.model->name);
  header.set_model_digest(options.model->info.digest);
  header.set_arithmetic(options.model->info.arithmetic);
  // Serialized messages that stand side by side are one.
  std::vector<grpc::Slice> slices;
  message.bytes.Dump(&slices);
  slices.emplace_back(header.SerializeAsString());
  message.bytes = grpc::ByteBuffer(slices.data(), slices.size());
}

void MinimalPairsCall::Push(Message message) {
  if (!wants_results_) return;
  const absl::Status room = call_.unread().Add(static_cast<int64_t>(message.bytes.Length()));
  if (!room.ok()) return FailAtOnce(room);
  messages_.push_back(std::move(message));
  WriteNext();
}

void MinimalPairsCall::WriteNext() {
  if (is_writing_ || messages_.empty()) return;
  is_writing_ = true;
  in_flight_ -= messages_.front().pairs;
  StartWrite(&messages_.front().bytes);
}

void MinimalPairsCall::FailAtOnce(const absl::Status& status) {
  failure_.Update(status);
  wants_results_ = false;
  while (messages_.size() > (is_writing_ ? 1 : 0)) {
    call_.unread().Remove(static_cast<int64_t>(messages_.back().bytes.Length()));
    messages_.pop_back();
  }
  // The engine sees it at its next step.
  for (const auto& [group, owned] : groups_) group->Abandon();
}

}  // namespace dyad
