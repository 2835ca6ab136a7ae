// dyadctl compare: two runs of a task over the same input, item by item.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/comparison.h"
#include "client/run_header.h"
#include "client/scored_run.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kChangesShown = 10;

std::string RowText(int width, const std::string& name, const Json& row) {
  return absl::StrFormat(
      "%-*s  %6d  %6.4f  %6.4f  %+7.4f  %+7.4f to %+7.4f  %6d  %6d  %7.4f  %7s\n", width, name,
      row["items"].get<int64_t>(), row["first"].get<double>(), row["second"].get<double>(),
      row["difference"].get<double>(), row["low"].get<double>(), row["high"].get<double>(),
      row["first_better"].get<int64_t>(), row["second_better"].get<int64_t>(),
      row["p"].get<double>(),
      row.contains("p_holm") ? absl::StrFormat("%.4f", row["p_holm"].get<double>()) : "");
}

std::string ComparisonText(const Json& json) {
  size_t longest = 6;
  for (const auto& [name, row] : json["rows"].items()) longest = std::max(longest, name.size());
  const int width = static_cast<int>(longest);
  std::string text =
      absl::StrFormat("%-*s  %6s  %6s  %6s  %7s  %18s  %6s  %6s  %7s  %7s\n", width, "row", "items",
                      "first", "second", "differ", "95 % interval", "1 > 2", "1 < 2", "p", "Holm");
  for (const auto& [name, row] : json["rows"].items()) text += RowText(width, name, row);
  if (json["pooled"].is_object()) text += RowText(width, "pooled", json["pooled"]);
  const Json changes = json.value("changes", Json::array());
  for (size_t i = 0; i < std::min(kChangesShown, changes.size()); ++i) {
    const Json& change = changes[i];
    absl::StrAppend(
        &text, "answer ", change["answer"].get<int64_t>(), ", ", change["row"].get<std::string>(),
        absl::StrFormat(": margin %+.4f, then %+.4f\n", change["first_margin"].get<double>(),
                        change["second_margin"].get<double>()));
  }
  if (changes.size() > kChangesShown) {
    absl::StrAppend(&text, "and ", changes.size() - kChangesShown, " more that changed\n");
  }
  if (const auto left_out = json["left_out"].get<int64_t>(); left_out > 0) {
    absl::StrAppend(&text, left_out, " items have no score in one of the runs and count nowhere\n");
  }
  return text;
}

class CompareRuns final : public Command {
 public:
  using Command::Command;

  void AddFlags(CLI::App& app) override {
    app.add_flag("--json", json_, "Print JSON with every item that changed");
  }

  absl::StatusOr<int> Run(const Console& console) override {
    if (words_.size() != 2) return UsageError("takes two files: outputs of the same task");
    ASSIGN_OR_RETURN(const ScoredRun a, ReadScoredRun(words_[0]));
    ASSIGN_OR_RETURN(const ScoredRun b, ReadScoredRun(words_[1]));
    RETURN_IF_ERROR(CheckComparable(a, b));
    Json json = {{"runs", {a.header, b.header}}};
    json.update(ComparisonJson(a, b));
    if (json_) {
      console.out << FormatLine(json) << '\n';
    } else {
      const std::vector<std::string> names = RunNames({a.header, b.header});
      console.out << "first   " << names[0] << "\nsecond  " << names[1] << "\n"
                  << ComparisonText(json);
    }
    return 0;
  }
};

}  // namespace

std::unique_ptr<Command> CompareCommand() {
  return std::make_unique<CompareRuns>(CommandHelp{
      "compare", "FIRST SECOND [--json]", "Compare two runs of a task, item by item",
      R"(Both are outputs of blimp, pairs or evaluate over the same input: other models, weights or
conventions. Each row has the difference of its means with a paired bootstrap interval, McNemar's
exact p over the items that differ, and p adjusted by Holm over the rows. No server is asked.
)",
      WordsAre::kPaths});
}

}  // namespace dyad::client
