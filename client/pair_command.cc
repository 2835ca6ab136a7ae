// Shared by `pairs` and `blimp`.
#include "client/pair_command.h"

#include "absl/strings/str_format.h"
#include "client/progress.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {

std::vector<Flag> PairFlags() {
  return {{"input", FlagKind::kValue, "FILE", "Pairs to score; see above"},
          {"output", FlagKind::kValue, "FILE",
           "One answer a line, in order; a file that has some is gone on with"},
          {"convention", FlagKind::kValue, "NAME",
           "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"},
          {"special_tokens", FlagKind::kValue, "MODE",
           "PARSE (default) or LITERAL: \"</s>\" in a sentence"},
          {"streams", FlagKind::kValue, "N",
           "Clients that share the pairs, each with its own connection, 1 (default) to 64"},
          {"concurrency", FlagKind::kValue, "N",
           "Pairs in flight on a stream, 1 to 65536 (default 512)"}};
}

absl::StatusOr<PairRunOptions> PairRunFrom(const Arguments& arguments) {
  PairRunOptions options;
  options.connection = ConnectionFrom(arguments);
  options.stream.model = arguments.Text("model", "");
  ASSIGN_OR_RETURN(options.stream.convention, ConventionFromName(arguments.Text("convention", "")));
  ASSIGN_OR_RETURN(options.stream.special_tokens,
                   SpecialTokensFromName(arguments.Text("special_tokens", "")));
  ASSIGN_OR_RETURN(options.stream.window,
                   arguments.Integer("concurrency", options.stream.window, {1, 65536}));
  ASSIGN_OR_RETURN(const int64_t streams, arguments.Integer("streams", 1, {1, kMaxStreams}));
  options.streams = static_cast<int>(streams);
  options.output = arguments.Text("output", "/dev/null");
  return options;
}

void PrintSummary(const Accuracy& accuracy, const PairRunResult& result, const Arguments& arguments,
                  const Console& console) {
  const double seconds = absl::ToDoubleSeconds(result.elapsed);
  const double rate = seconds > 0 ? static_cast<double>(result.scored) / seconds : 0.0;
  if (arguments.On("json")) {
    Json json = {{"model", result.info.model},
                 {"model_digest", result.info.model_digest},
                 {"convention", v1::Convention_Name(result.info.convention)},
                 {"seconds", seconds},
                 {"pairs_per_second", rate}};
    json.update(accuracy.ToJson());
    console.out << FormatLine(json) << '\n';
    return;
  }
  console.out << accuracy.Table();
  if (result.scored == 0) return;
  console.out << absl::StrFormat("%s, %s: %d pairs in %s, %.1f pairs/s\n", result.info.model,
                                 v1::Convention_Name(result.info.convention), result.scored,
                                 MinutesAndSeconds(result.elapsed), rate);
}

}  // namespace dyad::client
