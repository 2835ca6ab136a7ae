// Threads take lines in turn; the output puts answers back in order.
#include "client/batch.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/line_input.h"
#include "client/ordered_output.h"
#include "client/progress.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

// Answers may wait for an earlier, slower one: this many lines for each request in flight.
constexpr int64_t kWindowPerRequest = 16;

// Hands out lines with their numbers; several threads.
class Lines {
 public:
  explicit Lines(LineInput input) : input_(std::move(input)) {}

  struct Line {
    int64_t number;
    std::string text;
  };

  std::optional<Line> Next() {
    MutexLock lock(&mu_);
    std::optional<std::string> text = input_.Next();
    if (!text.has_value()) return std::nullopt;
    return Line{next_++, *std::move(text)};
  }

 private:
  Mutex mu_;
  LineInput input_ ABSL_GUARDED_BY(mu_);
  int64_t next_ ABSL_GUARDED_BY(mu_) = 0;
};

// Never fails: what is wrong with a line is its answer.
std::string AnswerLine(const std::string& text, const Answerer& answer) {
  const auto line = ParseLine(text);
  if (!line.ok()) return FormatLine(ErrorJson(line.status()));
  const auto value = answer(*line);
  return FormatLine(value.ok() ? *value : ErrorJson(value.status()));
}

}  // namespace

absl::StatusOr<BatchResult> RunBatch(const BatchOptions& options, const Console& console,
                                     const Answerer& answer) {
  ASSIGN_OR_RETURN(LineInput input, LineInput::Open(options.input, console.in));
  ASSIGN_OR_RETURN(const auto output,
                   OrderedOutput::Open(options.output, console.out, [](absl::string_view) {}));
  const int64_t skipped = output->old_lines();
  const std::optional<int64_t> total = input.total();
  Lines lines(std::move(input));
  for (int64_t i = 0; i < skipped; ++i) {
    if (lines.Next().has_value()) continue;
    return absl::FailedPreconditionError(absl::StrCat(options.output, " has ", skipped,
                                                      " answers, but ", options.input, " only ", i,
                                                      " lines: another input's output?"));
  }
  Progress progress(console.err, console.err_screen,
                    {.unit = options.unit, .skipped = skipped, .total = total, .elapsed = {}});
  const int64_t window = kWindowPerRequest * options.concurrency;
  const auto work = [&] {
    while (const auto line = lines.Next()) {
      // Before asking, not after: what waits for its turn must stay bounded when one line takes
      // minutes.
      output->AwaitRoom(line->number, window);
      output->Put(line->number, AnswerLine(line->text, answer));
      progress.Add(1);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.concurrency; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  RETURN_IF_ERROR(output->Finish());
  return BatchResult{progress.State().done, skipped, output->failed()};
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
