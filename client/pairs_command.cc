// dyadctl pairs: minimal pairs from a JSON-lines file, over one stream.
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/accuracy.h"
#include "client/commands.h"
#include "client/line_input.h"
#include "client/pair_command.h"
#include "client/pair_run.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kPairsOnScreen = 100;

// The pair of the command line, or the lines of --input.
absl::StatusOr<LineSource> LinesFrom(const Arguments& arguments, const Console& console,
                                     PairRunOptions& options) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() == 2 && !IsBatch(arguments)) {
    options.total = 1;
    auto line = std::make_shared<std::optional<std::string>>(
        FormatLine({{"sentence_good", words[0]}, {"sentence_bad", words[1]}}));
    return LineSource([line] { return std::exchange(*line, std::nullopt); });
  }
  if (!words.empty() || !IsBatch(arguments)) {
    return absl::InvalidArgumentError("pairs takes --input, or a good and a bad sentence");
  }
  ASSIGN_OR_RETURN(LineInput opened, LineInput::Open(arguments.Text("input", "-"), console.in));
  options.total = opened.total();
  auto input = std::make_shared<LineInput>(std::move(opened));
  return LineSource([input] { return input->Next(); });
}

// Two lines: verdict, margin and the good sentence; under it the bad one.
std::string PairText(const Json& answer) {
  if (answer.contains("error")) return absl::StrCat("error  ", FormatLine(answer["error"]), "\n");
  const char* verdict = answer["tie"].get<bool>()       ? "tie  "
                        : answer["correct"].get<bool>() ? "right"
                                                        : "wrong";
  return absl::StrFormat("%s  %+9.4f  %s\n                  %s\n", verdict,
                         answer["margin"].get<double>(), answer["sentence_good"].get<std::string>(),
                         answer["sentence_bad"].get<std::string>());
}

absl::StatusOr<int> RunPairsCommand(const Arguments& arguments, const Console& console) {
  ASSIGN_OR_RETURN(PairRunOptions options, PairRunFrom(arguments));
  ASSIGN_OR_RETURN(const LineSource lines, LinesFrom(arguments, console, options));
  const bool to_screen = !arguments.Has("output") && !arguments.On("json");
  // With --json and no file, the answers themselves are what is asked for.
  options.output = arguments.Text("output", arguments.On("json") ? "-" : "/dev/null");
  Accuracy accuracy;
  std::map<int64_t, std::string> screen;  // the first pairs, in order
  ASSIGN_OR_RETURN(const PairRunResult result,
                   RunPairs(options, console, lines, [&](int64_t number, const Json& answer) {
                     accuracy.Add(answer);
                     if (!to_screen) return;
                     screen.emplace(number, PairText(answer));
                     if (screen.size() > kPairsOnScreen) screen.erase(std::prev(screen.end()));
                   }));
  for (const auto& [number, text] : screen) console.out << text;
  if (options.output != "-") PrintSummary(accuracy, result, arguments, console);
  return ReportBatch(result.batch, console);
}

}  // namespace

Command PairsCommand() {
  return {
      .name = "pairs",
      .usage = "--input=FILE [--output=FILE] | GOOD BAD",
      .summary = "Score minimal pairs: which sentence is likelier",
      .text =
          "A line of --input has \"sentence_good\" and \"sentence_bad\"; its answer is the line "
          "with\n"
          "\"good_sum\", \"bad_sum\", \"margin\", \"tie\", \"correct\" and \"first_difference\".\n"
          "\"phenomenon\" (or \"linguistics_term\" and \"UID\") of the lines make the table's "
          "rows.\n",
      .flags = PairFlags(),
      .takes_batches = false,
      .run = &RunPairsCommand};
}

}  // namespace dyad::client
