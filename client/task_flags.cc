// Flags to members, members to what reads the files.
#include "client/task_flags.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/command.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {

void TaskFlags::AddTo(CLI::App& app) {
  AddFlag(app, "limit", "N", limit, "Only the first N lines of each file")
      ->check(CLI::Range(1, 1'000'000));
  AddFlag(
      app, "format", "FORMAT", format,
      "jsonl (default), csv or tsv, where a file's name does not say it; of folders and archives "
      "the files with that ending")
      ->check(CLI::IsMember({"jsonl", "csv", "tsv"}));
  AddFlag(app, "columns", "MAP", columns,
          "Where the task's keys stand: sentence_good=acceptable,sentence_bad=other");
  AddFlag(app, "baselines", "FILE", baselines,
          "CSV of what people or other models reach: source,task,row,accuracy,n");
  AddFlag(app, "predictions", "DIR", predictions,
          "Also writes DIR/TASK/NAME/predictions.json, as BabyLM's pipeline does; NAME is PATH's");
}

absl::StatusOr<CorpusReading> TaskFlags::Reading() const {
  CorpusReading reading = {.limit = limit};
  if (!format.empty()) reading.format = FormatOfWord(format);
  ASSIGN_OR_RETURN(reading.columns, ParseColumns(columns, {}));
  return reading;
}

Json TaskFlags::Options() const {
  Json options = Json::object();
  if (limit.has_value()) options["limit"] = *limit;
  if (!format.empty()) options["format"] = format;
  if (!columns.empty()) options["columns"] = columns;
  return options;
}

absl::StatusOr<std::map<std::string, std::string>> ParseColumns(const std::string& text,
                                                                const std::set<std::string>& keys) {
  std::map<std::string, std::string> columns;
  std::set<std::string> names;
  for (const absl::string_view piece : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(piece, absl::MaxSplits('=', 1));
    const bool is_key = keys.empty() ? !pair.first.empty() : keys.contains(pair.first);
    if (!is_key || pair.second.empty()) {
      const std::string known =
          keys.empty() ? "" : Text(" with KEY one of ", absl::StrJoin(keys, ", "));
      return UsageError(
          Text("--columns: ", Quoted(std::string(piece)), " is no KEY=COLUMN", known));
    }
    if (!columns.insert(pair).second || !names.insert(pair.second).second) {
      return UsageError(Text("--columns: ", Quoted(std::string(piece)), " repeats a name"));
    }
  }
  return columns;
}

}  // namespace dyad::client
