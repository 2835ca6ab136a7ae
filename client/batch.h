// JSON lines in, JSON lines out: order kept, gone on with after a kill, errors in their place.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/json_line.h"
#include "client/line_input.h"
#include "client/ordered_output.h"
#include "client/rows.h"
#include "client/run_header.h"
#include "client/sample.h"
#include "server/base/console.h"
#include "server/base/mutex.h"
#include "server/base/progress.h"

namespace dyad::client {

struct BatchResult {
  int64_t lines = 0;    // answered, in earlier runs too
  int64_t skipped = 0;  // were in the output before
  // Error objects in the output, old ones included unless they were asked again.
  int64_t failed = 0;
  absl::Duration elapsed{};  // of this run
};

// Answer of line `number`, those of an output that is gone on with included; in any order, never by
// two threads at once.
using AnswerSink = std::function<void(int64_t number, const Json& answer)>;

// What happens to error objects of an earlier run.
enum class OldErrors { kAreAnswers, kAskAgain };

// The keys of a line that come back in front of its answer or error.
using OwnKeys = std::function<Json(const Json& line)>;

// Which outputs begin with the header of their run (client/run_header.h); only those in which
// answers are found later, or all of them.
enum class Headers { kOfFiles, kOfAll };

// What the run is; called if the output has a header, before anything is read of it.
using Describe = std::function<absl::StatusOr<RunDescription>()>;

// The engine of every batch: hands out the lines that have no answer yet and takes their answers in
// any order. Who works on the lines, threads or streams, is the caller's business.
// Threads: any number may call everything but Open and Finish.
class Batch {
 public:
  struct Options {
    std::string input = {};      // what the lines are of; see OrderedOutput::Open
    std::string output = "-";    // file, or "-" for standard output
    std::string unit = "lines";  // for the progress bar
    // How far a line may be ahead of the first without an answer: bounds what waits for its turn.
    // Absent: the caller bounds it.
    std::optional<int64_t> window = {};
    OldErrors old_errors = OldErrors::kAreAnswers;
    Headers headers = Headers::kOfFiles;
    OwnKeys own_keys = [](const Json&) { return Json::object(); };
    Describe describe = [] { return RunDescription(); };
    AnswerSink on_answer = [](int64_t, const Json&) {};
    // Set: only these lines are answered, and compared with; the run must be the same. A line
    // without "seed" takes that of its answer. `output` gets nothing.
    Sample* sample = nullptr;
    // Set: an answer is a list of rows of this layout. A header that cannot stand in front of them
    // is in FILE.run.json.
    std::optional<RowLayout> rows = {};
  };

  // Skips what the output has already; `on_answer` sees those answers. Progress goes to the
  // console's `err`. Errors: of OrderedOutput, of `describe`; FailedPrecondition for an output that
  // is not of this run, or an input that can be read only once where there are answers already.
  static absl::StatusOr<std::unique_ptr<Batch>> Open(LineInput lines, Options options,
                                                     const Console& console);

  struct Line {
    // 0-based; ascends from one Next to the next.
    int64_t number;
    Json json;
    // Of the answer: the line's own keys if they are kept, then the run's id if there is a header.
    Json head;
  };

  // The next line, once the window has room for it; one that is no JSON object gets its error
  // object here and is passed over. Nothing at the end, and after Fail.
  std::optional<Line> Next();

  // Each line that Next gave once, with its head. An error becomes an error object: it must be the
  // line's own (client/error_owner.h).
  void Answer(int64_t number, Json head, const absl::StatusOr<Json>& answer);

  // Of the run; an empty object if the output has none.
  const Json& header() const { return header_; }

  // The batch cannot go on: Next gives nothing any more, and lines without an answer get none. The
  // first failure stays.
  void Fail(const absl::Status& failure);

  // When nobody works on a line any more. Errors: of OrderedOutput::Finish; the failure, with how
  // far the batch came.
  absl::StatusOr<BatchResult> Finish();

 private:
  Batch(LineInput lines, Options options)
      : options_(std::move(options)), lines_(std::move(lines)) {}
  // The run of this description: writes its header, or goes on with what is there.
  absl::Status Begin(Json header);
  absl::StatusOr<OrderedOutput::OldAnswers> ReadOld(std::istream& file);
  absl::StatusOr<OrderedOutput::OldAnswers> ReadOldLines(std::istream& file, int64_t at);
  absl::StatusOr<OrderedOutput::OldAnswers> ReadOldRows(std::istream& file, int64_t at);
  // The header in FILE.run.json, if there is one.
  absl::StatusOr<std::optional<Json>> ReadHeaderBeside() const;
  bool has_header_beside() const {
    return options_.rows.has_value() && options_.rows->has_header_beside();
  }
  // The next line has an answer already, an error or not.
  absl::Status Pass(bool failed);
  // The next line to be answered, and its number.
  std::optional<std::pair<int64_t, std::string>> NextText();
  Json Head(const Json& line) const;
  void Compare(int64_t number, const Json& own, const absl::StatusOr<Json>& answer);
  bool HasFailed();

  const Options options_;
  std::unique_ptr<OrderedOutput> output_;
  Json header_ = Json::object();
  std::unique_ptr<Progress> progress_;

  // Two locks: whoever waits for a line of standard input must not hold up an answer.
  Mutex lines_mutex_;
  LineInput lines_ ABSL_GUARDED_BY(lines_mutex_);
  int64_t next_ ABSL_GUARDED_BY(lines_mutex_) = 0;
  // Lines before next_ that are asked again.
  std::deque<std::pair<int64_t, std::string>> again_ ABSL_GUARDED_BY(lines_mutex_);
  Mutex mutex_;
  int64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

struct BatchOptions {
  std::string input = "-";   // file, or "-" for standard input: what the lines are of
  std::string output = "-";  // file, or "-" for standard output
  // Requests in flight, 1 ... kMaxConcurrency; each has a thread.
  int64_t concurrency = 16;
  OldErrors old_errors = OldErrors::kAreAnswers;
  Headers headers = Headers::kOfFiles;
  OwnKeys own_keys = [](const Json&) { return Json::object(); };
  Describe describe = [] { return RunDescription(); };
  // As Batch::Options.
  AnswerSink on_answer = [](int64_t, const Json&) {};
  Sample* sample = nullptr;
  std::optional<RowLayout> rows = {};
};

inline constexpr int64_t kMaxConcurrency = 256;

// Answers one line. Called from several threads at once.
using Answerer = std::function<absl::StatusOr<Json>(const Json& line)>;

// A batch whose lines are answered one by one, by a thread for each request in flight. A full queue
// is waited for; another error that is not the line's own fails the batch. Errors: of Batch::Open
// and Batch::Finish.
absl::StatusOr<BatchResult> RunBatch(LineInput lines, const BatchOptions& options,
                                     const Console& console, const Answerer& answer);
// The same over the lines of options.input. Errors: those of LineInput::Open, too.
absl::StatusOr<BatchResult> RunBatch(const BatchOptions& options, const Console& console,
                                     const Answerer& answer);

// Says on `err` what was skipped and what failed, and returns the exit status: 1 if anything did.
int ReportBatch(const BatchResult& result, const Console& console);

}  // namespace dyad::client
