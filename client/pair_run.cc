// Streams pull lines from one source under one lock; an answer is joined with its line again.
#include "client/pair_run.h"

#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/answer_json.h"
#include "client/ordered_output.h"
#include "client/progress.h"
#include "client/request_json.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// What the streams of one run share. Threads: all of it.
class Run {
 public:
  Run(const LineSource& lines, const AnswerSink& on_answer, OrderedOutput& output,
      Progress& progress)
      : lines_(lines),
        on_answer_(on_answer),
        output_(output),
        progress_(progress),
        next_(output.old_lines()) {}

  // The next line that is a pair, with its number as index; lines before it that are none get their
  // error objects.
  std::optional<v1::MinimalPair> Next() {
    MutexLock lock(&mu_);
    while (failure_.ok()) {
      const std::optional<std::string> text = lines_();
      if (!text.has_value()) return std::nullopt;
      const int64_t number = next_++;
      absl::StatusOr<Json> line = ParseLine(*text);
      auto pair = line.ok() ? MinimalPairFromJson(*line) : line.status();
      if (!pair.ok()) {
        Write(number, ErrorJson(pair.status()));
        continue;
      }
      pair->set_index(number);
      in_flight_[number] = *std::move(line);
      return *std::move(pair);
    }
    return std::nullopt;
  }

  void Answer(const v1::PairScore& score) {
    MutexLock lock(&mu_);
    const auto line = in_flight_.find(score.index());
    if (line == in_flight_.end()) return;
    Write(score.index(), PairAnswer(line->second, score));
    in_flight_.erase(line);
    ++scored_;
  }

  void EndStream(const absl::StatusOr<PairStreamInfo>& end) {
    MutexLock lock(&mu_);
    if (!end.ok()) failure_.Update(end.status());
    if (end.ok() && info_.model.empty()) info_ = *end;
  }

  absl::Status failure() {
    MutexLock lock(&mu_);
    return failure_;
  }
  PairStreamInfo info() {
    MutexLock lock(&mu_);
    return info_;
  }
  int64_t scored() {
    MutexLock lock(&mu_);
    return scored_;
  }

 private:
  void Write(int64_t number, const Json& answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    on_answer_(number, answer);
    output_.Put(number, FormatLine(answer));
    progress_.Add(1);
  }

  const LineSource& lines_;
  const AnswerSink& on_answer_;
  OrderedOutput& output_;
  Progress& progress_;
  Mutex mu_;
  int64_t next_ ABSL_GUARDED_BY(mu_);
  int64_t scored_ ABSL_GUARDED_BY(mu_) = 0;
  std::unordered_map<int64_t, Json> in_flight_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  PairStreamInfo info_ ABSL_GUARDED_BY(mu_);
};

// Skips the lines that the output has answers for.
absl::Status Skip(const PairRunOptions& options, int64_t old_lines, const LineSource& lines) {
  for (int64_t i = 0; i < old_lines; ++i) {
    if (lines().has_value()) continue;
    return absl::FailedPreconditionError(absl::StrCat(options.output, " has ", old_lines,
                                                      " answers, but there are only ", i,
                                                      " lines: another input's output?"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PairRunResult> RunPairs(const PairRunOptions& options, const Console& console,
                                       const LineSource& lines, const AnswerSink& on_answer) {
  int64_t old_number = 0;
  ASSIGN_OR_RETURN(const auto output,
                   OrderedOutput::Open(options.output, console.out, [&](absl::string_view line) {
                     on_answer(old_number++, *ParseLine(line));  // Open has parsed it already
                   }));
  RETURN_IF_ERROR(Skip(options, output->old_lines(), lines));
  PairRunResult result;
  result.batch.skipped = output->old_lines();
  Progress progress(
      console.err, console.err_screen,
      {.unit = "pairs", .skipped = output->old_lines(), .total = options.total, .elapsed = {}});
  Run run(lines, on_answer, *output, progress);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < options.streams; ++i) {
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
  const ProgressState end = progress.State();
  result.batch.lines = end.done;
  result.batch.failed = output->failed();
  result.info = run.info();
  result.scored = run.scored();
  result.elapsed = end.elapsed;
  RETURN_IF_ERROR(output->Finish());
  if (absl::Status failure = run.failure(); !failure.ok()) {
    return absl::Status(failure.code(), absl::StrCat(failure.message(), " (after ", end.done,
                                                     " pairs; with an --output file, the same "
                                                     "command goes on where this one ended)"));
  }
  return result;
}

}  // namespace dyad::client
