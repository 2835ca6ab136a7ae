// dyadctl score: log-probabilities of texts, for people or as a batch.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/commands.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

struct Scored {
  v1::TextScore score;
  v1::Convention convention;
};

absl::StatusOr<Scored> ScoreLine(const Client& client, const Json& line) {
  ASSIGN_OR_RETURN(const v1::ScoreRequest request, ScoreRequestFromJson(line));
  ASSIGN_OR_RETURN(v1::ScoreResponse response, client.Score(request));
  return Scored{std::move(*response.mutable_scores(0)), response.convention()};
}

Json FieldDefaults(const Arguments& arguments) {
  Json fields = FieldsFrom(arguments, {"convention", "special_tokens", "top_n"});
  if (arguments.Has("model")) fields["model"] = arguments.Text("model", "");
  return fields;
}

// The texts of the command line as lines of a batch.
absl::StatusOr<std::vector<Json>> LinesFrom(const Arguments& arguments) {
  Json common = FieldDefaults(arguments);
  if (arguments.Has("context")) common["context"] = arguments.Text("context", "");
  if (arguments.Has("context_ids")) {
    ASSIGN_OR_RETURN(common["context_ids"],
                     IdList("--context_ids", arguments.Text("context_ids", "")));
  }
  std::vector<Json> lines;
  for (const std::string& text : Texts(arguments)) {
    lines.push_back(common);
    lines.back()["text"] = text;
  }
  if (arguments.Has("ids")) {
    lines.push_back(common);
    ASSIGN_OR_RETURN(lines.back()["ids"], IdList("--ids", arguments.Text("ids", "")));
  }
  if (lines.empty()) {
    return absl::InvalidArgumentError("nothing to score: give a text, --ids or --input");
  }
  return lines;
}

// One row per token fed.
void PrintTable(const Scored& scored, const Console& console) {
  const v1::TextScore& score = scored.score;
  console.out << absl::StrFormat("%8s  %10s  %6s  %s\n", "id", "logprob", "rank", "token");
  for (int i = 0; i < score.ids_size(); ++i) {
    const bool known = i < score.scored_size() && score.scored(i);
    console.out << absl::StrFormat(
        "%8d  %10s  %6s  %s\n", score.ids(i),
        known ? absl::StrFormat("%.5f", score.logprobs(i)) : "-",
        known && i < score.ranks_size() ? absl::StrCat(score.ranks(i)) : "-",
        i < score.texts_size() ? FormatLine(Json(score.texts(i))) : "");
  }
  console.out << absl::StrFormat("sum %.5f  mean %.5f  over %d of %d tokens, %s\n", score.sum(),
                                 score.mean(), score.scored_tokens(), score.ids_size(),
                                 v1::Convention_Name(scored.convention));
}

absl::StatusOr<int> RunScore(const Arguments& arguments, const Console& console) {
  ASSIGN_OR_RETURN(const Client client, ClientFrom(arguments));
  RETURN_IF_ERROR(ConventionFromName(arguments.Text("convention", "")).status());
  const Details details = arguments.On("details") ? Details::kYes : Details::kNo;
  if (IsBatch(arguments)) {
    ASSIGN_OR_RETURN(const BatchOptions options, BatchFrom(arguments));
    const Json defaults = FieldDefaults(arguments);
    ASSIGN_OR_RETURN(const BatchResult result,
                     RunBatch(options, console, [&](const Json& line) -> absl::StatusOr<Json> {
                       ASSIGN_OR_RETURN(const Scored scored,
                                        ScoreLine(client, WithDefaults(defaults, line)));
                       return ScoreAnswer(scored.score, scored.convention, details);
                     }));
    return ReportBatch(result, console);
  }
  ASSIGN_OR_RETURN(const std::vector<Json> lines, LinesFrom(arguments));
  for (const Json& line : lines) {
    ASSIGN_OR_RETURN(const Scored scored, ScoreLine(client, line));
    if (arguments.On("json")) {
      console.out << FormatLine(ScoreAnswer(scored.score, scored.convention, details)) << '\n';
    } else {
      PrintTable(scored, console);
    }
  }
  return 0;
}

}  // namespace

Command ScoreCommand() {
  return {
      .name = "score",
      .usage = "TEXT... | --ids=IDS | --input=FILE [--output=FILE]",
      .summary = "Log-probabilities of texts, token by token",
      .text =
          "A line of --input has \"text\" or \"ids\", optionally \"context\" or \"context_ids\"; "
          "its\n"
          "answer has \"ids\" (every token fed), of that length \"logprobs\" and \"greedy\" (null "
          "where\n"
          "not scored), \"sum\", \"mean\" and \"convention\".\n",
      .flags = {{"convention", FlagKind::kValue, "NAME",
                 "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"},
                {"text", FlagKind::kRepeated, "TEXT", "As TEXT, for one that begins with --"},
                {"ids", FlagKind::kValue, "IDS", "Token ids to score as they are: 2,50,713"},
                {"context", FlagKind::kValue, "TEXT", "Score the text as what follows this"},
                {"context_ids", FlagKind::kValue, "IDS", "The same for ids"},
                {"top_n", FlagKind::kValue, "N", "Best tokens at each position, 0 (default) to 20"},
                {"special_tokens", FlagKind::kValue, "MODE",
                 "PARSE (default) or LITERAL: \"</s>\" in the text"},
                {"details", FlagKind::kSwitch, "",
                 "Add \"ranks\", \"texts\" and \"byte_offsets\""}},
      .takes_batches = true,
      .run = &RunScore};
}

}  // namespace dyad::client
