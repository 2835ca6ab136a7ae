// Parts of other files, put in order.
#include "client/report_page.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/html.h"
#include "client/reading.h"
#include "client/report_comparison.h"
#include "client/report_header.h"
#include "client/report_run.h"
#include "client/report_style.h"
#include "client/report_task.h"
#include "client/report_words.h"
#include "client/run_file.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

using AnyReport = std::variant<TaskReport, WordsReport>;

constexpr char kMethods[] = R"html(<section><h2>How it is computed</h2>
<p>Log-probabilities are the server's, in nats, to the last bit; they do not depend on load, batches or threads. An item
counts 1 if the right text has the larger value, a tie is won by the text that stands first. The interval of a row is
Wilson's: (p + z²/2n ± z√(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.95996. That of the mean over rows is a stratified
bootstrap's: 10,000 times as many items as it has are drawn from each row, with replacement. Differences of two runs have
a paired bootstrap over items, McNemar's exact test, and Holm's correction over rows. A run's id is a digest of model,
task, convention, options and input; the same id is the same numbers.</p>
)html";

absl::StatusOr<AnyReport> ReadAnyReport(const std::string& path, const std::string& baselines) {
  ASSIGN_OR_RETURN(const RunFile file, ReadRunFile(path));
  const Json& header = file.header;
  if (IsWordsRun(header)) {
    ASSIGN_OR_RETURN(WordsReport words, ReadWordsReport(path));
    return words;
  }
  if (header.value("task", Json::object()).value("name", "") == kReadingTask) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is an output of reading: a table for regressions, without a report"));
  }
  ASSIGN_OR_RETURN(TaskReport task, ReadTaskReport(path, baselines));
  return task;
}

const Json& HeaderOf(const AnyReport& report) {
  const auto* task = std::get_if<TaskReport>(&report);
  return task != nullptr ? task->run.header : std::get<WordsReport>(report).header;
}

// Runs with the same key are over the same items.
std::string ItemsKey(const Json& header) {
  const Json input = header.value("input", Json::object()),
             options = header.value("options", Json::object());
  return absl::StrCat(TaskName(header), "\n", FormatLine(input.value("sha256", input)), "\n",
                      FormatLine(options.value("limit", Json())));
}

std::string InputName(const Json& header) {
  return header.value("input", Json::object()).value("name", "");
}

// Names that no row has are mistakes that nothing else shows.
std::string UnknownBaselines(const TaskReport& report) {
  std::set<std::string> known = {"macro", "pooled", "overall"}, unknown;
  for (const ReportPhenomenon& phenomenon : report.phenomena) {
    known.insert(phenomenon.all.name);
    for (const ReportRow& row : phenomenon.rows) known.insert(row.name);
  }
  for (const Baseline& baseline : report.baselines) {
    if (!known.contains(baseline.row)) unknown.insert(baseline.row);
  }
  if (unknown.empty()) return "";
  return absl::StrCat(
      "<p>Baselines of rows that no run has: ", Escaped(absl::StrJoin(unknown, ", ")), "</p>\n");
}

std::string TaskSections(const std::vector<AnyReport>& reports) {
  std::string html;
  std::set<std::string> done;
  for (const AnyReport& report : reports) {
    if (std::get_if<TaskReport>(&report) == nullptr) continue;
    const std::string key = ItemsKey(HeaderOf(report));
    if (!done.insert(key).second) continue;
    std::vector<const TaskReport*> group;
    for (const AnyReport& other : reports) {
      const auto* task = std::get_if<TaskReport>(&other);
      if (task != nullptr && ItemsKey(task->run.header) == key) group.push_back(task);
    }
    absl::StrAppend(&html, "<section><h2>", Escaped(TaskName(HeaderOf(report))),
                    "</h2>\n<p class=\"dim\">", Isolated(InputName(HeaderOf(report))), "</p>\n",
                    TaskHtml(group), UnknownBaselines(*group.front()), "</section>\n");
  }
  return html;
}

std::string WordsSections(const std::vector<AnyReport>& reports) {
  std::string html;
  for (const AnyReport& report : reports) {
    const auto* words = std::get_if<WordsReport>(&report);
    if (words == nullptr) continue;
    absl::StrAppend(
        &html, "<section><h2>Surprisal</h2>\n<p class=\"dim\">", Isolated(InputName(words->header)),
        "</p>\n<p>", Escaped(ModelName(words->header)), ", convention ",
        Escaped(words->header.value("convention", "-")), ": ", Grouped(words->all_words),
        " words of ", Grouped(words->all_sentences), " sentences; ", Grouped(words->without_value),
        " words have no value. Run ", Escaped(words->header.value("run", "-")), ".</p>\n",
        WordsHtml(*words), "</section>\n");
  }
  return html;
}

std::string NotesSection(const std::vector<AnyReport>& reports) {
  std::string notes;
  for (const AnyReport& report : reports) {
    if (const auto* task = std::get_if<TaskReport>(&report); task != nullptr) {
      notes += NotesHtml(task->path, task->faults, task->unlabelled,
                         static_cast<int64_t>(task->run.items.size()), task->run.header);
    } else {
      const WordsReport& words = std::get<WordsReport>(report);
      // A sentence without words has no row: how many there are cannot be told from them.
      Json header = words.header;
      if (header.contains("input")) header["input"].erase("items");
      notes += NotesHtml(words.path, words.faults, 0, words.all_sentences, header);
    }
  }
  if (notes.empty()) notes = "<p>Nothing was refused, nothing failed.</p>\n";
  return absl::StrCat("<section><h2>Notes</h2>\n", notes, "</section>\n");
}

}  // namespace

absl::StatusOr<std::string> ReportPage(const std::vector<std::string>& paths,
                                       const std::string& baselines) {
  std::vector<AnyReport> reports;
  std::vector<NamedHeader> headers;
  std::set<std::string> names;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(AnyReport report, ReadAnyReport(path, baselines));
    headers.push_back({path, HeaderOf(report)});
    names.insert(TaskName(headers.back().header));
    reports.push_back(std::move(report));
  }
  std::string comparison;
  const auto* first = reports.size() == 2 ? std::get_if<TaskReport>(&reports[0]) : nullptr;
  const auto* second = reports.size() == 2 ? std::get_if<TaskReport>(&reports[1]) : nullptr;
  if (first != nullptr && second != nullptr) {
    ASSIGN_OR_RETURN(comparison, ComparisonHtml(*first, *second));
  }
  const std::string title = Escaped(absl::StrJoin(names, ", "));
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      title, "</title>\n<style>", kReportStyle,
      "</style>\n</head>\n<body>\n<main>\n<h1>Report: ", title, "</h1>\n", TaskSections(reports),
      comparison, WordsSections(reports), NotesSection(reports),
      "<section><h2>What the runs are</h2>\n", HeaderHtml(headers), "</section>\n", kMethods,
      ConventionsHtml(headers), "</section>\n", "</main>\n</body>\n</html>\n");
}

}  // namespace dyad::client
