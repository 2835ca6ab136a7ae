// A small table, read whole.
#include "client/baselines.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/record_lines.h"
#include "client/table.h"
#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

absl::StatusOr<Baseline> BaselineOf(const Json& row) {
  const auto cell = [&](const char* column) { return row[column].get<std::string>(); };
  Baseline baseline = {.source = cell("source"), .row = cell("row"), .n = {}};
  const auto fault = [&](const char* column, const char* expected) {
    return absl::InvalidArgumentError(
        Text("column ", column, " must be ", expected, ", found ", Quoted(cell(column))));
  };
  if (baseline.source.empty()) return fault("source", "a name");
  if (baseline.row.empty()) return fault("row", "a row of the task");
  if (!absl::SimpleAtod(cell("accuracy"), &baseline.accuracy) || !(baseline.accuracy >= 0) ||
      baseline.accuracy > 1) {
    return fault("accuracy", "0 to 1");
  }
  if (cell("n").empty()) return baseline;
  int64_t n = 0;
  if (!absl::SimpleAtoi(cell("n"), &n) || n < 1) return fault("n", "empty or 1 and above");
  baseline.n = n;
  return baseline;
}

}  // namespace

absl::StatusOr<std::vector<Baseline>> ReadBaselines(const std::string& path,
                                                    const std::string& task) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxBaselineBytes));
  const TableFormat format = FormatOfName(path).value_or(TableFormat::kCsv);
  RecordLines records(path, SeparatorOf(format == TableFormat::kTsv ? format : TableFormat::kCsv),
                      BytesOf(content));
  ASSIGN_OR_RETURN(const std::vector<std::string> columns, records.ReadColumns());
  for (const char* column : {"source", "task", "row", "accuracy", "n"}) {
    if (std::find(columns.begin(), columns.end(), column) != columns.end()) continue;
    return absl::InvalidArgumentError(
        Text(path, " has no column ", column, "; it must have source, task, row, accuracy and n"));
  }
  std::vector<Baseline> baselines;
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<Json> row, records.Next());
    if (!row.has_value()) return baselines;
    absl::StatusOr<Baseline> baseline = BaselineOf(*row);
    const std::string its_task = (*row)["task"].get<std::string>();
    if (baseline.ok() && !seen.insert({baseline->source, its_task, baseline->row}).second) {
      baseline = absl::InvalidArgumentError(
          Text("row ", Quoted(baseline->row), " of ", Quoted(baseline->source), " stands twice"));
    }
    if (!baseline.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": line ", records.line(), ": ", baseline.status().message()));
    }
    if (its_task == task) baselines.push_back(*std::move(baseline));
  }
}

Json BaselinesJson(const std::vector<Baseline>& baselines) {
  Json json = Json::array();
  for (const Baseline& baseline : baselines) {
    json.push_back({{"source", baseline.source},
                    {"row", baseline.row},
                    {"accuracy", baseline.accuracy},
                    {"n", baseline.n.has_value() ? Json(*baseline.n) : Json()}});
  }
  return json;
}

std::string BaselineTable(const std::vector<Baseline>& baselines,
                          const std::map<std::string, double>& scores) {
  if (baselines.empty()) return "";
  std::vector<std::string> sources, rows;  // in the order of the file
  std::map<std::pair<std::string, std::string>, double> values;
  std::set<std::string> unknown;
  const auto add_once = [](std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  size_t longest = 9;
  for (const Baseline& baseline : baselines) {
    add_once(sources, baseline.source);
    if (!scores.contains(baseline.row)) {
      unknown.insert(baseline.row);
      continue;
    }
    add_once(rows, baseline.row);
    longest = std::max(longest, baseline.row.size());
    values[{baseline.row, baseline.source}] = baseline.accuracy;
  }
  const int width = static_cast<int>(longest);
  std::string table;
  if (!rows.empty()) {
    table = absl::StrFormat("%-*s  this run", width, "baselines");
    for (const std::string& source : sources) {
      absl::StrAppend(&table, absl::StrFormat("  %8s", source));
    }
    table += "\n";
  }
  for (const std::string& row : rows) {
    absl::StrAppend(&table, absl::StrFormat("%-*s  %8.4f", width, row, scores.at(row)));
    for (const std::string& source : sources) {
      const auto value = values.find({row, source});
      const int source_width = static_cast<int>(std::max(size_t{8}, source.size()));
      const std::string text = value == values.end() ? "-" : absl::StrFormat("%.4f", value->second);
      absl::StrAppend(&table, absl::StrFormat("  %*s", source_width, text));
    }
    table += "\n";
  }
  if (!unknown.empty()) {
    absl::StrAppend(&table,
                    "baselines of rows that this run does not have: ", absl::StrJoin(unknown, ", "),
                    "\n");
  }
  return table;
}

}  // namespace dyad::client
