// dyadctl evaluate: the tasks that are no plain pairs. Each line is one request.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/answer_keys.h"
#include "client/baselines.h"
#include "client/batch.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/corpus.h"
#include "client/evaluate_task.h"
#include "client/input_digest.h"
#include "client/json_message.h"
#include "client/predictions.h"
#include "client/request_json.h"
#include "client/task_flags.h"
#include "client/task_summary.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

class Evaluate final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    AddFlag(app, "variant", "NAME", variant_, "Of ewok: babylm (default) or paper");
    files_.AddTo(app);
    AddFlag(app, "prefix", "TEXT", prefix_, "In front of the names of the answer's keys");
    AddFlag(app, "input", "PATH", input_, "As PATH");
    AddFlag(app, "output", "FILE", batch_.output,
            "Answers, a line each, in order; a file that has some is gone on with");
    AddFields(app, fields_,
              {{"convention", FieldKind::kText, "NAME",
                "BABYLM (default), LM_EVAL, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"},
               {"special_tokens", FieldKind::kText, "MODE",
                R"(PARSE (default) or LITERAL: "</s>" in a text)"}});
    AddFlag(app, "concurrency", "N", batch_.concurrency, "Requests in flight (default 16)")
        ->check(CLI::Range(int64_t{1}, kMaxConcurrency));
    AddModelFlag(app);
    AddTimeoutFlag(app);
    AddOutputFlags(app, batch_.old_errors, batch_.headers);
    Needs("--retry_errors", "--output");
    Needs("--header", "--output");
    Command::AddFlags(app);
  }

  absl::StatusOr<int> Run(const Console& console) override {
    RETURN_IF_ERROR(Start());
    const std::string path = input_.value_or(words_.size() > 1 ? words_[1] : "");
    ASSIGN_OR_RETURN(CorpusReading reading, files_.Reading());
    reading.file_key = "file";
    reading.check = [this](const Json& line) { return CheckTaskLine(*task_, line, prefix_); };
    ASSIGN_OR_RETURN(Corpus corpus, ReadCorpus(path, reading));
    batch_.input = path;
    batch_.sample = sample_;
    batch_.own_keys = [](const Json& line) { return line; };
    batch_.describe = [&] { return Describe(path, corpus.files); };
    TaskSummary summary(*task_);
    Predictions predictions;
    batch_.on_answer = [&](int64_t number, const Json& written) {
      const Json answer = WithoutPrefix(prefix_, written);
      summary.Add(answer);
      if (files_.predictions.empty() || answer.contains("error")) return;
      predictions.Add(number, answer["row"].get<std::string>(), PredictionOf(*task_, answer));
    };
    const absl::StatusOr<BatchResult> result =
        RunBatch(LineInput::Of(std::move(corpus.lines)), batch_, console,
                 [this](const Json& line) { return Answer(line); });
    if (!result.ok()) return EndRun(result.status(), batch_.output, console);
    if (batch_.output != "-") {
      const Json json = summary.ToJson();
      console.out << (json_ ? FormatLine(Named(json)) + "\n"
                            : summary.Table(json) + BaselineTable(baselines_, ScoresOf(json)));
    }
    if (!files_.predictions.empty()) {
      RETURN_IF_ERROR(WritePredictions(files_.predictions, task_->name, path, predictions.ToJson(),
                                       result->failed, console.err));
    }
    return ReportBatch(*result, console);
  }

 private:
  absl::Status Start() {
    if (words_.empty() || words_.size() + input_.has_value() != 2) {
      return UsageError("takes a task and a path: a folder, an archive or a file of lines");
    }
    absl::StatusOr<EvaluateTask> task = FindEvaluateTask(words_[0], variant_);
    if (!task.ok()) return UsageError(std::string(task.status().message()));
    task_ = *std::move(task);
    if (!files_.predictions.empty() && !HasPredictions(*task_)) {
      return UsageError(absl::StrCat("--predictions: BabyLM's pipeline has none of the task ",
                                     task_->name, " ", task_->variant));
    }
    if (!files_.baselines.empty()) {
      ASSIGN_OR_RETURN(baselines_, ReadBaselines(files_.baselines, task_->name));
    }
    ASSIGN_OR_RETURN(request_, RequestFromFlags<v1::ScoreRequest>(
                                   WithDefaults({{"convention", "BABYLM"}}, fields_)));
    request_.set_model(model_);
    ASSIGN_OR_RETURN(client_, MakeClient());
    return absl::OkStatus();
  }

  absl::StatusOr<RunDescription> Describe(const std::string& path,
                                          const std::vector<std::string>& files) {
    Json fields = {
        {"task", {{"name", task_->name}}},
        {"convention", EnumWord(request_.convention())},
        {"special_tokens", EnumWord(std::max(request_.special_tokens(), v1::SPECIAL_TOKENS_PARSE))},
        {"options", files_.Options()}};
    if (!task_->variant.empty()) fields["task"]["variant"] = task_->variant;
    if (!prefix_.empty()) fields["options"]["prefix"] = prefix_;
    ASSIGN_OR_RETURN(fields["input"],
                     files.empty() ? DescribeFile(path) : DescribeFolder(path, files));
    ASSIGN_OR_RETURN(description_, DescribeRun(std::move(fields)));
    return description_;
  }

  absl::StatusOr<Json> Answer(const Json& line) const {
    v1::ScoreRequest request = request_;
    for (v1::ScoreItem& item : TaskItems(*task_, request.convention(), line)) {
      *request.add_items() = std::move(item);
    }
    ASSIGN_OR_RETURN(const v1::ScoreResponse response, client_->Score(request));
    RETURN_IF_ERROR(CheckDigest(description_, response.model(), response.model_digest()));
    return WithPrefix(prefix_, TaskAnswer(*task_, request.convention(), line, response));
  }

  Json Named(const Json& summary) const {
    Json json = {{"task", task_->name}};
    if (!task_->variant.empty()) json["variant"] = task_->variant;
    json["convention"] = EnumWord(request_.convention());
    json.update(summary);
    if (!baselines_.empty()) json["baselines"] = BaselinesJson(baselines_);
    return json;
  }

  static std::map<std::string, double> ScoresOf(const Json& summary) {
    std::map<std::string, double> scores;
    const Json rows = summary.value("rows", Json::object());
    for (const auto& [name, row] : rows.items()) scores[name] = row["score"].get<double>();
    for (const char* mean : {"macro", "pooled"}) {
      if (!summary.contains(mean) || summary[mean]["score"].is_null()) continue;
      scores.emplace(mean, summary[mean]["score"].get<double>());
    }
    return scores;
  }

  std::optional<EvaluateTask> task_;
  std::optional<Client> client_;
  v1::ScoreRequest request_;  // without items
  std::string variant_, prefix_;
  std::optional<std::string> input_;
  TaskFlags files_;
  std::vector<Baseline> baselines_;
  BatchOptions batch_ = {.output = "/dev/null"};
  Json fields_ = Json::object();
  RunDescription description_;
};

}  // namespace

std::unique_ptr<Command> EvaluateCommand() {
  return std::make_unique<Evaluate>(CommandHelp{
      "evaluate", "TASK PATH [--output=FILE]", "Run a task; scores by row, with intervals",
      absl::StrCat("TASK is blimp, blimp_supplement (their flags: dyadctl blimp --help), "
                   "reading (dyadctl evaluate reading --help), ",
                   absl::StrJoin(EvaluateTaskNames(), ", "), R"(.
PATH is a folder, a tar or zip archive with *.jsonl files, or one file: JSON lines, a JSON array, CSV or
TSV; all may be compressed.
A row's interval is Wilson's, that of the macro mean a stratified bootstrap's. A tie is won by the
first. --output gets each line with row, sums, means, scored_tokens, best, tie and score.
)"),
      WordsAre::kPaths});
}

}  // namespace dyad::client
