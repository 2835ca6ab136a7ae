// Each stream has a window of pairs that slides over the batch: a writer thread fills it, the
// stream's own thread empties it.
#include "client/pair_run.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/answer_json.h"
#include "client/answer_keys.h"
#include "client/client.h"
#include "client/error_owner.h"
#include "client/request_json.h"
#include "client/threads.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

using Stream =
    grpc::ClientReaderWriter<v1::ScoreMinimalPairsRequest, v1::ScoreMinimalPairsResponse>;

// Model, convention and special tokens, which the first message of a stream has beside its pairs.
constexpr int64_t kOptionBytes = 1024;

// A stream's lines, from the oldest without a result to the newest. A pair's index is the number of
// its line.
class Window {
 public:
  // `max_bytes`: of the pairs of one message.
  Window(Batch& batch, const PairRunOptions& options, int64_t max_bytes)
      : batch_(batch), prefix_(options.prefix), size_(options.window), max_bytes_(max_bytes) {}

  // A new stream has to send first what has no result yet. No stream may be open.
  void BeginStream() {
    MutexLock lock(&mutex_);
    stream_ended_ = false;
    unsent_ = 0;
  }

  // Up to `count` pairs to send; waits for room for the first one. Empty: no more, or the stream
  // ended. Writer thread.
  std::vector<v1::MinimalPair> Take(int64_t count) {
    std::vector<v1::MinimalPair> pairs;
    int64_t bytes = 0;
    MutexLock lock(&mutex_);
    while (!stream_ended_ && static_cast<int64_t>(pairs.size()) < count) {
      if (unsent_ < slots_.size()) {
        const Slot& slot = slots_[unsent_];
        if (!slot.answered) {
          bytes += BytesOf(slot.pair);
          if (!pairs.empty() && bytes > max_bytes_) break;
          pairs.push_back(slot.pair);
        }
        ++unsent_;
      } else if (batch_ended_ || (Full() && !pairs.empty())) {
        break;
      } else if (Full()) {
        room_.Wait(&mutex_);
      } else {
        // A line may take its time: results do not wait for it.
        mutex_.Unlock();
        std::optional<Slot> slot = NextPair();
        mutex_.Lock();
        batch_ended_ = !slot.has_value();
        if (!batch_ended_) slots_.push_back(*std::move(slot));
      }
    }
    return pairs;
  }

  // False if no pair with this index waits. Reader thread.
  bool Answer(const v1::PairScore& score) {
    Json head;
    {
      MutexLock lock(&mutex_);
      const auto slot = std::lower_bound(
          slots_.begin(), slots_.end(), score.index(),
          [](const Slot& candidate, int64_t index) { return candidate.pair.index() < index; });
      if (slot == slots_.end() || slot->pair.index() != score.index() || slot->answered) {
        return false;
      }
      head = std::move(slot->head);
      slot->answered = true;
      while (!slots_.empty() && slots_.front().answered) {
        slots_.pop_front();
        // On a stream that was opened again, answered pairs may stand behind the last one sent.
        if (unsent_ > 0) --unsent_;
      }
      room_.Signal();
    }
    batch_.Answer(score.index(), std::move(head), WithPrefix(prefix_, PairAnswer(score)));
    return true;
  }

  // Wakes the writer for good.
  void EndStream() {
    MutexLock lock(&mutex_);
    stream_ended_ = true;
    room_.Signal();
  }

  // Whether every pair has its result and the batch has no more.
  bool Done() {
    MutexLock lock(&mutex_);
    return batch_ended_ && slots_.empty();
  }

 private:
  struct Slot {
    Json head;  // of the answer
    v1::MinimalPair pair;
    bool answered = false;
  };

  // In a message: the pair, its tag and its length.
  static int64_t BytesOf(const v1::MinimalPair& pair) {
    return static_cast<int64_t>(pair.ByteSizeLong()) + 6;
  }

  // The next line that is a pair; lines before it that are none get their error objects.
  std::optional<Slot> NextPair() {
    while (auto line = batch_.Next()) {
      absl::StatusOr<v1::MinimalPair> pair = MinimalPairFromJson(line->json);
      if (pair.ok()) {
        pair->set_index(line->number);
        if (const int64_t bytes = BytesOf(*pair); bytes > max_bytes_) {
          pair = absl::ResourceExhaustedError(
              absl::StrCat("the pair has ", bytes, " bytes; the server takes ", max_bytes_));
        }
      }
      if (pair.ok()) {
        return Slot{std::move(line->head), *std::move(pair)};
      }
      batch_.Answer(line->number, std::move(line->head), pair.status());
    }
    return std::nullopt;
  }

  bool Full() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int64_t>(slots_.size()) >= size_;
  }

  Batch& batch_;
  const std::string prefix_;
  const int64_t size_, max_bytes_;
  Mutex mutex_;
  CondVar room_;
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mutex_);  // indices ascend; the first has no result
  // Of slots_, the first that is not sent yet.
  size_t unsent_ ABSL_GUARDED_BY(mutex_) = 0;
  bool batch_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool stream_ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// Runs on its own thread: a sync stream may be read and written by two threads at once, and only so
// can a server that stops reading (flow control) go on giving results. Write returns false once the
// stream has ended, however long flow control held it back.
void WriteAll(const PairRunOptions& options, Window& window, Stream& stream) {
  v1::ScoreMinimalPairsRequest message;
  // Only the first message carries the options.
  message.set_model(options.model);
  message.set_convention(options.convention);
  message.set_special_tokens(options.special_tokens);
  while (true) {
    const std::vector<v1::MinimalPair> pairs = window.Take(options.pairs_per_message);
    if (pairs.empty()) break;
    message.mutable_pairs()->Assign(pairs.begin(), pairs.end());
    if (!stream.Write(message)) return;
    message.Clear();
  }
  stream.WritesDone();
}

// One stream from opening to status; adds to `result`.
absl::Status RunStream(v1::ScoringService::Stub& stub, const PairRunOptions& options,
                       Window& window, PairRunResult& result) {
  grpc::ClientContext context;
  const auto stream = stub.ScoreMinimalPairs(&context);
  window.BeginStream();
  std::thread writer([&] {
    try {
      WriteAll(options, window, *stream);
    } catch (const std::exception&) {  // no memory: the stream ends, with CANCELLED
      context.TryCancel();
    }
  });
  absl::Status fault;
  v1::ScoreMinimalPairsResponse message;
  while (stream->Read(&message)) {
    if (!message.model().empty()) {
      if (!result.model_digest.empty() && result.model_digest != message.model_digest()) {
        fault = absl::AbortedError(
            absl::StrCat("the server has other weights than when the run began: model digest ",
                         message.model_digest(), ", not ", result.model_digest));
        context.TryCancel();
        break;
      }
      result.convention = message.convention();
      result.model = message.model();
      result.model_digest = message.model_digest();
    }
    for (const v1::PairScore& score : message.results()) {
      if (window.Answer(score)) {
        ++result.scored;
      } else {
        fault = absl::InternalError(
            absl::StrCat("the server answered a pair that was not sent: index ", score.index()));
        context.TryCancel();
      }
    }
  }
  window.EndStream();
  writer.join();
  fault.Update(ToStatus(stream->Finish()));
  return fault;
}

// Of a message to the server, the options of a stream aside.
absl::StatusOr<int64_t> MaxPairBytes(const std::shared_ptr<grpc::Channel>& channel) {
  const absl::StatusOr<v1::GetServerInfoResponse> info = Client(channel).GetServerInfo();
  // A server that cannot say has gRPC's default.
  int64_t bytes = 4 << 20;
  if (!absl::IsUnimplemented(info.status())) {
    RETURN_IF_ERROR(info.status());
    const auto limit = info->limits().find("max_receive_message_bytes");
    if (limit != info->limits().end()) bytes = limit->second;
  }
  return std::min<int64_t>(bytes, kMaxMessageBytes) - kOptionBytes;
}

// Streams on one connection, one after the other, until every pair that they took has its result.
absl::Status RunConnection(const std::shared_ptr<grpc::Channel>& channel,
                           const PairRunOptions& options, Batch& batch, PairRunResult& result) {
  ASSIGN_OR_RETURN(const int64_t max_bytes, MaxPairBytes(channel));
  const auto stub = v1::ScoringService::NewStub(channel);
  Window window(batch, options, max_bytes);
  int reopenings = 0;
  absl::Duration backoff = options.first_backoff;
  while (true) {
    const int64_t scored_before = result.scored;
    const absl::Status status = RunStream(*stub, options, window, result);
    // Whatever the status: a server may go away right behind its last result.
    if (window.Done()) return absl::OkStatus();
    if (status.ok()) {
      return absl::InternalError("the server ended the stream with pairs unanswered");
    }
    const ErrorOwner owner = OwnerOf(status);
    if (owner == ErrorOwner::kFullQueue) {
      absl::SleepFor(Pushback(status));
      continue;
    }
    // Aborted: other weights, and they stay.
    if (owner != ErrorOwner::kServer || absl::IsAborted(status)) return status;
    // Only a run of failures without any result ends the whole: a long benchmark may well see a
    // server restart more often than max_reopenings.
    if (result.scored > scored_before) {
      reopenings = 0;
      backoff = options.first_backoff;
    }
    if (++reopenings > options.max_reopenings) return status;
    absl::SleepFor(backoff);
    backoff *= 3;
  }
}

}  // namespace

absl::StatusOr<PairRunResult> RunPairs(const PairRunOptions& options, const Console& console,
                                       LineInput lines, const AnswerSink& on_answer) {
  ASSIGN_OR_RETURN(const auto batch, Batch::Open(std::move(lines),
                                                 {.input = options.input,
                                                  .output = options.output,
                                                  .unit = "pairs",
                                                  .old_errors = options.old_errors,
                                                  .headers = options.headers,
                                                  .own_keys = [](const Json& line) { return line; },
                                                  .describe = options.describe,
                                                  .on_answer = on_answer,
                                                  .sample = options.sample},
                                                 console));
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int64_t i = 0; i < options.streams; ++i) {
    ASSIGN_OR_RETURN(channels.emplace_back(), Connect(options.connection));
  }
  PairRunResult result;
  const Json& header = batch->header();
  if (header.contains("model")) {
    result.model = header["model"].value("name", "");
    result.model_digest = header["model"].value("digest", "");
    v1::Convention_Parse("CONVENTION_" + header.value("convention", ""), &result.convention);
  }
  std::vector<PairRunResult> parts(channels.size(), result);
  RunThreads(
      options.streams,
      [&](int64_t i) {
        const auto stream = static_cast<size_t>(i);
        batch->Fail(RunConnection(channels[stream], options, *batch, parts[stream]));
      },
      [&](const absl::Status& failure) { batch->Fail(failure); });
  for (PairRunResult& part : parts) {
    const int64_t scored = result.scored + part.scored;
    if (result.model.empty()) result = std::move(part);
    result.scored = scored;
  }
  ASSIGN_OR_RETURN(result.batch, batch->Finish());
  return result;
}

}  // namespace dyad::client
