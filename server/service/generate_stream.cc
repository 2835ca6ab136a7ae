// One GenerateStream call.
#include "server/service/generate_stream.h"

#include <utility>

#include "server/service/admission.h"
#include "server/service/generate_call.h"

namespace dyad {

GenerateStream::Sink::Sink(GenerateStream& stream, int32_t index)
    : stream_(stream), index_(index), writer_(stream.plan_, index), unsent_(writer_.New()) {
  writer_.AddPrompt(unsent_);
}

void GenerateStream::Sink::OnScores(std::span<const engine::TokenScore> scores) {
  // Leaves with the first token, which comes in the same step.
  MutexLock lock(&stream_.mutex_);
  writer_.AddPromptScores(scores, unsent_);
}

engine::Verdict GenerateStream::Sink::OnToken(const engine::GeneratedToken& token) {
  Call call;
  engine::Verdict verdict;
  {
    MutexLock lock(&stream_.mutex_);
    ++stream_.call_.record().generated_tokens;
    verdict = writer_.AddToken(token, unsent_);
    MarkReady();
    call = stream_.NextCall();
  }
  if (call != Call::kNone) stream_.Make(call);  // not the end: OnEnd is still to come
  return verdict;
}

void GenerateStream::Sink::OnEnd(const engine::Outcome& outcome) {
  GenerateStream& stream = stream_;
  Call call;
  {
    MutexLock lock(&stream.mutex_);
    RpcRecord& record = stream.call_.record();
    stream.call_.AddTiming(outcome.timing);
    if (index_ == 0) {
      record.finish_reason = FinishReasonName(outcome.reason);
      record.cached_tokens = outcome.cached_tokens;
    }
    if (outcome.status.ok()) {
      writer_.AddEnd(outcome.reason, unsent_);
      MarkReady();
    } else if (stream.status_.ok()) {
      stream.status_ = outcome.status;
      stream.wanted_ = false;  // the other choices are of no use
    }
    --stream.running_;
    call = stream.NextCall();
  }
  if (call != Call::kNone) stream.Make(call);
}

v1::Choice GenerateStream::Sink::Take() {
  waiting_ = false;
  return std::exchange(unsent_, writer_.New());
}

void GenerateStream::Sink::MarkReady() {
  if (waiting_) return;
  waiting_ = true;
  stream_.ready_.push_back(index_);
}

GenerateStream::GenerateStream(RpcCall call, GenerationPlan plan)
    : plan_(std::move(plan)), call_(std::move(call)), running_(plan_.choices) {
  for (int32_t i = 0; i < plan_.choices; ++i) sinks_.emplace_back(*this, i);
}

void GenerateStream::Start() {
  const ServiceState* state;
  absl::Time deadline;
  {
    MutexLock lock(&mutex_);
    state = &call_.state();
    deadline = call_.deadline();
  }
  const absl::Status refused = Admit(*state, *plan_.model, ToSubmissions(plan_, deadline, sinks_));
  if (refused.ok()) return;
  {
    MutexLock lock(&mutex_);
    call_pending_ = true;
    result_ = call_.End(refused);
  }
  Finish(result_);
}

void GenerateStream::OnCancel() {
  reader_gone_ = true;
  wanted_ = false;  // the engine sees it at its next step and ends the sequences
}

void GenerateStream::OnWriteDone(bool ok) {
  if (!ok) OnCancel();
  Call call;
  {
    MutexLock lock(&mutex_);
    call_pending_ = false;
    call = NextCall();
  }
  if (call != Call::kNone) Make(call);
}

void GenerateStream::OnDone() {
  {
    MutexLock lock(&mutex_);
    call_.Report();
  }
  delete this;
}

GenerateStream::Call GenerateStream::NextCall() {
  if (call_pending_) return Call::kNone;  // OnWriteDone will come back here
  if (!ready_.empty() && !reader_gone_) {
    call_pending_ = true;
    message_.Clear();
    *message_.mutable_choice() = sinks_[ready_.front()].Take();
    ready_.pop_front();
    return Call::kWrite;
  }
  if (running_ > 0) return Call::kNone;
  call_pending_ = true;  // for good: nothing may follow the end
  result_ = call_.End(status_);
  if (!status_.ok()) return Call::kFinish;
  message_.Clear();
  FillSummary(plan_, call_, *message_.mutable_final());
  return Call::kWriteAndFinish;
}

void GenerateStream::Make(Call call) {
  switch (call) {
    case Call::kNone:
      return;
    case Call::kWrite:
      return StartWrite(&message_);
    case Call::kWriteAndFinish:
      return StartWriteAndFinish(&message_, grpc::WriteOptions(), result_);
    case Call::kFinish:
      return Finish(result_);
  }
}

}  // namespace dyad
