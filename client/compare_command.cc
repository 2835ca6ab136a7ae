// dyadctl compare: two runs of a task over the same input, item by item.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/accuracy.h"
#include "client/command.h"
#include "client/commands.h"
#include "client/run_header.h"
#include "client/statistics.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr size_t kChangesShown = 10;

struct ScoredItem {
  std::string row;
  std::optional<double> score;  // none: it failed, or has no label
  double margin = 0;            // of the right text over the best other one
};

struct ScoredRun {
  Json header;
  std::vector<ScoredItem> items;
};

// Of an answer of pairs or of a task of `evaluate`. Errors: InvalidArgument for another one.
absl::StatusOr<ScoredItem> ItemOf(const Json& answer) {
  const auto is = [&](const char* key, bool (Json::*kind)() const noexcept) {
    return answer.contains(key) && (answer[key].*kind)();
  };
  if (answer.contains("error")) return ScoredItem{.row = ParadigmOf(answer), .score = {}};
  if (is("correct", &Json::is_boolean) && is("margin", &Json::is_number)) {
    return ScoredItem{ParadigmOf(answer), answer["correct"].get<bool>() ? 1.0 : 0.0,
                      answer["margin"].get<double>()};
  }
  if (!is("row", &Json::is_string) || !is("sums", &Json::is_array) || !answer.contains("score")) {
    return absl::InvalidArgumentError("is no answer of pairs or of a task with scores");
  }
  ScoredItem item = {.row = answer["row"].get<std::string>(), .score = {}};
  if (!answer["score"].is_number()) return item;
  item.score = answer["score"].get<double>();
  if (!is("best", &Json::is_number_integer)) return item;
  const size_t label = is("label", &Json::is_number_unsigned) ? answer["label"].get<size_t>() : 0;
  double other = -HUGE_VAL;
  for (size_t i = 0; i < answer["sums"].size(); ++i) {
    if (!answer["sums"][i].is_number() || label >= answer["sums"].size()) return item;
    if (i != label) other = std::max(other, answer["sums"][i].get<double>());
  }
  item.margin = answer["sums"][label].get<double>() - other;
  return item;
}

absl::StatusOr<ScoredRun> ReadRun(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  std::string line;
  std::getline(file, line);
  const auto fault = [&](const absl::Status& status, const std::string& where) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", where, status.message()));
  };
  absl::StatusOr<Json> header = ReadHeader(line);
  if (!header.ok()) return fault(header.status(), "");
  ScoredRun run = {*std::move(header), {}};
  while (std::getline(file, line)) {
    const std::string where = absl::StrCat("answer ", run.items.size() + 1, " ");
    const absl::StatusOr<Json> answer = ParseLine(line);
    if (!answer.ok()) return fault(answer.status(), where);
    absl::StatusOr<ScoredItem> item = ItemOf(*answer);
    if (!item.ok()) return fault(item.status(), where);
    run.items.push_back(*std::move(item));
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path));
  return run;
}

// The two must be answers to the same items.
absl::Status CheckComparable(const ScoredRun& a, const ScoredRun& b) {
  for (const char* part : {"input", "task", "options"}) {
    const Json of_a = a.header.value(part, Json::object()),
               of_b = b.header.value(part, Json::object());
    const std::string key = part == std::string("input")  ? "sha256"
                            : part == std::string("task") ? "name"
                                                          : "limit";
    const std::string in_a = FormatLine(of_a.value(key, Json())),
                      in_b = FormatLine(of_b.value(key, Json()));
    const bool known = key != "sha256" || of_a.contains(key);
    if (in_a == in_b && known) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the runs are not over the same items: ", part, ".", key, " is ", in_a,
                     " in the first and ", in_b, " in the second"));
  }
  if (a.items.size() == b.items.size()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the first run has ", a.items.size(), " answers, the second ", b.items.size(),
                   ": the same command goes on with the shorter one"));
}

struct PairedTally {
  double sum_a = 0, sum_b = 0;
  int64_t only_a = 0, only_b = 0;   // items whose score is larger there
  std::vector<double> differences;  // second less first
};

struct Change {
  size_t number;
  const ScoredItem* a;
  const ScoredItem* b;
  double size() const { return std::abs(b->margin - a->margin); }
};

struct Comparison {
  std::map<std::string, PairedTally> rows;
  PairedTally all;
  int64_t left_out = 0;
  std::vector<Change> changes;  // largest first
};

Comparison Compare(const ScoredRun& a, const ScoredRun& b) {
  Comparison comparison;
  for (size_t i = 0; i < a.items.size(); ++i) {
    const ScoredItem &in_a = a.items[i], &in_b = b.items[i];
    if (!in_a.score.has_value() || !in_b.score.has_value()) {
      ++comparison.left_out;
      continue;
    }
    for (PairedTally* tally : {&comparison.rows[in_a.row], &comparison.all}) {
      tally->sum_a += *in_a.score;
      tally->sum_b += *in_b.score;
      tally->only_a += *in_a.score > *in_b.score ? 1 : 0;
      tally->only_b += *in_a.score < *in_b.score ? 1 : 0;
      tally->differences.push_back(*in_b.score - *in_a.score);
    }
    if (*in_a.score != *in_b.score) comparison.changes.push_back({i, &in_a, &in_b});
  }
  std::stable_sort(comparison.changes.begin(), comparison.changes.end(),
                   [](const Change& x, const Change& y) { return x.size() > y.size(); });
  return comparison;
}

Json TallyJson(const PairedTally& tally) {
  const auto n = static_cast<double>(tally.differences.size());
  return {{"items", tally.differences.size()},
          {"first", tally.sum_a / n},
          {"second", tally.sum_b / n},
          {"difference", (tally.sum_b - tally.sum_a) / n},
          {"first_better", tally.only_a},
          {"second_better", tally.only_b},
          {"p", McNemarP(tally.only_a, tally.only_b)}};
}

Json ComparisonJson(const Comparison& comparison) {
  Json json = {{"left_out", comparison.left_out}, {"rows", Json::object()}, {"pooled", nullptr}};
  std::vector<double> p;
  std::vector<Stratum> strata;
  for (const auto& [name, tally] : comparison.rows) {
    Json row = TallyJson(tally);
    p.push_back(row["p"].get<double>());
    const Interval interval = BootstrapInterval({{tally.differences, 1}});
    row["low"] = interval.low;
    row["high"] = interval.high;
    json["rows"][name] = std::move(row);
    strata.push_back(
        {tally.differences, static_cast<double>(tally.differences.size()) /
                                static_cast<double>(comparison.all.differences.size())});
  }
  const std::vector<double> adjusted = HolmAdjusted(p);
  size_t i = 0;
  for (auto& [name, row] : json["rows"].items()) row["p_holm"] = adjusted[i++];
  if (!strata.empty()) {
    json["pooled"] = TallyJson(comparison.all);
    const Interval interval = BootstrapInterval(strata);
    json["pooled"]["low"] = interval.low;
    json["pooled"]["high"] = interval.high;
  }
  for (const Change& change : comparison.changes) {
    json["changes"].push_back({{"answer", change.number + 1},
                               {"row", change.a->row},
                               {"first", *change.a->score},
                               {"second", *change.b->score},
                               {"first_margin", change.a->margin},
                               {"second_margin", change.b->margin}});
  }
  return json;
}

std::string NameOf(const Json& header) {
  const Json model = header.value("model", Json::object());
  return absl::StrCat(model.value("name", "?"), ", ", header.value("convention", ""), ", run ",
                      header.value("run", ""));
}

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
    ASSIGN_OR_RETURN(const ScoredRun a, ReadRun(words_[0]));
    ASSIGN_OR_RETURN(const ScoredRun b, ReadRun(words_[1]));
    RETURN_IF_ERROR(CheckComparable(a, b));
    Json json = {{"runs", {a.header, b.header}}};
    json.update(ComparisonJson(Compare(a, b)));
    if (json_) {
      console.out << FormatLine(json) << '\n';
    } else {
      console.out << "first   " << NameOf(a.header) << "\nsecond  " << NameOf(b.header) << "\n"
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
