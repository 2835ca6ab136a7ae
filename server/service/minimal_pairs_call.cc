// One ScoreMinimalPairs call.
#include "server/service/minimal_pairs_call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/service/admission.h"
#include "server/service/request_error.h"
#include "server/service/score_result.h"

namespace dyad {
namespace {

constexpr int kMaxPairsInMessage = 1024;
// Results gather while a write is in flight; a message stays well below the 4 MiB that clients read
// by default.
constexpr size_t kMessageBytes = size_t{1} << 20;
// How long a pair waits if the engine's queue is full of other calls' work. An upper bound because
// the end of the stream waits for the alarm too.
constexpr absl::Duration kMaxWait = absl::Milliseconds(250);

// Whether a sequence's failure says something of the stream, not of its pair.
bool EndsStream(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsUnavailable(status);
}

}  // namespace

MinimalPairsCall::MinimalPairsCall(RpcCall call)
    : state_(call.state()),
      limits_(call.state().context.limits),
      deadline_(call.deadline()),
      call_(std::move(call)),
      reading_(true) {
  StartRead(&message_in_);
}

void MinimalPairsCall::OnReadDone(bool ok) {
  {
    MutexLock lock(&mutex_);
    reading_ = false;
    if (!ok) {
      half_closed_ = true;
    } else if (failure_.ok()) {
      if (absl::Status status = ParseMessage(); !status.ok()) Fail(std::move(status));
    }
  }
  Pump();
}

void MinimalPairsCall::OnWriteDone(bool ok) {
  if (!ok) OnCancel();
  {
    MutexLock lock(&mutex_);
    write_pending_ = false;
    waits_for_room_ = false;  // what was written has left the engine
  }
  Pump();
}

void MinimalPairsCall::OnCancel() {
  gone_ = true;  // the engine sees it at its next step
  Call call;
  {
    MutexLock lock(&mutex_);
    Fail(absl::CancelledError("the client cancelled the call"));
    call = NextCall();
  }
  if (call != Call::kNone) Make(call);
}

void MinimalPairsCall::OnDone() {
  {
    MutexLock lock(&mutex_);
    call_.Report();
  }
  delete this;
}

void MinimalPairsCall::OnPairEnd(PairInFlight* pair) {
  std::unique_ptr<PairInFlight> owned(pair);
  const bool ends_stream = EndsStream(owned->status());
  v1::PairScore result;
  if (!ends_stream) result = owned->Result();
  Call call;
  {
    MutexLock lock(&mutex_);
    --in_engine_;
    RpcRecord& record = call_.record();
    record.prompt_tokens += owned->prompt_tokens();
    record.scored_tokens += owned->scored_tokens();
    record.cached_tokens += owned->cached_tokens();
    call_.AddTiming(owned->timing());
    if (ends_stream) {
      Fail(owned->status());
    } else {
      results_.push_back(std::move(result));
    }
    owned.reset();
    call = NextCall();
  }
  if (call != Call::kNone) Make(call);
}

void MinimalPairsCall::Pump() {
  {
    MutexLock lock(&mutex_);
    if (pumping_) return;  // who pumps looks at the state once more before it stops
    pumping_ = true;
  }
  PumpUntilNothingIsLeft();
}

void MinimalPairsCall::PumpUntilNothingIsLeft() {
  for (;;) {
    Job job;
    Call call = Call::kNone;
    {
      MutexLock lock(&mutex_);
      job = NextJob();
      if (job == Job::kNone) {
        pumping_ = false;
        call = NextCall();
      }
    }
    switch (job) {
      case Job::kRead:
        StartRead(&message_in_);
        break;
      case Job::kSubmit:
        SubmitNextPair();
        break;
      case Job::kNone:
        if (call != Call::kNone) Make(call);
        return;
    }
  }
}

MinimalPairsCall::Job MinimalPairsCall::NextJob() {
  if (!failure_.ok()) return Job::kNone;
  const bool has_room = held_ < limits_.max_stream_pairs;
  if (!waits_for_room_ && !alarm_set_) {
    if (refused_pair_ != nullptr) return Job::kSubmit;
    if (next_pair_ < pairs_in_message_ && has_room) {
      taken_pair_ = next_pair_++;
      ++held_;
      return Job::kSubmit;
    }
  }
  if (reading_ || half_closed_ || !has_room || next_pair_ < pairs_in_message_) return Job::kNone;
  reading_ = true;
  next_pair_ = pairs_in_message_ = 0;
  return Job::kRead;
}

void MinimalPairsCall::SubmitNextPair() {
  std::unique_ptr<PairInFlight> pair = std::move(refused_pair_);
  std::vector<engine::Submission> submissions;
  v1::PairScore result;
  if (pair == nullptr) {
    const v1::MinimalPair& proto = message_in_.pairs(taken_pair_);
    auto created = PairInFlight::Create(options_, limits_, proto, *this);
    if (created.ok()) {
      pair = *std::move(created);
    } else {
      result = ToPairError(created.status());
      result.set_index(proto.index());
    }
  }
  if (pair != nullptr) {
    submissions = pair->Submissions(deadline_);
    if (submissions.empty()) result = pair->Result();
  }
  Call call;
  {
    MutexLock lock(&mutex_);
    if (submissions.empty()) {
      results_.push_back(std::move(result));
    } else {
      ++in_engine_;
    }
    call = NextCall();
  }
  if (call != Call::kNone) Make(call);
  if (submissions.empty()) return;
  PairInFlight* in_flight = pair.release();  // its own from here, until OnPairEnd or a refusal
  absl::Status refused = Admit(state_, *options_.model, std::move(submissions));
  if (!refused.ok()) OnRefused(std::unique_ptr<PairInFlight>(in_flight), std::move(refused));
}

void MinimalPairsCall::OnRefused(std::unique_ptr<PairInFlight> pair, absl::Status refused) {
  Call call;
  bool set_alarm = false;
  {
    MutexLock lock(&mutex_);
    --in_engine_;
    if (absl::IsResourceExhausted(refused)) {
      refused_pair_ = std::move(pair);
      // If something of this stream is on its way, OnWriteDone will come; else only time helps.
      waits_for_room_ = in_engine_ > 0 || !results_.empty() || write_pending_;
      set_alarm = alarm_set_ = !waits_for_room_;
    } else if (absl::IsInvalidArgument(refused)) {
      v1::PairScore result = ToPairError(refused);
      result.set_index(pair->index());
      results_.push_back(std::move(result));
    } else {
      Fail(refused);
    }
    call = NextCall();
  }
  if (call != Call::kNone) Make(call);
  if (!set_alarm) return;
  const absl::Duration delay = std::min(RetryAfter(refused).value_or(kMaxWait), kMaxWait);
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(delay),
              [this](bool) { OnAlarm(); });
}

void MinimalPairsCall::OnAlarm() {
  {
    MutexLock lock(&mutex_);
    alarm_set_ = false;
    if (pumping_) return;
    pumping_ = true;  // in the same critical section: nothing else keeps this alive
  }
  PumpUntilNothingIsLeft();
}

absl::Status MinimalPairsCall::ParseMessage() {
  if (message_in_.pairs_size() > kMaxPairsInMessage) {
    return InvalidField({"pairs", absl::StrCat(message_in_.pairs_size(), " long"),
                         absl::StrCat("must have at most ", kMaxPairsInMessage, " entries")});
  }
  if (!has_options_) {
    ASSIGN_OR_RETURN(options_.model, state_.context.models.Find(message_in_.model()));
    ASSIGN_OR_RETURN(options_.row, FindConvention(message_in_.convention()));
    ASSIGN_OR_RETURN(options_.special_tokens, ParseSpecialTokens(message_in_.special_tokens()));
    RETURN_IF_ERROR(NeedsTokenizer(*options_.model));
    options_.return_tokens = message_in_.return_tokens();
    has_options_ = true;
    call_.SetModel(*options_.model);
  }
  if (!message_in_.pairs().empty()) call_.NotePrompt(message_in_.pairs(0).good());
  pairs_in_message_ = message_in_.pairs_size();
  return absl::OkStatus();
}

void MinimalPairsCall::Fail(absl::Status status) {
  if (failure_.ok()) failure_ = std::move(status);
}

MinimalPairsCall::Call MinimalPairsCall::NextCall() {
  if (write_pending_ || finished_) return Call::kNone;
  const bool all_answered = failure_.ok() && half_closed_ && next_pair_ == pairs_in_message_ &&
                            held_ == static_cast<int32_t>(results_.size());
  const bool needs_header = has_options_ && !header_sent_ && all_answered;
  if (!gone_ && (!results_.empty() || needs_header)) {
    message_out_.Clear();
    if (!header_sent_) {
      message_out_.set_convention(options_.row->convention);
      message_out_.set_request_id(call_.record().request_id);
      message_out_.set_model(options_.model->name);
      message_out_.set_model_digest(options_.model->info.digest);
      header_sent_ = true;
    }
    size_t bytes = 0;
    while (!results_.empty() && bytes < kMessageBytes) {
      bytes += results_.front().ByteSizeLong();
      *message_out_.add_results() = std::move(results_.front());
      results_.pop_front();
      --held_;
    }
    write_pending_ = true;
    return Call::kWrite;
  }
  const bool has_failed = !failure_.ok() && in_engine_ == 0;
  if (pumping_ || alarm_set_ || !(all_answered || has_failed)) return Call::kNone;
  finished_ = true;
  result_ = call_.End(failure_);
  return Call::kFinish;
}

void MinimalPairsCall::Make(Call call) {
  if (call == Call::kWrite) {
    StartWrite(&message_out_);
  } else {
    Finish(result_);
  }
}

}  // namespace dyad
