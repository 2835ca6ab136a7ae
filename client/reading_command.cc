// dyadctl evaluate reading: a table with two columns more.
#include <cerrno>
#include <fstream>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/input_digest.h"
#include "client/predictions.h"
#include "client/reading.h"
#include "client/rows.h"
#include "client/run_header.h"
#include "client/table.h"
#include "client/task_flags.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

class EvaluateReading final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "input", "FILE", input_, "As FILE");
    AddFlag(app, "output", "FILE", batch_.output,
            "The table; one that has rows is gone on with (default: standard output)");
    AddFlag(app, "format", "FORMAT", format_,
            "csv (default), tsv or jsonl, where a name's suffix does not say it")
        ->check(CLI::IsMember({"jsonl", "csv", "tsv"}));
    AddFlag(app, "columns", "MAP", map_, "Where texts stand: item=before,word=target");
    AddFlag(app, "prefix", "TEXT", prefix_, "In front of the names of the answer's columns");
    AddFlag(app, "predictions", "DIR", predictions_,
            "Also writes DIR/reading/predictions.json, as BabyLM's pipeline does");
    AddFlag(app, "special_tokens", "MODE", special_tokens_,
            R"(PARSE (default) or LITERAL: "</s>" in a text)");
    AddFlag(app, "convention", "NAME", convention_, "BABYLM, which is the only one of this task");
    AddFlag(app, "concurrency", "N", batch_.concurrency, "Rows in flight (default 16)")
        ->check(CLI::Range(int64_t{1}, kMaxConcurrency));
    AddModelFlag(app);
    AddTimeoutFlag(app);
    AddOutputFlags(app, batch_.old_errors, batch_.headers);
    Needs("--retry_errors", "--output");
    Needs("--predictions", "--output");
    Command::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    RETURN_IF_ERROR(Start());
    ASSIGN_OR_RETURN(LineInput lines, Lines(console));
    batch_.sample = sample_;
    batch_.own_keys = [](const Json& line) { return line; };
    batch_.describe = [this] { return Describe(); };
    const absl::StatusOr<BatchResult> result = RunBatch(
        std::move(lines), batch_, console, [this](const Json& line) { return Answer(line); });
    if (!result.ok()) return EndRun(result.status(), batch_.output, console);
    if (!predictions_.empty()) {
      ASSIGN_OR_RETURN(const Json predictions, ReadPredictions());
      RETURN_IF_ERROR(WritePredictions(predictions_, kReadingTask, batch_.input, predictions,
                                       result->failed, console.err));
    }
    return ReportBatch(*result, console);
  }

 private:
  absl::Status Start() {
    if (words_.size() + input_.has_value() != 1) return UsageError("takes one file, a table");
    batch_.input = input_.value_or(words_.empty() ? "" : words_.front());
    if (absl::AsciiStrToUpper(convention_) != kConvention) {
      return UsageError(Text("--convention: the task reading has only ", kConvention));
    }
    special_tokens_ = absl::AsciiStrToUpper(special_tokens_);
    ASSIGN_OR_RETURN(request_,
                     RequestFromFlags<v1::ScoreRequest>({{"special_tokens", special_tokens_}}));
    request_.set_model(model_);
    const std::map<std::string, std::string*> names = {{"item", &columns_.item},
                                                       {"word", &columns_.word},
                                                       {"prev_item", &columns_.prev_item},
                                                       {"prev_word", &columns_.prev_word}};
    ASSIGN_OR_RETURN(const auto given,
                     ParseColumns(map_, {"item", "word", "prev_item", "prev_word"}));
    for (const auto& [key, column] : given) *names.at(key) = column;
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  absl::StatusOr<LineInput> Lines(const Console& console) {
    const TableFormat otherwise = *FormatOfWord(format_.empty() ? "csv" : format_);
    const TableFormat in = InputFormatOfName(batch_.input).value_or(otherwise);
    ASSIGN_OR_RETURN(TableInput table, OpenTable(batch_.input, in, console.in));
    RowLayout layout = {.format = FormatOfName(batch_.output).value_or(in),
                        .item = kReadingNumber,
                        .columns = {"pred", "prev_pred"},
                        .prefix = prefix_};
    if (sample_ != nullptr) layout.format = sample_->format;
    ASSIGN_OR_RETURN(ours_, AnswerColumns(layout, table.columns));
    RETURN_IF_ERROR(CheckHasColumns(
        table, batch_.input, {columns_.item, columns_.word, columns_.prev_item, columns_.prev_word},
        "item"));
    if (layout.format != TableFormat::kJsonLines) layout.own = table.columns;
    batch_.rows = std::move(layout);
    return std::move(table.lines);
  }

  absl::StatusOr<RunDescription> Describe() {
    Json options = Json::object();
    for (const auto& [key, value] : {std::pair<const char*, const std::string&>("columns", map_),
                                     {"prefix", prefix_},
                                     {"format", format_}}) {
      if (!value.empty()) options[key] = value;
    }
    Json fields = {{"task", {{"name", kReadingTask}}},
                   {"convention", kConvention},
                   {"special_tokens", special_tokens_},
                   {"options", std::move(options)}};
    ASSIGN_OR_RETURN(fields["input"], DescribeFile(batch_.input));
    ASSIGN_OR_RETURN(description_, DescribeRun(std::move(fields)));
    return description_;
  }

  absl::StatusOr<Json> Answer(const Json& line) const {
    RETURN_IF_ERROR(CheckRowKeys(ours_, batch_.rows->own, line));
    ASSIGN_OR_RETURN(const std::vector<ReadingWord> words, ReadingWords(columns_, line));
    ASSIGN_OR_RETURN(const v1::ScoreRequest request, ReadingRequest(*client_, request_, words));
    ASSIGN_OR_RETURN(const v1::ScoreResponse response, client_->Score(request));
    RETURN_IF_ERROR(CheckDigest(description_, response.model(), response.model_digest()));
    return Json::array({ReadingAnswer(response)});
  }

  // From the output: rows of earlier runs are among them.
  absl::StatusOr<Json> ReadPredictions() const {
    const RowLayout& layout = *batch_.rows;
    std::ifstream file(batch_.output, std::ios::binary);
    if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", batch_.output));
    std::string header;
    if (!layout.has_header_beside()) std::getline(file, header);
    Json predictions = Json::array();
    const std::string run = FinishHeader(description_.header)[kRunKey].get<std::string>();
    RETURN_IF_ERROR(ReadRows(file, static_cast<int64_t>(header.size()) + 1, layout, run,
                             [&](const OldRow& row) {
                               Json one = {{"id", row.item}};
                               for (const std::string& column : layout.columns) {
                                 const Json& value = row.row[layout.Name(column)];
                                 double number = 0;
                                 const bool has_value = absl::SimpleAtod(CellText(value), &number);
                                 one[column] = has_value ? Json(number) : Json();
                               }
                               predictions.push_back(std::move(one));
                               return absl::OkStatus();
                             }));
    return Json{{kReadingTask, {{"predictions", std::move(predictions)}}}};
  }

  static constexpr char kConvention[] = "BABYLM";

  std::optional<std::string> input_;
  std::string map_, prefix_, format_, predictions_, special_tokens_ = "PARSE",
                                                    convention_ = kConvention;
  BatchOptions batch_;
  std::optional<Client> client_;
  v1::ScoreRequest request_;  // without items
  ReadingColumns columns_;
  std::vector<std::string> ours_;  // columns of the answer
  RunDescription description_;
};

}  // namespace

std::unique_ptr<Command> EvaluateReadingCommand() {
  return std::make_unique<EvaluateReading>(CommandHelp{
      "evaluate reading", "FILE [--output=FILE]", "Surprisal of words for reading times",
      R"(FILE is CSV, TSV or JSON lines, may be gzip, with the columns item, word, prev_item, prev_word and your
own. The output has them all, then index, pred, prev_pred, run: pred is -ln p(word | item), prev_pred that
of the word before; where prev_item is empty there is none. Words stand as they are scored, with the blank
in front of them.
)",
      WordsAre::kPaths});
}

}  // namespace dyad::client
