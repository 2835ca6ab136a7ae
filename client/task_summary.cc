// Rows in alphabetical order: sums of floats then are the same whatever the order of the answers.
#include "client/task_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dyad::client {
namespace {

Json WithInterval(Json json, double score, const Interval& interval) {
  json["score"] = score;
  json["low"] = interval.low;
  json["high"] = interval.high;
  return json;
}

double Sum(const std::vector<double>& scores) {
  return std::accumulate(scores.begin(), scores.end(), 0.0);
}

Json Share(const std::vector<double>& scores) {
  const auto items = static_cast<int64_t>(scores.size());
  Json json = {{"items", items}};
  if (items == 0) return {{"items", 0}, {"score", nullptr}};
  const double sum = Sum(scores);
  return WithInterval(json, sum / static_cast<double>(items), WilsonInterval(sum, items));
}

}  // namespace

void TaskSummary::Add(const Json& answer) {
  if (answer.contains("error")) {
    ++failed_;
    return;
  }
  if (task_.kind == TaskKind::kWug) {
    forms_.emplace_back(answer["p_first"].get<double>(), answer["ratio"].get<double>());
    return;
  }
  if (answer["score"].is_null()) {
    ++unlabelled_;
    return;
  }
  Row& row = rows_[answer["row"].get<std::string>()];
  row.scores.push_back(answer["score"].get<double>());
  row.ties += answer["tie"].get<bool>() ? 1 : 0;
  if (task_.kind == TaskKind::kEntityTracking) row.file = answer["file"].get<std::string>();
}

std::vector<Stratum> TaskSummary::Strata() const {
  // Rows of one file share its weight; where rows have none, each is a file of its own.
  std::map<std::string, int64_t> rows_of;
  const auto file_of = [](const std::string& name, const Row& row) {
    return row.file.empty() ? "/" + name : row.file;
  };
  for (const auto& [name, row] : rows_) ++rows_of[file_of(name, row)];
  std::vector<Stratum> strata;
  for (const auto& [name, row] : rows_) {
    const auto parts = static_cast<double>(rows_of[file_of(name, row)]);
    strata.push_back({row.scores, 1 / (parts * static_cast<double>(rows_of.size()))});
  }
  return strata;
}

Json TaskSummary::ToJson() const {
  if (task_.kind == TaskKind::kWug) {
    // In the order of their values: a sum is then the same whatever the order of the answers.
    std::vector<std::pair<double, double>> forms = forms_;
    std::sort(forms.begin(), forms.end());
    std::vector<double> ours, people;
    for (const auto& [p_first, ratio] : forms) {
      ours.push_back(p_first);
      people.push_back(ratio);
    }
    const double correlation = SpearmanCorrelation(ours, people);
    return {{"items", forms.size()},
            {"failed", failed_},
            {"spearman", std::isnan(correlation) ? Json() : Json(correlation)}};
  }
  Json json = {{"failed", failed_}, {"unlabelled", unlabelled_}, {"rows", Json::object()}};
  std::vector<double> all;
  for (const auto& [name, row] : rows_) {
    Json share = Share(row.scores);
    share["ties"] = row.ties;
    json["rows"][name] = std::move(share);
    all.insert(all.end(), row.scores.begin(), row.scores.end());
  }
  const std::vector<Stratum> strata = Strata();
  json["macro"] = strata.empty() ? Json{{"rows", 0}, {"score", nullptr}}
                                 : WithInterval({{"rows", strata.size()}}, WeightedMean(strata),
                                                BootstrapInterval(strata));
  json["pooled"] = Share(all);
  return json;
}

std::string TaskSummary::Table(const Json& json) const {
  std::string failed =
      failed_ > 0 ? absl::StrCat(failed_, " items failed and count nowhere\n") : std::string();
  if (unlabelled_ > 0) absl::StrAppend(&failed, unlabelled_, " items have no label\n");
  if (task_.kind == TaskKind::kWug) {
    return absl::StrCat(
        json["items"].get<int64_t>(), " items, Spearman's correlation with people ",
        json["spearman"].is_null() ? "-" : absl::StrFormat("%.4f", json["spearman"].get<double>()),
        "\n", failed);
  }
  size_t width = 6;
  for (const auto& [name, row] : rows_) width = std::max(width, name.size());
  const int name_width = static_cast<int>(width);
  std::string table = absl::StrFormat("%-*s  %8s  %6s  %6s  %s\n", name_width, "row", "items",
                                      "ties", "score", "95 % interval");
  const auto add = [&](const std::string& name, int64_t items, const std::string& ties,
                       const Json& value) {
    const bool none = value["score"].is_null();
    absl::StrAppend(
        &table,
        absl::StrFormat(
            "%-*s  %8d  %6s  %6s  %s\n", name_width, name, items, ties,
            none ? "-" : absl::StrFormat("%.4f", value["score"].get<double>()),
            none ? "-" : IntervalText({value["low"].get<double>(), value["high"].get<double>()})));
  };
  int64_t ties = 0, items = 0;
  for (const auto& [name, row] : rows_) {
    add(name, static_cast<int64_t>(row.scores.size()), absl::StrCat(row.ties), json["rows"][name]);
    ties += row.ties;
    items += static_cast<int64_t>(row.scores.size());
  }
  add("macro", items, absl::StrCat(ties), json["macro"]);
  add("pooled", items, absl::StrCat(ties), json["pooled"]);
  return table + failed;
}

}  // namespace dyad::client
