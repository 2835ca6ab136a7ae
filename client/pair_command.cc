// The two commands differ in where lines come from and in what the screen shows.
#include "client/pair_command.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/answer_keys.h"
#include "client/baselines.h"
#include "client/commands.h"
#include "client/corpus.h"
#include "client/input_digest.h"
#include "client/json_message.h"
#include "client/predictions.h"
#include "client/request_json.h"
#include "server/base/message_text.h"
#include "server/base/progress.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kPairsOnScreen = 100;

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

// Two sentences, where there is one the context of both, and no key of the answer's.
absl::Status CheckPairLine(const Json& line, const std::string& prefix) {
  for (const char* key : {"sentence_good", "sentence_bad"}) {
    if (!line.contains(key)) return absl::InvalidArgumentError(Text("lacks the key ", key));
  }
  for (const char* key : {"sentence_good", "sentence_bad", "context"}) {
    if (!line.contains(key) || line[key].is_string()) continue;
    return absl::InvalidArgumentError(
        Text(key, " must be a string, found: ", FormatLine(line[key]).substr(0, 80)));
  }
  return CheckOwnKeys(line, kPairAnswerKeys, prefix);
}

}  // namespace

void PairCommand::AddFlags(CLI::App& app) {
  if (has_files()) files_.AddTo(app);
  AddFlag(app, "input", "FILE", input_, "Pairs to score; see above");
  AddFlag(app, "output", "FILE", output_,
          "Answers, a line each, in order; a file that has some is gone on with");
  AddFields(app, fields_,
            {{"convention", FieldKind::kText, "NAME",
              "LM_EVAL (default), BABYLM, MINICONS_MEAN, MINICONS_SUM or CONDITIONAL"},
             {"special_tokens", FieldKind::kText, "MODE",
              R"(PARSE (default) or LITERAL: "</s>" in a sentence)"}});
  AddFlag(app, "prefix", "TEXT", flags_.prefix, "In front of the names of the answer's keys");
  AddFlag(app, "streams", "N", flags_.streams,
          "Clients that share the pairs, each with its own connection (default 1)")
      ->check(CLI::Range(int64_t{1}, kMaxStreams));
  AddFlag(app, "concurrency", "N", flags_.window, "Pairs in flight on a stream (default 512)")
      ->check(CLI::Range(1, 65536));
  AddModelFlag(app);
  AddOutputFlags(app, flags_.old_errors, flags_.headers);
  Command::AddFlags(app);
}

absl::StatusOr<PairRunOptions> PairCommand::Options() const {
  PairRunOptions options = flags_;
  options.connection = connection_;
  options.output = output_.value_or("/dev/null");
  options.model = model_;
  options.input = input_.value_or(has_files() && !words_.empty() ? words_[0] : "");
  ASSIGN_OR_RETURN(const auto request, RequestFromFlags<v1::ScoreMinimalPairsRequest>(fields_));
  options.convention = request.convention();
  options.special_tokens = request.special_tokens();
  options.sample = sample_;
  // The defaults by their names.
  Json fields = {
      {"task", {{"name", task_}}},
      {"convention", EnumWord(std::max(options.convention, v1::CONVENTION_LM_EVAL))},
      {"special_tokens", EnumWord(std::max(options.special_tokens, v1::SPECIAL_TOKENS_PARSE))},
      {"options", files_.Options()}};
  if (!flags_.prefix.empty()) fields["options"]["prefix"] = flags_.prefix;
  options.describe = [this, fields]() mutable -> absl::StatusOr<RunDescription> {
    ASSIGN_OR_RETURN(fields["input"], describe_input_());
    return DescribeRun(fields);
  };
  return options;
}

absl::StatusOr<LineInput> PairCommand::Lines(const Console& console) {
  if (has_files()) {
    if (words_.size() + input_.has_value() != 1) {
      return UsageError("takes one path: a folder, an archive or a file of BLiMP's lines");
    }
    const std::string path = input_.value_or(words_.empty() ? "" : words_.front());
    ASSIGN_OR_RETURN(CorpusReading reading, files_.Reading());
    if (source_ == PairSource::kTask) {
      reading.check = [this](const Json& line) { return CheckPairLine(line, flags_.prefix); };
    }
    ASSIGN_OR_RETURN(Corpus corpus, ReadCorpus(path, reading));
    describe_input_ = [path, files = std::move(corpus.files)] {
      return files.empty() ? DescribeFile(path) : DescribeFolder(path, files);
    };
    return LineInput::Of(std::move(corpus.lines));
  }
  if (words_.size() == 2 && !input_.has_value()) {
    const std::string line =
        FormatLine({{"sentence_good", words_[0]}, {"sentence_bad", words_[1]}});
    describe_input_ = [line] { return DescribeArguments(line); };
    return LineInput::Of({line});
  }
  if (words_.empty() && input_.has_value()) {
    describe_input_ = [path = *input_] { return DescribeFile(path); };
    return LineInput::Open(*input_, console.in);
  }
  return UsageError("takes --input, or a good and a bad sentence");
}

absl::StatusOr<int> PairCommand::Run(const Console& console) {
  ASSIGN_OR_RETURN(PairRunOptions options, Options());
  ASSIGN_OR_RETURN(LineInput lines, Lines(console));
  const bool plain_lines = source_ == PairSource::kLines && !output_.has_value();
  // With --json and no file, the answers themselves are what is asked for.
  if (plain_lines && json_) options.output = "-";
  if (options.headers == Headers::kOfAll && options.output != "-" && !output_.has_value()) {
    return UsageError("--header shows with --output, or with pairs --json");
  }
  const size_t shown = plain_lines && !json_ ? kPairsOnScreen : 0;
  std::vector<Baseline> baselines;
  if (!files_.baselines.empty()) {
    ASSIGN_OR_RETURN(baselines, ReadBaselines(files_.baselines, task_));
  }
  Accuracy accuracy;
  Predictions predictions;
  std::map<int64_t, std::string> screen;  // answers come in any order
  const auto on_answer = [&](int64_t number, const Json& written) {
    const Json answer = WithoutPrefix(flags_.prefix, written);
    accuracy.Add(answer);
    if (!files_.predictions.empty() && !answer.contains("error")) {
      const char* chosen = answer["correct"].get<bool>() ? "sentence_good" : "sentence_bad";
      predictions.Add(number, ParadigmOf(answer), {{"pred", answer[chosen]}});
    }
    if (shown == 0) return;
    screen.emplace(number, PairText(answer));
    if (screen.size() > shown) screen.erase(std::prev(screen.end()));
  };
  const absl::StatusOr<PairRunResult> run = RunPairs(options, console, std::move(lines), on_answer);
  if (!run.ok()) return EndRun(run.status(), options.output, console);
  const PairRunResult& result = *run;
  for (const auto& [number, text] : screen) console.out << text;
  if (options.output != "-") {
    if (json_) {
      Json json = SummaryJson(accuracy, result);
      if (!baselines.empty()) json["baselines"] = BaselinesJson(baselines);
      console.out << FormatLine(json) << '\n';
    } else {
      console.out << SummaryText(accuracy, result) << BaselineTable(baselines, accuracy.Scores());
    }
  }
  if (!files_.predictions.empty()) {
    RETURN_IF_ERROR(WritePredictions(files_.predictions, task_, options.input, predictions.ToJson(),
                                     result.batch.failed, console.err));
  }
  return ReportBatch(result.batch, console);
}

std::string SummaryText(const Accuracy& accuracy, const PairRunResult& result) {
  std::string text = accuracy.Table();
  if (result.model.empty()) return text;
  if (result.scored == 0) {
    absl::StrAppend(&text, result.model, ", ", EnumWord(result.convention),
                    ": every pair was scored by an earlier run\n");
    return text;
  }
  absl::StrAppend(&text,
                  absl::StrFormat("%s, %s: %d pairs in %s, %.1f pairs/s\n", result.model,
                                  EnumWord(result.convention), result.scored,
                                  MinutesAndSeconds(result.batch.elapsed), PairsPerSecond(result)));
  return text;
}

Json SummaryJson(const Accuracy& accuracy, const PairRunResult& result) {
  Json json = {{"model", result.model},
               {"model_digest", result.model_digest},
               {"convention", EnumWord(result.convention)},
               {"seconds", absl::ToDoubleSeconds(result.batch.elapsed)},
               {"pairs_per_second", result.scored == 0 ? Json() : Json(PairsPerSecond(result))}};
  json.update(accuracy.ToJson());
  return json;
}

std::unique_ptr<Command> PairsCommand() {
  return std::make_unique<PairCommand>(
      CommandHelp{
          "pairs", "--input=FILE [--output=FILE] | GOOD BAD",
          "Score minimal pairs: which sentence is likelier",
          R"(A line of --input has "sentence_good" and "sentence_bad"; its answer is the line with
"good_sum", "bad_sum", "margin", "tie", "correct" and "first_difference".
"phenomenon" (or "linguistics_term" and "UID") of the lines make the table's rows.
)"},
      PairSource::kLines, "pairs");
}

std::unique_ptr<Command> BlimpCommand() {
  return std::make_unique<PairCommand>(
      CommandHelp{
          "blimp", "PATH [--output=FILE] [--streams=N]",
          "Run the BLiMP benchmark; accuracy by phenomenon",
          R"(PATH is a folder, a tar or zip archive with BLiMP's *.jsonl files, or one file: JSON lines,
a JSON array, CSV or TSV; all may be compressed. The table has BLiMP's 12 phenomena; --json adds the 67 paradigms. Lines
without "UID" get the name of their file. A tie counts as right.
--output gets each pair's line with its sums, margin, tie and first difference. The same as
`evaluate blimp` by LM_EVAL.
)",
          WordsAre::kPaths},
      PairSource::kBlimp, "blimp");
}

std::unique_ptr<Command> EvaluateTaskCommand(const std::string& task) {
  if (task == "reading") return EvaluateReadingCommand();
  if (task != "blimp" && task != "blimp_supplement") return nullptr;
  return std::make_unique<PairCommand>(
      CommandHelp{"evaluate " + task, "PATH [--output=FILE] [--streams=N]",
                  "Run the task; accuracy by row, with intervals",
                  "As dyadctl blimp, by BABYLM unless --convention says otherwise.\n",
                  WordsAre::kPaths},
      PairSource::kTask, task, "BABYLM");
}

}  // namespace dyad::client
