// A window of pairs slides over the source: a writer thread fills it, the calling thread empties
// it.
#include "client/pair_stream.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/connection.h"
#include "server/base/mutex.h"

namespace dyad::client {
namespace {

using Stream =
    grpc::ClientReaderWriter<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>;

// The pairs from the oldest without a result to the newest, in the order of the source.
class Window {
 public:
  Window(const PairSource& source, int64_t size) : source_(source), size_(size) {}

  // All pairs without a result: what a new stream has to send first. No stream may be open.
  std::vector<v1::MinimalPair> Unanswered() {
    MutexLock lock(&mutex_);
    stream_ended_ = false;
    std::vector<v1::MinimalPair> pairs;
    for (const Slot& slot : slots_) {
      if (!slot.answered) pairs.push_back(slot.pair);
    }
    return pairs;
  }

  // Up to `count` new pairs; waits for room for the first one. Empty: no more, or the stream ended.
  // Writer thread.
  std::vector<v1::MinimalPair> Take(int64_t count) {
    std::vector<v1::MinimalPair> pairs;
    MutexLock lock(&mutex_);
    while (MayTake() && Full()) room_.Wait(&mutex_);
    while (static_cast<int64_t>(pairs.size()) < count && MayTake() && !Full()) {
      // The source may take its time: results do not wait for it.
      mutex_.Unlock();
      std::optional<v1::MinimalPair> pair = source_();
      mutex_.Lock();
      source_ended_ = !pair.has_value();
      if (source_ended_) break;
      slots_.push_back({*pair});
      pairs.push_back(*std::move(pair));
    }
    return pairs;
  }

  // False if no pair with this index waits. Reader thread.
  bool Answer(int64_t index) {
    MutexLock lock(&mutex_);
    const auto slot = std::lower_bound(
        slots_.begin(), slots_.end(), index,
        [](const Slot& candidate, int64_t wanted) { return candidate.pair.index() < wanted; });
    if (slot == slots_.end() || slot->pair.index() != index || slot->answered) return false;
    slot->answered = true;
    while (!slots_.empty() && slots_.front().answered) slots_.pop_front();
    room_.Signal();
    return true;
  }

  // Wakes the writer for good.
  void EndStream() {
    MutexLock lock(&mutex_);
    stream_ended_ = true;
    room_.Signal();
  }

  bool Done() {
    MutexLock lock(&mutex_);
    return source_ended_ && slots_.empty();
  }

 private:
  struct Slot {
    v1::MinimalPair pair;
    bool answered = false;
  };

  bool MayTake() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !stream_ended_ && !source_ended_;
  }
  bool Full() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int64_t>(slots_.size()) >= size_;
  }

  const PairSource& source_;
  const int64_t size_;
  Mutex mutex_;
  CondVar room_;
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mutex_);  // indices ascend; the first has no result
  bool source_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool stream_ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// Runs on its own thread: a sync stream may be read and written by two threads at once, and only so
// can a server that stops reading (flow control) go on giving results. Write returns false once the
// stream has ended, however long flow control held it back.
void WriteAll(const PairStreamOptions& options, std::vector<v1::MinimalPair> pairs, Window& window,
              Stream& stream) {
  v1::ScoreMinimalPairsRequest message;
  message.set_model(options.model);
  message.set_convention(options.convention);
  message.set_special_tokens(options.special_tokens);
  if (pairs.empty()) pairs = window.Take(options.pairs_per_message);
  while (!pairs.empty()) {
    for (size_t first = 0; first < pairs.size();) {
      const size_t last =
          std::min(pairs.size(), first + static_cast<size_t>(options.pairs_per_message));
      for (; first < last; ++first) *message.add_pairs() = std::move(pairs[first]);
      if (!stream.Write(message)) return;
      message.Clear();  // only the first message carries the options
    }
    pairs = window.Take(options.pairs_per_message);
  }
  stream.WritesDone();
}

struct Attempt {
  absl::Status status;
  int64_t results = 0;
};

// One stream from opening to status.
Attempt RunStream(v1::ScoringService::Stub& stub, const PairStreamOptions& options, Window& window,
                  const PairSink& sink, PairStreamInfo& info) {
  grpc::ClientContext context;
  const auto stream = stub.ScoreMinimalPairs(&context);
  std::vector<v1::MinimalPair> unanswered = window.Unanswered();
  std::thread writer(
      [&, first = std::move(unanswered)] { WriteAll(options, first, window, *stream); });
  Attempt attempt;
  v1::ScoreMinimalPairsResponse message;
  while (stream->Read(&message)) {
    if (!message.model().empty()) {
      info = {message.convention(), message.model(), message.model_digest()};
    }
    for (const v1::PairScore& result : message.results()) {
      if (window.Answer(result.index())) {
        ++attempt.results;
        sink(result);
      } else {
        attempt.status = absl::InternalError(
            absl::StrCat("the server answered a pair that was not sent: index ", result.index()));
        context.TryCancel();
      }
    }
  }
  window.EndStream();
  writer.join();
  const absl::Status end = ToStatus(stream->Finish());
  if (attempt.status.ok()) attempt.status = end;
  return attempt;
}

}  // namespace

absl::StatusOr<PairStreamInfo> ScorePairs(const std::shared_ptr<grpc::Channel>& channel,
                                          const PairStreamOptions& options,
                                          const PairSource& source, const PairSink& sink) {
  const auto stub = v1::ScoringService::NewStub(channel);
  Window window(source, options.window);
  PairStreamInfo info;
  int reopenings = 0;
  absl::Duration backoff = options.first_backoff;
  while (true) {
    const Attempt attempt = RunStream(*stub, options, window, sink, info);
    // Whatever the status: a server may go away right behind its last result.
    if (window.Done()) return info;
    if (attempt.status.ok()) {
      return absl::InternalError(absl::StrCat("the server ended the stream with ",
                                              window.Unanswered().size(), " pairs unanswered"));
    }
    if (!absl::IsUnavailable(attempt.status) && !absl::IsResourceExhausted(attempt.status)) {
      return attempt.status;
    }
    // Only a run of failures without any result ends the whole: a long benchmark may well see a
    // server restart more often than max_reopenings.
    if (attempt.results > 0) {
      reopenings = 0;
      backoff = options.first_backoff;
    }
    if (++reopenings > options.max_reopenings) return attempt.status;
    absl::SleepFor(backoff);
    backoff *= 3;
  }
}

}  // namespace dyad::client
