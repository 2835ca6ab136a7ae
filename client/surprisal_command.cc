// dyadctl surprisal: how surprising each word, or each region, of a table's texts is.
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/answer_json.h"
#include "client/character_span.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/json_message.h"
#include "client/rows.h"
#include "client/table.h"
#include "client/task_flags.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr char kDefaultFormat[] = "jsonl";

double InUnit(double logprob, const std::string& unit) {
  if (unit == "logprob") return logprob;
  return unit == "bits" ? -logprob / std::numbers::ln2 : -logprob;
}

class Surprisal final : public BatchCommand {
 public:
  using BatchCommand::BatchCommand;

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "correction", "NAME", correction_,
            "NONE (default), or OH_SCHULER or PIMENTEL_MEISTER: a word's end counts to it");
    AddFlag(app, "split", "NAME", split_, "Words: WHITESPACE (default) or PUNCTUATION");
    AddFlag(app, "unit", "UNIT", unit_, "bits (default), nats, or logprob: natural, not negated")
        ->check(CLI::IsMember({"bits", "nats", "logprob"}));
    AddFlag(app, "convention", "NAME", convention_,
            "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL");
    AddFlag(app, "special_tokens", "MODE", special_tokens_,
            R"(PARSE (default) or LITERAL: "</s>" in the text)");
    AddFlag(app, "regions", "COLUMN", regions_,
            R"(Rows are regions: 12:18 or {"text": "cats", "nth": 1}, or a JSON list of them)");
    AddFlag(app, "columns", "MAP", columns_, "Where texts stand: text=sentence,context=before");
    AddFlag(app, "prefix", "TEXT", prefix_, "In front of the names of the answer's columns");
    AddFlag(app, "format", "FORMAT", format_,
            "jsonl (default), csv or tsv, where a name's suffix does not say it")
        ->check(CLI::IsMember({"jsonl", "csv", "tsv"}));
    AddFlag(app, "context", "TEXT", context_, "What stands before the texts of the command line");
    AddTextFlag(app);
    BatchCommand::AddFlags(app);
    for (const char* flag : {"--columns", "--prefix", "--regions", "--format"}) {
      Needs(flag, "--input");
    }
    Excludes("--context", "--input");
  }

 protected:
  absl::Status Start() override {
    for (std::string* word : {&correction_, &split_, &convention_, &special_tokens_}) {
      *word = absl::AsciiStrToUpper(*word);
    }
    ASSIGN_OR_RETURN(request_,
                     RequestFromFlags<v1::ScoreRequest>(
                         {{"convention", convention_}, {"special_tokens", special_tokens_}}));
    ASSIGN_OR_RETURN(
        *request_.mutable_words(),
        RequestFromFlags<v1::WordOptions>({{"split", split_}, {"correction", correction_}}));
    request_.set_model(model_);
    ASSIGN_OR_RETURN(const auto given, ParseColumns(columns_, {"text", "context"}));
    if (given.contains("text")) text_column_ = given.at("text");
    if (given.contains("context")) context_column_ = given.at("context");
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  // Every column is the table's own, its texts too.
  const std::vector<std::string>& LineOptions() const override {
    static const std::vector<std::string> none;
    return none;
  }

  Json Options() const override {
    Json options = {{"convention", convention_},
                    {"special_tokens", special_tokens_},
                    {"unit", unit_},
                    {"correction", correction_},
                    {"split", split_}};
    const std::pair<const char*, const std::string&> texts[] = {
        {"regions", regions_}, {"columns", columns_}, {"prefix", prefix_}};
    for (const auto& [key, value] : texts) {
      if (!value.empty()) options[key] = value;
    }
    if (!format_.empty() && format_ != kDefaultFormat) options["format"] = format_;
    return options;
  }

  absl::StatusOr<LineInput> Lines(BatchOptions& batch, const Console& console) override {
    const TableFormat otherwise = *FormatOfWord(format_.empty() ? kDefaultFormat : format_);
    const std::optional<TableFormat> in = InputFormatOfName(batch.input),
                                     out = FormatOfName(batch.output);
    if (!format_.empty() && in.has_value() && (out.has_value() || batch.output == "/dev/null")) {
      return UsageError("--format has no effect: the suffixes say what the files are");
    }
    ASSIGN_OR_RETURN(TableInput table, OpenTable(batch.input, in.value_or(otherwise), console.in));
    RowLayout layout = {.format = out.value_or(otherwise), .prefix = prefix_};
    if (sample_ != nullptr) layout.format = sample_->format;
    const std::string kind = regions_.empty() ? "word" : "region";
    layout.columns = {kind + "_index", kind, "begin", "end", "tokens"};
    if (!regions_.empty()) layout.columns.push_back("shared_tokens");
    for (const char* column : {"surprisal", "unit", "correction"}) layout.columns.push_back(column);
    ASSIGN_OR_RETURN(ours_, AnswerColumns(layout, table.columns));
    RETURN_IF_ERROR(CheckHasColumns(table, batch.input, {text_column_}, "text"));
    if (!regions_.empty()) {
      RETURN_IF_ERROR(CheckHasColumns(table, batch.input, {regions_}, ""));
    }
    if (layout.format != TableFormat::kJsonLines) {
      if (batch.headers == Headers::kOfAll && batch.output == "-") {
        return UsageError("--header: CSV and TSV have none on standard output");
      }
      layout.own = table.columns;
      own_ = table.columns;
    }
    batch.rows = std::move(layout);
    return std::move(table.lines);
  }

  absl::StatusOr<Json> Answer(const Json& line) const override {
    Json row = line;
    if (!own_.empty()) row.erase("model");  // it is the run's
    RETURN_IF_ERROR(CheckRowKeys(ours_, own_, row));
    ASSIGN_OR_RETURN(const std::string text, TextOf(line, text_column_));
    v1::ScoreRequest request = request_;
    v1::ScoreItem& item = *request.add_items();
    item.set_text(text);
    if (line.contains(context_column_) && !line[context_column_].is_null()) {
      ASSIGN_OR_RETURN(*item.mutable_context_text(), TextOf(line, context_column_));
    }
    if (!regions_.empty()) {
      if (!line.contains(regions_)) {
        return absl::InvalidArgumentError(Text(Quoted(regions_), " is not in this row"));
      }
      ASSIGN_OR_RETURN(const std::vector<v1::ByteSpan> spans, SpansOf(line[regions_], text));
      item.mutable_regions()->Assign(spans.begin(), spans.end());
    }
    ASSIGN_OR_RETURN(const v1::ScoreResponse response, client_->Score(request));
    RETURN_IF_ERROR(CheckDigest(response.model(), response.model_digest()));
    return RowsFrom(response.scores(0), text);
  }

  absl::StatusOr<int> RunWords(const Console& console) override {
    const std::vector<std::string> texts = Texts();
    if (texts.empty()) return UsageError("nothing to score: give a text or --input");
    if (!json_) console.out << absl::StrFormat("%6s  %10s  %s\n", "tokens", unit_, "word");
    for (const std::string& text : texts) {
      Json line = {{text_column_, text}};
      if (context_.has_value()) line[context_column_] = *context_;
      ASSIGN_OR_RETURN(const Json rows, Answer(line));
      for (const Json& row : rows) {
        if (json_) {
          console.out << FormatLine(row) << '\n';
          continue;
        }
        const Json& value = row["surprisal"];
        console.out << absl::StrFormat(
            "%6d  %10s  %s\n", row["tokens"].get<int>(),
            value.is_null() ? "-" : absl::StrFormat("%.4f", value.get<double>()),
            row["word"].get<std::string>());
      }
      RETURN_IF_ERROR(Flush(console));
    }
    return 0;
  }

 private:
  static absl::StatusOr<std::string> TextOf(const Json& line, const std::string& column) {
    if (line.contains(column) && line[column].is_string()) return line[column].get<std::string>();
    return absl::InvalidArgumentError(
        Text(column, " must be a string, found: ",
             line.contains(column) ? line[column].type_name() : "nothing"));
  }

  Json RowsFrom(const v1::TextScore& score, const std::string& text) const {
    const bool are_regions = !regions_.empty();
    const std::string kind = are_regions ? "region" : "word";
    Json rows = Json::array();
    for (const v1::SpanScore& span : are_regions ? score.regions() : score.words()) {
      Json row = {{kind + "_index", rows.size()},
                  {kind, WordText(text, span)},
                  {"begin", CharactersBefore(text, span.begin())},
                  {"end", CharactersBefore(text, span.end())},
                  {"tokens", span.tokens()}};
      if (are_regions) row["shared_tokens"] = span.shared_tokens();
      row["surprisal"] = span.has_logprob() ? Json(InUnit(span.logprob(), unit_)) : Json();
      row["unit"] = unit_;
      row["correction"] = absl::AsciiStrToLower(correction_);
      rows.push_back(std::move(row));
    }
    return rows;
  }

  std::optional<Client> client_;
  v1::ScoreRequest request_;  // without items
  std::string correction_ = "NONE", split_ = "WHITESPACE", unit_ = "bits", convention_ = "LM_EVAL",
              special_tokens_ = "PARSE", regions_, columns_, prefix_, format_;
  std::optional<std::string> context_;
  std::string text_column_ = "text", context_column_ = "context";
  std::vector<std::string> ours_, own_;  // columns of the answer; of the table, if they are fixed
};

}  // namespace

std::unique_ptr<Command> SurprisalCommand() {
  return std::make_unique<Surprisal>(CommandHelp{
      "surprisal", "TEXT... | --input=FILE [--output=FILE]",
      "Surprisal of each word of a table's texts",
      R"(Input and output are JSON lines, CSV or TSV. A row has "text", optionally "context", which is what
stands before it; other columns are your own. The output has a row for each word: your columns, then
item, word_index, word, begin, end (characters), tokens, surprisal, unit, correction, run. A word in
which no token begins, or of which one was not scored, has no value. A row that fails has "error".
With --regions rows are regions: region_index, region, and shared_tokens, which also reach outside.
)"});
}

}  // namespace dyad::client
