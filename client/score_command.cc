// dyadctl score: log-probabilities of texts, for people or as a batch.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

struct Scored {
  v1::TextScore score;
  v1::Convention convention;
};

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

class Score final : public BatchCommand {
 public:
  using BatchCommand::BatchCommand;

  void AddFlags(CLI::App& app) override {
    AddTextField(app, fields_, "convention",
                 {"NAME", "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"});
    AddTextFlag(app);
    app.add_option("--ids", ids_, "Token ids to score as they are: 2,50,713")->type_name("IDS");
    AddTextField(app, context_, "context", {"TEXT", "Score the text as what follows this"});
    AddTextField(app, context_, "context_ids", {"IDS", "The same for ids"});
    AddField(app, fields_, "top_n", {"N", "Best tokens at each position, 0 (default) to 20"});
    AddField(app, fields_, "special_tokens",
             {"MODE", "PARSE (default) or LITERAL: \"</s>\" in the text"});
    AddSwitch(app, "details", details_, "Add \"ranks\", \"texts\" and \"byte_offsets\"");
    BatchCommand::AddFlags(app);
  }

 protected:
  absl::Status Start() override {
    if (fields_.contains("convention")) {
      RETURN_IF_ERROR(ConventionFromName(fields_["convention"].get<std::string>()).status());
    }
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    ASSIGN_OR_RETURN(const Scored scored, ScoreLine(line));
    return ScoreAnswer(scored.score, scored.convention, details_ ? Details::kYes : Details::kNo);
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    ASSIGN_OR_RETURN(const std::vector<Json> lines, Lines());
    for (const Json& line : lines) {
      if (json_) {
        ASSIGN_OR_RETURN(const Json answer, Answer(line));
        console.out << FormatLine(answer) << '\n';
      } else {
        ASSIGN_OR_RETURN(const Scored scored, ScoreLine(line));
        PrintTable(scored, console);
      }
    }
    return 0;
  }

 private:
  absl::StatusOr<Scored> ScoreLine(const Json& line) const {
    ASSIGN_OR_RETURN(const v1::ScoreRequest request, ScoreRequestFromJson(line));
    ASSIGN_OR_RETURN(v1::ScoreResponse response, client_->Score(request));
    return Scored{std::move(*response.mutable_scores(0)), response.convention()};
  }

  // The texts of the command line as lines of a batch.
  absl::StatusOr<std::vector<Json>> Lines() const {
    Json common = WithDefaults(fields_, context_);
    if (common.contains("context_ids")) {
      Json& ids = common["context_ids"];
      ASSIGN_OR_RETURN(ids, IdList("--context_ids", ids.get<std::string>()));
    }
    std::vector<Json> lines;
    for (const std::string& text : Texts()) lines.push_back(WithDefaults(common, {{"text", text}}));
    if (ids_.has_value()) {
      ASSIGN_OR_RETURN(common["ids"], IdList("--ids", *ids_));
      lines.push_back(std::move(common));
    }
    if (!lines.empty()) return lines;
    return absl::InvalidArgumentError("nothing to score: give a text, --ids or --input");
  }

  std::optional<Client> client_;
  std::optional<std::string> ids_;
  Json context_ = Json::object();  // of the texts of the command line
  bool details_ = false;
};

}  // namespace

std::unique_ptr<Command> ScoreCommand() {
  return std::make_unique<Score>(CommandHelp{
      .name = "score",
      .usage = "TEXT... | --ids=IDS | --input=FILE [--output=FILE]",
      .summary = "Log-probabilities of texts, token by token",
      .text =
          "A line of --input has \"text\" or \"ids\", optionally \"context\" or \"context_ids\"; "
          "its\n"
          "answer has \"ids\" (every token fed), of that length \"logprobs\" and \"greedy\" (null "
          "where\n"
          "not scored), \"sum\", \"mean\" and \"convention\".\n"});
}

}  // namespace dyad::client
