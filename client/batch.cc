// Lines go out under one lock; answers come back under another, and the output puts them in order.
#include "client/batch.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/error_owner.h"
#include "client/threads.h"
#include "server/base/file.h"
#include "server/base/new_file.h"
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
  if (batch->output_->keeps() || given.headers == Headers::kOfAll || given.sample != nullptr ||
      given.rows.has_value()) {
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
  const bool keeps = output_->keeps();
  if (keeps) {
    RETURN_IF_ERROR(output_->GoOn([this](std::istream& file) { return ReadOld(file); }));
  }
  if (!output_->empty()) return absl::OkStatus();
  std::string head = options_.rows.has_value() ? HeadOfRows(*options_.rows) : "";
  if (!has_header_beside()) {
    if (keeps || options_.headers == Headers::kOfAll) head = HeaderLine(header_) + "\n" + head;
  } else if (keeps) {
    ASSIGN_OR_RETURN(const std::optional<Json> there, ReadHeaderBeside());
    if (!there.has_value()) {
      RETURN_IF_ERROR(WriteNewFile(options_.output + kHeaderSuffix, HeaderLine(header_) + "\n"));
    }
  }
  return head.empty() ? absl::OkStatus() : output_->WriteHead(head);
}

absl::StatusOr<std::optional<Json>> Batch::ReadHeaderBeside() const {
  const std::string path = options_.output + kHeaderSuffix;
  ASSIGN_OR_RETURN(const bool exists, HasEntry(path));
  if (!exists) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxHeaderBytes));
  const absl::StatusOr<Json> header = ReadHeader(text);
  if (!header.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", header.status().message()));
  }
  return *header;
}

absl::StatusOr<OrderedOutput::OldAnswers> Batch::ReadOld(std::istream& file) {
  if (has_header_beside()) {
    ASSIGN_OR_RETURN(const std::optional<Json> there, ReadHeaderBeside());
    if (there.has_value()) {
      RETURN_IF_ERROR(CheckSameRun(*there, header_));
    } else if (file.peek() != std::istream::traits_type::eof()) {
      return absl::FailedPreconditionError(
          absl::StrCat("it has no header of a run beside it, ", options_.output, kHeaderSuffix));
    }
    const std::string head = HeadOfRows(*options_.rows);
    std::string found(head.size(), '\0');
    file.clear();
    file.read(found.data(), static_cast<std::streamsize>(found.size()));
    found.resize(static_cast<size_t>(file.gcount()));
    if (found != head.substr(0, found.size())) {
      return absl::FailedPreconditionError("its columns are not those of this run");
    }
    if (found.size() < head.size()) return OrderedOutput::OldAnswers();
    file.clear();
    file.seekg(0);
    return ReadOldRows(file, static_cast<int64_t>(head.size()));
  }
  std::string line;
  if (!std::getline(file, line)) return OrderedOutput::OldAnswers();
  // Before its line feed even a header may be cut off.
  const bool is_torn = file.eof() && MayBeginHeader(line) && !ParseLine(line).ok();
  if (is_torn) return OrderedOutput::OldAnswers();
  ASSIGN_OR_RETURN(const Json there, ReadHeader(line));
  RETURN_IF_ERROR(CheckSameRun(there, header_));
  if (file.eof()) return OrderedOutput::OldAnswers();
  const int64_t at = static_cast<int64_t>(line.size()) + 1;
  return options_.rows.has_value() ? ReadOldRows(file, at) : ReadOldLines(file, at);
}

absl::StatusOr<OrderedOutput::OldAnswers> Batch::ReadOldLines(std::istream& file, int64_t at) {
  OrderedOutput::OldAnswers old = {.end = at};
  for (std::string line; std::getline(file, line) && !file.eof();) {
    const absl::StatusOr<Json> json = ParseLine(line);
    if (!json.ok() || !json->contains(kRunKey) || (*json)[kRunKey] != header_[kRunKey]) {
      return absl::FailedPreconditionError(
          absl::StrCat("answer ", old.begins.size() + 1, " is none of this run"));
    }
    const bool failed = json->contains("error");
    RETURN_IF_ERROR(Pass(failed));
    if (!failed || options_.old_errors == OldErrors::kAreAnswers) {
      options_.on_answer(static_cast<int64_t>(old.begins.size()), *json);
    }
    old.begins.push_back(old.end);
    old.end += static_cast<int64_t>(line.size()) + 1;
  }
  return old;
}

// The last item's rows are cut off and made again: nobody can tell whether they are all there.
absl::StatusOr<OrderedOutput::OldAnswers> Batch::ReadOldRows(std::istream& file, int64_t at) {
  OrderedOutput::OldAnswers old = {.end = at};
  std::optional<OldRow> open;  // the first row of the item that is read
  // The item, and those before it that have no rows.
  const auto close = [&](const OldRow& first) -> absl::Status {
    while (static_cast<int64_t>(old.begins.size()) <= first.item) {
      const bool is_it = static_cast<int64_t>(old.begins.size()) == first.item;
      RETURN_IF_ERROR(Pass(is_it && first.is_error));
      old.begins.push_back(first.begin);
    }
    return absl::OkStatus();
  };
  const auto take = [&](OldRow row) -> absl::Status {
    if (open.has_value() && row.item == open->item) return absl::OkStatus();
    if (open.has_value() && row.item < open->item) {
      return absl::FailedPreconditionError(
          absl::StrCat("rows of item ", row.item, " stand behind those of item ", open->item));
    }
    if (open.has_value()) RETURN_IF_ERROR(close(*open));
    old.end = row.begin;
    open = std::move(row);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ReadRows(file, at, *options_.rows, header_[kRunKey].get<std::string>(), take));
  if (open.has_value() && open->is_error) {
    RETURN_IF_ERROR(close(*open));
    old.end = open->end;
  }
  return old;
}

absl::Status Batch::Pass(bool failed) {
  if (!header_.contains("input") || !header_["input"].contains("sha256")) {
    return absl::FailedPreconditionError(
        "it has answers, and the input can be read only once: nobody can tell what is left");
  }
  MutexLock lines_lock(&lines_mutex_);
  std::optional<std::string> text = lines_.next();
  if (!text.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("it has more answers than the ", next_, " lines of the input"));
  }
  const int64_t number = next_++;
  if (failed && options_.old_errors == OldErrors::kAskAgain) {
    again_.emplace_back(number, *std::move(text));
    return absl::OkStatus();
  }
  MutexLock lock(&mutex_);
  failed_ += failed ? 1 : 0;
  return absl::OkStatus();
}

Json Batch::Head(const Json& line) const {
  Json head = options_.own_keys(line);
  if (options_.rows.has_value()) return head;
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
    if (json.ok() && !header_.empty() && !options_.rows.has_value() && json->contains(kRunKey) &&
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
  if (options_.sample != nullptr) return Compare(number, head, answer);
  std::string text;
  if (options_.rows.has_value()) {
    const std::string run = header_[kRunKey].get<std::string>();
    text = TextOfRows(*options_.rows, RowsOf(*options_.rows, number, head, run, answer));
  } else {
    head.update(answer.ok() ? *answer : ErrorJson(answer.status()));
    text = FormatLine(head) + "\n";
  }
  {
    MutexLock lock(&mutex_);
    const bool failed = options_.rows.has_value() ? !answer.ok() : head.contains("error");
    failed_ += failed ? 1 : 0;
    if (!options_.rows.has_value()) options_.on_answer(number, head);
    output_->Put(number, std::move(text));
    progress_->Add(1);
  }
  // Nobody reads: nothing more is asked for.
  Fail(output_->written());
}

void Batch::Compare(int64_t number, const Json& own, const absl::StatusOr<Json>& answer) {
  Json now = own;
  if (options_.rows.has_value()) {
    now = Json::object();
    const std::string run = header_[kRunKey].get<std::string>();
    for (const Json& row : RowsOf(*options_.rows, number, own, run, answer)) {
      now[absl::StrCat("row ", now.size() + 1)] = WrittenRow(*options_.rows, row);
    }
  } else {
    now.update(answer.ok() ? *answer : ErrorJson(answer.status()));
  }
  MutexLock lock(&mutex_);
  CompareWith(*options_.sample, number, now);
  progress_->Add(1);
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
  return RunBatch(std::move(lines), options, console, answer);
}

absl::StatusOr<BatchResult> RunBatch(LineInput lines, const BatchOptions& options,
                                     const Console& console, const Answerer& answer) {
  ASSIGN_OR_RETURN(const auto batch, Batch::Open(std::move(lines),
                                                 {.input = options.input,
                                                  .output = options.output,
                                                  .window = kWindowPerRequest * options.concurrency,
                                                  .old_errors = options.old_errors,
                                                  .headers = options.headers,
                                                  .own_keys = options.own_keys,
                                                  .describe = options.describe,
                                                  .on_answer = options.on_answer,
                                                  .sample = options.sample,
                                                  .rows = options.rows},
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
