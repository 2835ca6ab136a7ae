// The thread around the step runner, and the one mutex between it and those who submit.
#include "server/engine/engine.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <span>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "server/base/steady_clock.h"
#include "server/base/thread.h"
#include "server/engine/check_request.h"
#include "server/engine/outlook.h"
#include "server/engine/step_runner.h"

namespace dyad::engine {

// What submitters and the engine's thread share is under mutex_. runner_ belongs to the thread
// alone.
class Engine::Impl {
 public:
  Impl(Model& model, const EngineOptions& options, ModelMetrics& metrics)
      : limits_(model.limits()),
        options_(options),
        metrics_(metrics),
        runner_(model, options, metrics, [] { return SteadyNow(); }) {
    status_ = runner_.Status();
    outlook_ = runner_.MakeOutlook();
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    Drain(absl::ZeroDuration());
    {
      MutexLock lock(&mutex_);
      stop_ = true;
      work_.Signal();
    }
    thread_.join();
  }

  absl::Status Submit(std::vector<Submission> submissions);
  void Drain(absl::Duration limit);
  EngineStatus Status() const;

 private:
  void Run();
  bool AwaitWork();
  void Publish();
  absl::Status CheckQueue(int64_t sequences, int64_t tokens) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status QueueInTime(std::span<const std::unique_ptr<Sequence>> sequences, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ModelLimits limits_;
  const EngineOptions options_;
  ModelMetrics& metrics_;
  StepRunner runner_;
  std::vector<std::unique_ptr<Sequence>> arrived_;  // the thread's; memory is kept
  bool abandoned_ = false;                          // the thread's: all are to end now

  mutable Mutex mutex_;
  CondVar work_;   // for the thread: something arrived, or drain or stop was asked for
  CondVar ended_;  // for Drain: live_ became 0
  std::vector<std::unique_ptr<Sequence>> incoming_ ABSL_GUARDED_BY(mutex_);
  EngineStatus status_ ABSL_GUARDED_BY(mutex_);  // as of the last step
  Outlook outlook_ ABSL_GUARDED_BY(mutex_);      // as of the last step, and incoming_
  int64_t live_ ABSL_GUARDED_BY(mutex_) = 0;     // accepted, and OnEnd has not returned
  absl::Time progress_ ABSL_GUARDED_BY(mutex_);  // of the thread, or when work came after a rest
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandon_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

absl::Status Engine::Impl::Submit(std::vector<Submission> submissions) {
  if (submissions.empty()) return absl::OkStatus();
  int64_t tokens = 0;
  for (const Submission& submission : submissions) {
    RETURN_IF_ERROR(CheckRequest(submission.request, limits_));
    tokens += static_cast<int64_t>(submission.request.ids.size());
  }
  const absl::Time now = SteadyNow();
  const auto count = static_cast<int64_t>(submissions.size());
  // Built before the lock is taken: it is the engine's thread that would wait.
  std::vector<std::unique_ptr<Sequence>> sequences;
  sequences.reserve(submissions.size());
  for (Submission& submission : submissions) {
    sequences.push_back(std::make_unique<Sequence>(std::move(submission), now));
  }
  MutexLock lock(&mutex_);
  if (draining_) return absl::UnavailableError("the engine is draining");
  absl::Status status = CheckQueue(count, tokens);
  if (status.ok()) status = QueueInTime(sequences, now);
  if (!status.ok()) {
    if (absl::IsResourceExhausted(status)) metrics_.OnRejected(static_cast<int32_t>(count));
    return status;
  }
  // Counted before the thread can see them, so that never more have finished than were accepted.
  metrics_.OnAccepted(static_cast<int32_t>(count));
  if (live_ == 0) progress_ = now;
  live_ += count;
  std::move(sequences.begin(), sequences.end(), std::back_inserter(incoming_));
  work_.Signal();
  return absl::OkStatus();
}

absl::Status Engine::Impl::CheckQueue(int64_t sequences, int64_t tokens) const {
  if (sequences > options_.max_queued_requests) {
    return absl::InvalidArgumentError(absl::StrCat("the request has ", sequences,
                                                   " sequences; the queue holds at most ",
                                                   options_.max_queued_requests));
  }
  if (tokens > options_.max_queued_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("the request has ", tokens,
                                                   " tokens; the queue holds at most ",
                                                   options_.max_queued_tokens));
  }
  const auto [waiting, queued_tokens, new_tokens] = outlook_.waiting();
  if (waiting + sequences > options_.max_queued_requests) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue holds ", waiting, " sequences, at most ",
                     options_.max_queued_requests, "; ", sequences, " more do not fit"));
  }
  if (queued_tokens + tokens > options_.max_queued_tokens) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue holds ", queued_tokens, " tokens, at most ",
                     options_.max_queued_tokens, "; ", tokens, " more do not fit"));
  }
  return absl::OkStatus();
}

// Queues what could all end before its deadline, after its turn and beside all that is here then,
// or nothing.
absl::Status Engine::Impl::QueueInTime(std::span<const std::unique_ptr<Sequence>> sequences,
                                       absl::Time now) {
  absl::Status status;
  size_t queued = 0;
  for (; queued < sequences.size(); ++queued) {
    const Request& request = sequences[queued]->request;
    const QueuedWork work = sequences[queued]->queued();
    // Where nothing is, there is nothing that a later try would find gone.
    if (live_ > 0 && request.deadline != absl::InfiniteFuture()) {
      const absl::Duration needed = outlook_.TimeToEnd(request.client, work);
      const absl::Duration left = request.deadline - now;
      if (TooLong(needed, left)) {
        status = CannotEndInTime(needed, left);
        break;
      }
    }
    outlook_.Queue(request.client, work);
  }
  if (status.ok()) return status;
  for (const auto& sequence : sequences.first(queued)) {
    outlook_.Queue(sequence->request.client, -sequence->queued());
  }
  return status;
}

void Engine::Impl::Run() {
  NameThread("engine");
  while (AwaitWork()) {
    for (auto& sequence : arrived_) runner_.Add(std::move(sequence));
    arrived_.clear();
    if (abandoned_) {
      runner_.EndAll(absl::UnavailableError("the server is shutting down"));
    } else {
      // What was admitted leaves the queue, and what was cancelled hears of it, before the model
      // runs.
      runner_.PlanStep();
      Publish();
      runner_.FinishStep();
    }
    Publish();
  }
}

// Sleeps until there is something to do; takes what arrived. False: stop.
bool Engine::Impl::AwaitWork() {
  MutexLock lock(&mutex_);
  while (incoming_.empty() && !runner_.HasWork()) {
    if (stop_) return false;
    work_.Wait(&mutex_);
  }
  std::swap(arrived_, incoming_);
  abandoned_ = abandon_;
  return true;
}

// First the numbers, then the news: whoever hears of an end finds it in Status.
void Engine::Impl::Publish() {
  const EngineStatus status = runner_.Status();
  Outlook outlook = runner_.MakeOutlook();
  const absl::Time now = SteadyNow();
  {
    MutexLock lock(&mutex_);
    status_ = status;
    for (const auto& sequence : incoming_) {
      outlook.Queue(sequence->request.client, sequence->queued());
    }
    std::swap(outlook_, outlook);
    progress_ = now;
  }
  const int32_t ended = runner_.NotifyEnded();
  if (ended == 0) return;
  MutexLock lock(&mutex_);
  live_ -= ended;
  if (live_ == 0) ended_.SignalAll();
}

void Engine::Impl::Drain(absl::Duration limit) {
  const absl::Time deadline = SteadyNow() + std::max(limit, absl::ZeroDuration());
  MutexLock lock(&mutex_);
  draining_ = true;
  while (live_ > 0 && !abandon_) {
    const absl::Duration left = deadline - SteadyNow();
    if (left <= absl::ZeroDuration()) {
      abandon_ = true;
      work_.Signal();
    } else {
      ended_.WaitFor(&mutex_, absl::ToChronoNanoseconds(std::min(left, absl::Hours(1))));
    }
  }
  while (live_ > 0) ended_.Wait(&mutex_);
}

EngineStatus Engine::Impl::Status() const {
  const absl::Time now = SteadyNow();
  MutexLock lock(&mutex_);
  EngineStatus status = status_;
  status.waiting = outlook_.waiting().sequences;
  status.retry_after = outlook_.retry_after();
  if (!incoming_.empty()) {
    status.waiting_since = std::min(status.waiting_since, incoming_.front()->submitted);
  }
  if (live_ > 0) status.since_last_step = std::max(now - progress_, absl::ZeroDuration());
  return status;
}

Engine::Engine(Model& model, const EngineOptions& options, ModelMetrics& metrics)
    : impl_(std::make_unique<Impl>(model, options, metrics)) {}

Engine::~Engine() = default;

absl::Status Engine::Submit(std::vector<Submission> submissions) {
  return impl_->Submit(std::move(submissions));
}

void Engine::Drain(absl::Duration limit) { impl_->Drain(limit); }

EngineStatus Engine::Status() const { return impl_->Status(); }

}  // namespace dyad::engine
