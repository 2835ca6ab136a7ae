// Streams take lines from one batch; a result is joined with its line again.
#include "client/pair_run.h"

#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/answer_json.h"
#include "client/request_json.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// What the streams of one run share. Threads: all of it.
class Run {
 public:
  explicit Run(Batch& batch) : batch_(batch) {}

  // The next line that is a pair, with its number as index; lines before it that are none get their
  // error objects.
  std::optional<v1::MinimalPair> Next() {
    while (auto line = batch_.Next()) {
      auto pair = MinimalPairFromJson(line->json);
      if (!pair.ok()) {
        batch_.Answer(line->number, pair.status());
        continue;
      }
      pair->set_index(line->number);
      MutexLock lock(&mutex_);
      in_flight_[line->number] = std::move(line->json);
      return *std::move(pair);
    }
    return std::nullopt;
  }

  void Answer(const v1::PairScore& score) {
    Json line;
    {
      MutexLock lock(&mutex_);
      line = std::move(in_flight_.extract(score.index()).mapped());
      ++scored_;
    }
    batch_.Answer(score.index(), PairAnswer(line, score));
  }

  void EndStream(const absl::StatusOr<PairStreamInfo>& end) {
    if (!end.ok()) return batch_.Fail(end.status());
    MutexLock lock(&mutex_);
    if (info_.model.empty()) info_ = *end;
  }

  PairRunResult Result(BatchResult batch) {
    MutexLock lock(&mutex_);
    return {batch, info_, scored_};
  }

 private:
  Batch& batch_;
  Mutex mutex_;
  std::unordered_map<int64_t, Json> in_flight_ ABSL_GUARDED_BY(mutex_);
  PairStreamInfo info_ ABSL_GUARDED_BY(mutex_);
  int64_t scored_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::StatusOr<PairRunResult> RunPairs(const PairRunOptions& options, const Console& console,
                                       LineInput lines, const AnswerSink& on_answer) {
  ASSIGN_OR_RETURN(
      const auto batch,
      Batch::Open(std::move(lines),
                  {.output = options.output, .unit = "pairs", .on_answer = on_answer}, console));
  Run run(*batch);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int64_t i = 0; i < options.streams; ++i) {
    ASSIGN_OR_RETURN(channels.emplace_back(), Connect(options.connection));
  }
  std::vector<std::thread> threads;
  for (const auto& channel : channels) {
    threads.emplace_back([&run, &options, &channel] {
      run.EndStream(ScorePairs(
          channel, options.stream, [&run] { return run.Next(); },
          [&run](const v1::PairScore& score) { run.Answer(score); }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSIGN_OR_RETURN(const BatchResult result, batch->Finish());
  return run.Result(result);
}

}  // namespace dyad::client
