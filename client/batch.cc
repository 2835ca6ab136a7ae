// Lines go out under one lock; answers come back under another, and the output puts them in order.
#include "client/batch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/threads.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Answers may wait for an earlier, slower one: this many lines for each request in flight.
constexpr int64_t kWindowPerRequest = 16;

}  // namespace

absl::StatusOr<std::unique_ptr<Batch>> Batch::Open(LineInput lines, Options options,
                                                   const Console& console) {
  auto batch = std::unique_ptr<Batch>(new Batch(std::move(lines), std::move(options)));
  const Options& given = batch->options_;
  int64_t old_number = 0;
  ASSIGN_OR_RETURN(batch->output_,
                   OrderedOutput::Open(given.output, console.out, [&](const Json& answer) {
                     given.on_answer(old_number++, answer);
                   }));
  const int64_t old_lines = batch->output_->old_lines();
  MutexLock lock(&batch->lines_mutex_);
  for (int64_t& next = batch->next_; next < old_lines; ++next) {
    if (batch->lines_.next().has_value()) continue;
    return absl::FailedPreconditionError(absl::StrCat(given.output, " has ", old_lines,
                                                      " answers, but there are only ", next,
                                                      " lines: another input's output?"));
  }
  batch->progress_ = std::make_unique<Progress>(
      console.err, console.err_screen,
      ProgressState{.unit = given.unit, .skipped = old_lines, .total = batch->lines_.total});
  return batch;
}

std::optional<Batch::Line> Batch::Next() {
  while (true) {
    std::optional<std::string> text;
    int64_t number = 0;
    {
      MutexLock lock(&lines_mutex_);
      if (MutexLock failure_lock(&mutex_); !failure_.ok()) return std::nullopt;
      text = lines_.next();
      if (!text.has_value()) {
        Fail(lines_.fault());
        return std::nullopt;
      }
      number = next_++;
    }
    // Before anybody works on it, not after: what waits for its turn must stay bounded when one
    // line takes minutes.
    if (options_.window.has_value()) output_->AwaitRoom(number, *options_.window);
    absl::StatusOr<Json> json = ParseLine(*text);
    if (json.ok()) return Line{number, *std::move(json)};
    Answer(number, json.status());
  }
}

void Batch::Answer(int64_t number, const absl::StatusOr<Json>& answer) {
  const Json json = answer.ok() ? *answer : ErrorJson(answer.status());
  std::string line = FormatLine(json);
  MutexLock lock(&mutex_);
  options_.on_answer(number, json);
  output_->Put(number, std::move(line));
  progress_->Add(1);
}

void Batch::Fail(const absl::Status& failure) {
  MutexLock lock(&mutex_);
  failure_.Update(failure);
}

absl::StatusOr<BatchResult> Batch::Finish() {
  const ProgressState end = progress_->State();
  progress_.reset();  // ends its line on the terminal
  RETURN_IF_ERROR(output_->Finish());
  MutexLock lock(&mutex_);
  if (failure_.ok()) {
    return BatchResult{end.done, output_->old_lines(), output_->failed(), end.elapsed};
  }
  return absl::Status(failure_.code(),
                      absl::StrCat(failure_.message(), " (after ", end.done, " ", end.unit,
                                   "; with an --output file, the same command goes on where this "
                                   "one ended)"));
}

absl::StatusOr<BatchResult> RunBatch(const BatchOptions& options, const Console& console,
                                     const Answerer& answer) {
  ASSIGN_OR_RETURN(LineInput lines, LineInput::Open(options.input, console.in));
  ASSIGN_OR_RETURN(
      const auto batch,
      Batch::Open(std::move(lines),
                  {.output = options.output, .window = kWindowPerRequest * options.concurrency},
                  console));
  RunThreads(
      options.concurrency,
      [&](int64_t) {
        while (const auto line = batch->Next()) batch->Answer(line->number, answer(line->json));
      },
      [&](const absl::Status& failure) { batch->Fail(failure); });
  return batch->Finish();
}

int ReportBatch(const BatchResult& result, const Console& console) {
  if (result.skipped > 0) {
    console.err << "dyadctl: " << result.skipped << " of " << result.lines
                << " lines were in the output already\n";
  }
  if (result.failed == 0) return 0;
  console.err << "dyadctl: " << result.failed << " of " << result.lines
              << " lines failed; see \"error\" in the output\n";
  return 1;
}

}  // namespace dyad::client
