// Lines go out under one lock; answers come back under another, and the output puts them in order.
#include "client/batch.h"

#include <tuple>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/error_owner.h"
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
  ASSIGN_OR_RETURN(batch->output_, OrderedOutput::Open(given.output, console.out, given.input));
  if (batch->output_->keeps()) {
    ASSIGN_OR_RETURN(RunDescription description, given.describe());
    batch->record_.emplace(std::move(description));
    RETURN_IF_ERROR(batch->GoOn());
  }
  MutexLock lock(&batch->lines_mutex_);
  const int64_t skipped = batch->next_ - static_cast<int64_t>(batch->again_.size());
  batch->progress_ = std::make_unique<Progress>(
      console.err, console.err_screen,
      ProgressState{.unit = given.unit, .skipped = skipped, .total = batch->lines_.total});
  return batch;
}

absl::Status Batch::GoOn() {
  MutexLock lines_lock(&lines_mutex_);
  return output_->GoOn({.take = [this](const std::string& answer) { return TakeOld(answer); },
                        .may_begin =
                            [this](std::string_view piece) {
                              std::optional<std::string> text = lines_.next();
                              if (!text.has_value()) return false;
                              again_.emplace_back(next_++, *text);  // read, but not answered
                              std::string start = FormatLine(Head(0, *text, ParseLine(*text)));
                              start.back() = ',';
                              return piece.substr(0, start.size()) == start.substr(0, piece.size());
                            }});
}

absl::Status Batch::TakeOld(const std::string& answer) {
  std::optional<std::string> text = lines_.next();
  if (!text.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("it has more answers than the ", next_, " lines of the input"));
  }
  const absl::StatusOr<Json> json = ParseLine(answer);
  // What is no JSON has no record either.
  RETURN_IF_ERROR(record_->Check(next_, *text, json.ok() ? *json : Json::object()));
  const int64_t number = next_++;
  const bool failed = json->contains("error");
  if (failed && options_.old_errors == OldErrors::kAskAgain) {
    again_.emplace_back(number, *std::move(text));
    return absl::OkStatus();
  }
  MutexLock lock(&mutex_);
  failed_ += failed ? 1 : 0;
  options_.on_answer(number, *json);
  return absl::OkStatus();
}

Json Batch::Head(int64_t number, const std::string& text, const absl::StatusOr<Json>& json) const {
  Json head = Json::object();
  if (json.ok()) head = options_.own_keys(*json);
  // The line may be the answer of an earlier run.
  head.erase("error");
  head.erase(kRecordKey);
  if (record_.has_value()) head[kRecordKey] = record_->Of(number, text);
  return head;
}

std::optional<Batch::Line> Batch::Next() {
  while (true) {
    std::optional<std::string> text;
    int64_t number = 0;
    {
      MutexLock lock(&lines_mutex_);
      if (HasFailed()) return std::nullopt;
      if (!again_.empty()) {
        std::tie(number, text) = std::move(again_.front());
        again_.pop_front();
      } else {
        text = lines_.next();
        if (!text.has_value()) {
          Fail(lines_.fault());
          return std::nullopt;
        }
        number = next_++;
      }
    }
    // Before anybody works on it, not after: what waits for its turn must stay bounded when one
    // line takes minutes.
    if (options_.window.has_value()) output_->AwaitRoom(number, *options_.window);
    if (HasFailed()) return std::nullopt;
    absl::StatusOr<Json> json = ParseLine(*text);
    Json head = Head(number, *text, json);
    if (json.ok()) return Line{number, *std::move(json), std::move(head)};
    Answer(number, std::move(head), json.status());
  }
}

void Batch::Answer(int64_t number, Json head, const absl::StatusOr<Json>& answer) {
  head.update(answer.ok() ? *answer : ErrorJson(answer.status()));
  std::string line = FormatLine(head);
  {
    MutexLock lock(&mutex_);
    failed_ += head.contains("error") ? 1 : 0;
    options_.on_answer(number, head);
    output_->Put(number, std::move(line));
    progress_->Add(1);
  }
  // Nobody reads: nothing more is asked for.
  Fail(output_->written());
}

bool Batch::HasFailed() {
  MutexLock lock(&mutex_);
  return !failure_.ok();
}

void Batch::Fail(const absl::Status& failure) {
  if (failure.ok()) return;
  {
    MutexLock lock(&mutex_);
    failure_.Update(failure);
  }
  output_->Stop();
}

absl::StatusOr<BatchResult> Batch::Finish() {
  const ProgressState end = progress_->State();
  progress_.reset();  // ends its line on the terminal
  RETURN_IF_ERROR(output_->Finish());
  MutexLock lock(&mutex_);
  if (failure_.ok()) return BatchResult{end.done, end.skipped, failed_, end.elapsed};
  absl::Status failure(failure_.code(),
                       absl::StrCat(failure_.message(), " (after ", end.done, " ", end.unit, ")"));
  failure_.ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
    failure.SetPayload(type, payload);
  });
  return failure;
}

namespace {

// Until the line has its answer or the batch has failed.
void AnswerLine(Batch& batch, const Batch::Line& line, const Answerer& answer) {
  while (true) {
    const absl::StatusOr<Json> json = answer(line.json);
    if (json.ok()) return batch.Answer(line.number, line.head, json);
    switch (OwnerOf(json.status(), line.json)) {
      case ErrorOwner::kLine:
        return batch.Answer(line.number, line.head, json);
      case ErrorOwner::kFullQueue:
        absl::SleepFor(Pushback(json.status()));
        break;
      case ErrorOwner::kServer:
      case ErrorOwner::kCommand:
        return batch.Fail(json.status());
    }
  }
}

}  // namespace

absl::StatusOr<BatchResult> RunBatch(const BatchOptions& options, const Console& console,
                                     const Answerer& answer) {
  ASSIGN_OR_RETURN(LineInput lines, LineInput::Open(options.input, console.in));
  ASSIGN_OR_RETURN(const auto batch, Batch::Open(std::move(lines),
                                                 {.input = options.input,
                                                  .output = options.output,
                                                  .window = kWindowPerRequest * options.concurrency,
                                                  .old_errors = options.old_errors,
                                                  .own_keys = options.own_keys,
                                                  .describe = options.describe},
                                                 console));
  RunThreads(
      options.concurrency,
      [&](int64_t) {
        while (const auto line = batch->Next()) AnswerLine(*batch, *line, answer);
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
