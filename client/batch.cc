// Lines go out under one lock; answers come back under another, and the output puts them in order.
#include "client/batch.h"

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
  if (batch->output_->keeps() || given.headers == Headers::kOfAll || given.sample != nullptr) {
    ASSIGN_OR_RETURN(RunDescription description, given.describe());
    RETURN_IF_ERROR(batch->Begin(std::move(description.header)));
  }
  MutexLock lock(&batch->lines_mutex_);
  const int64_t skipped = batch->next_ - static_cast<int64_t>(batch->again_.size());
  batch->progress_ = std::make_unique<Progress>(
      console.err, console.err_screen,
      ProgressState{.unit = given.unit, .skipped = skipped, .total = batch->lines_.total});
  return batch;
}

absl::Status Batch::Begin(Json header) {
  {
    MutexLock lock(&lines_mutex_);
    if (lines_.total.has_value()) header["input"]["items"] = *lines_.total;
  }
  header_ = FinishHeader(header);
  if (options_.sample != nullptr) return CheckSameRun(options_.sample->header, header_);
  if (output_->keeps()) {
    RETURN_IF_ERROR(output_->GoOn([this](std::istream& file) { return ReadOld(file); }));
  }
  return output_->empty() ? output_->WriteHead(HeaderLine(header_) + "\n") : absl::OkStatus();
}

absl::StatusOr<OrderedOutput::OldAnswers> Batch::ReadOld(std::istream& file) {
  OrderedOutput::OldAnswers old;
  std::string line;
  if (!std::getline(file, line)) return old;
  // Before its line feed even a header may be cut off.
  const bool is_torn = file.eof() && MayBeginHeader(line) && !ParseLine(line).ok();
  if (is_torn) return old;
  ASSIGN_OR_RETURN(const Json there, ReadHeader(line));
  RETURN_IF_ERROR(CheckSameRun(there, header_));
  if (file.eof()) return old;
  const auto add = [&] { old.end += static_cast<int64_t>(line.size()) + 1; };
  add();
  while (std::getline(file, line) && !file.eof()) {
    if (!header_.contains("input") || !header_["input"].contains("sha256")) {
      return absl::FailedPreconditionError(
          "it has answers, and the input can be read only once: nobody can tell what is left");
    }
    RETURN_IF_ERROR(TakeOld(line));
    old.begins.push_back(old.end);
    add();
  }
  return old;
}

absl::Status Batch::TakeOld(const std::string& answer) {
  const absl::StatusOr<Json> json = ParseLine(answer);
  MutexLock lines_lock(&lines_mutex_);
  if (!json.ok() || !json->contains(kRunKey) || (*json)[kRunKey] != header_[kRunKey]) {
    return absl::FailedPreconditionError(
        absl::StrCat("answer ", next_ + 1, " is none of this run"));
  }
  std::optional<std::string> text = lines_.next();
  if (!text.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("it has more answers than the ", next_, " lines of the input"));
  }
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

Json Batch::Head(const Json& line) const {
  Json head = options_.own_keys(line);
  // The line may be the answer of an earlier run.
  head.erase("error");
  if (header_.empty()) return head;
  head.erase(kRunKey);
  head[kRunKey] = header_[kRunKey];
  return head;
}

std::optional<std::pair<int64_t, std::string>> Batch::NextText() {
  MutexLock lock(&lines_mutex_);
  while (!HasFailed()) {
    if (!again_.empty()) {
      auto first = std::move(again_.front());
      again_.pop_front();
      return first;
    }
    std::optional<std::string> text = lines_.next();
    if (!text.has_value()) {
      Fail(lines_.fault());
      return std::nullopt;
    }
    const int64_t number = next_++;
    if (options_.sample != nullptr && !options_.sample->answers.contains(number)) continue;
    return std::pair(number, *std::move(text));
  }
  return std::nullopt;
}

std::optional<Batch::Line> Batch::Next() {
  while (true) {
    const auto text = NextText();
    if (!text.has_value()) return std::nullopt;
    const int64_t number = text->first;
    // Before anybody works on it, not after: what waits for its turn must stay bounded when one
    // line takes minutes.
    if (options_.window.has_value() && options_.sample == nullptr) {
      output_->AwaitRoom(number, *options_.window);
    }
    if (HasFailed()) return std::nullopt;
    absl::StatusOr<Json> json = ParseLine(text->second);
    Json head = Head(json.ok() ? *json : Json::object());
    if (json.ok() && !header_.empty() && json->contains(kRunKey) &&
        !((*json)[kRunKey].is_string() && IsRunId((*json)[kRunKey].get<std::string>()))) {
      json = absl::InvalidArgumentError("the key run is the answer's own; rename that of the line");
    }
    if (!json.ok()) {
      Answer(number, std::move(head), json.status());
      continue;
    }
    if (options_.sample != nullptr) {
      const Json& answer = options_.sample->answers.at(number);
      if (answer.contains("seed") && !json->contains("seed")) (*json)["seed"] = answer["seed"];
    }
    return Line{number, *std::move(json), std::move(head)};
  }
}

void Batch::Answer(int64_t number, Json head, const absl::StatusOr<Json>& answer) {
  head.update(answer.ok() ? *answer : ErrorJson(answer.status()));
  std::string line = FormatLine(head) + "\n";
  {
    MutexLock lock(&mutex_);
    if (options_.sample != nullptr) {
      CompareWith(*options_.sample, number, head);
    } else {
      failed_ += head.contains("error") ? 1 : 0;
      options_.on_answer(number, head);
      output_->Put(number, std::move(line));
    }
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
                                                  .headers = options.headers,
                                                  .own_keys = options.own_keys,
                                                  .describe = options.describe,
                                                  .sample = options.sample},
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
