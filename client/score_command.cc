// dyadctl score: log-probabilities of texts, for people or as a batch.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/json_message.h"
#include "client/request_json.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

using enum FieldKind;

struct Scored {
  v1::TextScore score;
  v1::Convention convention;
};

// Likelier first; empty unless --top_n asks for them.
std::string TopText(const v1::TextScore& score, int position) {
  std::string text;
  if (position >= score.top_size()) return text;
  for (const v1::TopToken& token : score.top(position).tokens()) {
    absl::StrAppend(&text, "  ", FormatLine(Json(token.text())),
                    absl::StrFormat(" %.5f", token.logprob()));
  }
  return text;
}

// One row per token fed.
void PrintTable(const Scored& scored, const Console& console) {
  const v1::TextScore& score = scored.score;
  console.out << absl::StrFormat("%8s  %10s  %6s  %s\n", "id", "logprob", "rank", "token");
  for (int i = 0; i < score.ids_size(); ++i) {
    const bool known = i < score.scored_size() && score.scored(i);
    console.out << absl::StrFormat(
        "%8d  %10s  %6s  %s%s\n", score.ids(i),
        known ? absl::StrFormat("%.5f", score.logprobs(i)) : "-",
        known && i < score.ranks_size() ? absl::StrCat(score.ranks(i)) : "-",
        i < score.texts_size() ? FormatLine(Json(score.texts(i))) : "", TopText(score, i));
  }
  const std::string total = score.scored_tokens() > 0
                                ? absl::StrFormat("sum %.5f  mean %.5f", score.sum(), score.mean())
                                : "nothing scored";
  console.out << absl::StrFormat("%s  over %d of %d tokens, %s\n", total, score.scored_tokens(),
                                 score.ids_size(), EnumWord(scored.convention));
}

std::string TextOf(const Json& line) {
  return line.contains("text") && line["text"].is_string() ? line["text"].get<std::string>()
                                                           : std::string();
}

// One row per word, if words were asked for.
void PrintWords(const v1::TextScore& score, const std::string& text, const Console& console) {
  for (const v1::SpanScore& word : score.words()) {
    console.out << absl::StrFormat(
        "%8s  %10s  %6d  %s\n", "word",
        word.has_logprob() ? absl::StrFormat("%.5f", word.logprob()) : "-", word.tokens(),
        FormatLine(Json(WordText(text, word))));
  }
}

class Score final : public BatchCommand {
 public:
  using BatchCommand::BatchCommand;

  void AddFlags(CLI::App& app) override {
    AddFields(
        app, fields_,
        {{"convention", kText, "NAME",
          "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"},
         {"special_tokens", kJson, "MODE", R"(PARSE (default) or LITERAL: "</s>" in the text)"},
         {"top_n", kJson, "N", "Best tokens at each position, 0 (default) to 20"},
         {"word_split", kText, "NAME", "Also sums over words: WHITESPACE (default) or PUNCTUATION"},
         {"word_correction", kText, "NAME",
          "The same; NONE (default), or OH_SCHULER or PIMENTEL_MEISTER: a word's end counts to "
          "it"}});
    AddFields(app, ids_, {{"ids", kIds, "IDS", "Token ids to score as they are: 2,50,713"}});
    AddFields(app, context_,
              {{"context", kText, "TEXT", "Score the text as what follows this"},
               {"context_ids", kIds, "IDS", "The same for ids"}});
    AddTextFlag(app);
    AddDetailsFlag(app, R"(Add "ranks", "texts" and "byte_offsets")");
    BatchCommand::AddFlags(app);
    for (const char* flag : {"--ids", "--context", "--context_ids"}) Excludes(flag, "--input");
  }

 protected:
  absl::Status Start() override {
    const auto request = ScoreRequestFromJson(WithDefaults(fields_, {{"text", ""}}));
    if (!request.ok()) return UsageError(absl::StrCat("--", request.status().message()));
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  const std::vector<std::string>& LineOptions() const override { return ScoreOptions(); }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    ASSIGN_OR_RETURN(const Scored scored, ScoreLine(line));
    return ScoreAnswer(scored.score, TextOf(line), scored.convention, details());
  }

  Json Defaults() const override {
    return {{"convention", "LM_EVAL"}, {"special_tokens", "PARSE"}};
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    const Json common = WithDefaults(fields_, context_);
    std::vector<Json> lines;
    for (const std::string& text : Texts()) lines.push_back(WithDefaults(common, {{"text", text}}));
    if (!ids_.empty()) lines.push_back(WithDefaults(common, ids_));
    if (lines.empty()) {
      return UsageError("nothing to score: give a text, --ids or --input");
    }
    for (const Json& line : lines) {
      if (json_) {
        ASSIGN_OR_RETURN(const Json answer, Answer(line));
        console.out << FormatLine(answer) << '\n';
      } else {
        ASSIGN_OR_RETURN(const Scored scored, ScoreLine(line));
        PrintTable(scored, console);
        PrintWords(scored.score, TextOf(line), console);
      }
      RETURN_IF_ERROR(Flush(console));
    }
    return 0;
  }

 private:
  absl::StatusOr<Scored> ScoreLine(const Json& line) const {
    ASSIGN_OR_RETURN(const v1::ScoreRequest request, ScoreRequestFromJson(line));
    ASSIGN_OR_RETURN(v1::ScoreResponse response, client_->Score(request));
    RETURN_IF_ERROR(CheckDigest(response.model(), response.model_digest()));
    return Scored{std::move(*response.mutable_scores(0)), response.convention()};
  }

  std::optional<Client> client_;
  Json ids_ = Json::object(), context_ = Json::object();  // of the command line
};

}  // namespace

std::unique_ptr<Command> ScoreCommand() {
  return std::make_unique<Score>(CommandHelp{
      "score", "TEXT... | --ids=IDS | --input=FILE [--output=FILE]",
      "Log-probabilities of texts, token by token",
      R"(A line of --input has "text" or "ids", optionally "context" or "context_ids"; its answer has
"ids" (every token fed), of that length "logprobs" and "greedy" (null where not scored), "sum" and
"mean" (null if no token was scored), "scored_tokens" and "convention". With a word_split or
word_correction it has "words": "word", "begin", "end" (bytes of the text), "tokens", "logprob".
)"});
}

}  // namespace dyad::client
