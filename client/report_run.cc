// Means are those of the commands' own tables: the same classes count.
#include "client/report_run.h"

#include <cerrno>
#include <fstream>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/accuracy.h"
#include "client/answer_keys.h"
#include "client/evaluate_task.h"
#include "client/task_summary.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr char kGood[] = "sentence_good", kBad[] = "sentence_bad";

std::optional<ReportMean> MacroOf(const Json& summary, const char* score) {
  const Json macro = summary.value("macro", Json::object());
  if (!macro.contains(score) || !macro[score].is_number()) return std::nullopt;
  return ReportMean{macro[score].get<double>(),
                    {macro["low"].get<double>(), macro["high"].get<double>()}};
}

// The keys of the line that an answer is of.
Json LineKeys(const Json& answer) {
  Json line = answer;
  for (const char* key : kTaskAnswerKeys) line.erase(key);
  for (const char* key : {"run", "error"}) line.erase(key);
  return line;
}

AnswerTexts TextsOf(const std::optional<EvaluateTask>& task, const Json& answer) {
  AnswerTexts texts;
  if (!task.has_value()) {
    for (const auto& [name, key] : {std::pair("good", kGood), std::pair("bad", kBad)}) {
      if (!answer.contains(key) || !answer[key].is_string()) return {};
      texts.emplace_back(name, answer[key].get<std::string>());
    }
    return texts;
  }
  const Json line = LineKeys(answer);
  if (!CheckTaskLine(*task, line).ok()) return {};
  const auto items = TaskItems(*task, v1::CONVENTION_CONDITIONAL, line);
  for (size_t i = 0; i < items.size(); ++i) {
    texts.emplace_back(absl::StrCat(i), absl::StrCat(items[i].context_text(), items[i].text()));
  }
  return texts;
}

std::optional<EvaluateTask> TaskOf(const Json& header) {
  const Json task = header.value("task", Json::object());
  const absl::StatusOr<EvaluateTask> found =
      FindEvaluateTask(task.value("name", ""), task.value("variant", ""));
  if (!found.ok()) return std::nullopt;
  return *found;
}

}  // namespace

void ReportRow::Add(const ScoredItem& item) {
  ++items;
  ties += item.tie ? 1 : 0;
  sum += item.score.value_or(0);
  sum_of_chances += item.chance;
}

void ReportFaults::Add(size_t answer, const Json& error) {
  const auto text = [&](const char* key) {
    return error.is_object() && error.contains(key) && error[key].is_string()
               ? error[key].get<std::string>()
               : std::string("?");
  };
  ++codes[text("code")];
  if (first.size() < kMaxFaultsOnPage) first.push_back({answer, text("code"), text("message")});
}

int64_t ReportFaults::count() const {
  int64_t sum = 0;
  for (const auto& [code, number] : codes) sum += number;
  return sum;
}

absl::StatusOr<TaskReport> ReadTaskReport(const std::string& path, const std::string& baselines) {
  TaskReport report = {.path = path};
  std::map<std::string, std::map<std::string, ReportRow>> phenomena;
  Accuracy accuracy;
  size_t number = 0;
  std::optional<EvaluateTask> task;
  std::unique_ptr<TaskSummary> summary;
  bool is_pairs = false;
  ASSIGN_OR_RETURN(report.run, ReadScoredRun(path, [&](const Json& header, const Json& answer,
                                                       const ScoredItem& item) {
                     ++number;
                     if (number == 1) {
                       task = TaskOf(header);
                       if (task.has_value()) summary = std::make_unique<TaskSummary>(*task);
                     }
                     if (answer.contains("error"))
                       return report.faults.Add(number, answer["error"]);
                     is_pairs = answer.contains("correct");
                     if (is_pairs) {
                       accuracy.Add(answer);
                     } else if (summary != nullptr) {
                       summary->Add(answer);
                     }
                     if (item.shares.has_value()) return;
                     if (!item.score.has_value()) {
                       ++report.unlabelled;
                       return;
                     }
                     ReportRow& row = phenomena[item.phenomenon][item.row];
                     row.name = item.row;
                     row.Add(item);
                     report.pooled.Add(item);
                   }));
  for (const auto& [name, rows] : phenomena) {
    ReportPhenomenon& phenomenon = report.phenomena.emplace_back();
    phenomenon.all.name = name;
    for (const auto& [row_name, row] : rows) {
      phenomenon.rows.push_back(row);
      phenomenon.all.items += row.items;
      phenomenon.all.ties += row.ties;
      phenomenon.all.sum += row.sum;
      phenomenon.all.sum_of_chances += row.sum_of_chances;
    }
  }
  if (is_pairs) {
    report.macro = MacroOf(accuracy.ToJson(), "accuracy");
  } else if (summary != nullptr) {
    const Json json = summary->ToJson();
    report.macro = MacroOf(json, "score");
    if (json.contains("spearman") && json["spearman"].is_number()) {
      report.correlation = json["spearman"].get<double>();
    }
  }
  if (!baselines.empty()) {
    const Json header_task = report.run.header.value("task", Json::object());
    ASSIGN_OR_RETURN(report.baselines, ReadBaselines(baselines, header_task.value("name", "")));
  }
  return report;
}

absl::StatusOr<std::map<size_t, AnswerTexts>> ReadAnswerTexts(const TaskReport& report,
                                                              const std::vector<size_t>& answers) {
  std::map<size_t, AnswerTexts> texts;
  if (answers.empty()) return texts;
  const std::set<size_t> wanted(answers.begin(), answers.end());
  const std::optional<EvaluateTask> task = TaskOf(report.run.header);
  size_t number = 0;
  RETURN_IF_ERROR(
      ReadScoredRun(report.path, [&](const Json&, const Json& answer, const ScoredItem&) {
        ++number;
        if (wanted.contains(number)) texts[number] = TextsOf(task, answer);
      }).status());
  return texts;
}

}  // namespace dyad::client
