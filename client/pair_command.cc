// Shared by `pairs` and `blimp`.
#include "client/pair_command.h"

#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/progress.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

double PairsPerSecond(const PairRunResult& result) {
  const double seconds = absl::ToDoubleSeconds(result.batch.elapsed);
  return seconds > 0 ? static_cast<double>(result.scored) / seconds : 0.0;
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

}  // namespace

void PairCommand::AddFlags(CLI::App& app) {
  app.add_option("--input", input_, "Pairs to score; see above")->type_name("FILE");
  app.add_option("--output", output_,
                 "One answer a line, in order; a file that has some is gone on with")
      ->type_name("FILE");
  app.add_option("--convention", convention_,
                 "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL")
      ->type_name("NAME");
  app.add_option("--special_tokens", special_tokens_,
                 "PARSE (default) or LITERAL: \"</s>\" in a sentence")
      ->type_name("MODE");
  AddNumber(app, "streams", flags_.streams, 1, kMaxStreams,
            {"N", "Clients that share the pairs, each with its own connection, 1 (default) to 64"});
  AddNumber(app, "concurrency", flags_.stream.window, 1, 65536,
            {"N", "Pairs in flight on a stream, 1 to 65536 (default 512)"});
  Command::AddFlags(app);
}

absl::StatusOr<PairRunOptions> PairCommand::Options() const {
  PairRunOptions options = flags_;
  options.connection = connection_;
  options.output = output_.value_or("/dev/null");
  options.stream.model = model_;
  ASSIGN_OR_RETURN(options.stream.convention, ConventionFromName(convention_));
  ASSIGN_OR_RETURN(options.stream.special_tokens, SpecialTokensFromName(special_tokens_));
  return options;
}

absl::StatusOr<int> PairCommand::Score(const PairRunOptions& options, LineInput lines, size_t shown,
                                       const Console& console) const {
  Accuracy accuracy;
  std::map<int64_t, std::string> screen;  // answers come in any order
  const auto on_answer = [&](int64_t number, const Json& answer) {
    accuracy.Add(answer);
    if (shown == 0) return;
    screen.emplace(number, PairText(answer));
    if (screen.size() > shown) screen.erase(std::prev(screen.end()));
  };
  ASSIGN_OR_RETURN(const PairRunResult result,
                   RunPairs(options, console, std::move(lines), on_answer));
  for (const auto& [number, text] : screen) console.out << text;
  if (options.output != "-") {
    console.out << (json_ ? FormatLine(SummaryJson(accuracy, result)) + "\n"
                          : SummaryText(accuracy, result));
  }
  return ReportBatch(result.batch, console);
}

std::string SummaryText(const Accuracy& accuracy, const PairRunResult& result) {
  std::string text = accuracy.Table();
  if (result.scored == 0) return text;
  absl::StrAppend(&text,
                  absl::StrFormat("%s, %s: %d pairs in %s, %.1f pairs/s\n", result.info.model,
                                  v1::Convention_Name(result.info.convention), result.scored,
                                  MinutesAndSeconds(result.batch.elapsed), PairsPerSecond(result)));
  return text;
}

Json SummaryJson(const Accuracy& accuracy, const PairRunResult& result) {
  Json json = {{"model", result.info.model},
               {"model_digest", result.info.model_digest},
               {"convention", v1::Convention_Name(result.info.convention)},
               {"seconds", absl::ToDoubleSeconds(result.batch.elapsed)},
               {"pairs_per_second", PairsPerSecond(result)}};
  json.update(accuracy.ToJson());
  return json;
}

}  // namespace dyad::client
