// Keys of answers, told apart by what they have.
#include "client/scored_run.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "client/accuracy.h"
#include "client/answer_keys.h"
#include "client/evaluate_task.h"
#include "client/run_file.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

bool Is(const Json& answer, const char* key, bool (Json::*kind)() const noexcept) {
  return answer.contains(key) && (answer[key].*kind)();
}

ScoredItem PairItem(const Json& answer) {
  ScoredItem item = {.row = ParadigmOf(answer),
                     .phenomenon = PhenomenonOf(answer),
                     .score = answer["correct"].get<bool>() ? 1.0 : 0.0,
                     .margin = answer["margin"].get<double>()};
  item.tie = *item.margin == 0;
  return item;
}

// What the task is, as far as its answers depend on it.
struct AnswerKind {
  bool are_pairs = false;
  bool rows_are_of_files = false;
  const char* values = "sums";  // what decides
};

// Of the right option over the best other one.
std::optional<double> MarginOf(const Json& answer, const char* values) {
  if (!Is(answer, "best", &Json::is_number_integer) || !Is(answer, values, &Json::is_array)) {
    return std::nullopt;
  }
  const size_t label =
      Is(answer, "label", &Json::is_number_unsigned) ? answer["label"].get<size_t>() : 0;
  double other = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < answer[values].size(); ++i) {
    if (!answer[values][i].is_number() || label >= answer[values].size()) return std::nullopt;
    if (i != label) other = std::max(other, answer[values][i].get<double>());
  }
  if (std::isinf(other)) return std::nullopt;
  return answer[values][label].get<double>() - other;
}

absl::StatusOr<ScoredItem> ItemOf(const Json& answer, const AnswerKind& kind) {
  if (answer.contains("error")) {
    return ScoredItem{
        .row = ParadigmOf(answer), .phenomenon = PhenomenonOf(answer), .score = {}, .margin = {}};
  }
  const absl::Status fault =
      absl::InvalidArgumentError("is no answer of pairs or of a task of evaluate");
  if (kind.are_pairs) {
    const bool fits =
        Is(answer, "correct", &Json::is_boolean) && Is(answer, "margin", &Json::is_number);
    return fits ? absl::StatusOr<ScoredItem>(PairItem(answer)) : fault;
  }
  ScoredItem item = {.score = {}, .margin = {}};
  const bool has_row = Is(answer, "row", &Json::is_string) && Is(answer, "sums", &Json::is_array) &&
                       Is(answer, "tie", &Json::is_boolean);
  if (has_row) {
    item.row = answer["row"].get<std::string>();
    item.tie = answer["tie"].get<bool>();
  }
  if (has_row && Is(answer, "p_first", &Json::is_number) && Is(answer, "ratio", &Json::is_number)) {
    item.shares = {answer["p_first"].get<double>(), answer["ratio"].get<double>()};
  } else if (!has_row || !answer.contains("score") ||
             (kind.rows_are_of_files && !Is(answer, "file", &Json::is_string))) {
    return fault;
  }
  item.phenomenon = kind.rows_are_of_files ? answer["file"].get<std::string>() : item.row;
  if (!Is(answer, "score", &Json::is_number)) return item;
  item.score = answer["score"].get<double>();
  item.margin = MarginOf(answer, kind.values);
  // Without a margin two comparisons of two are counted, each by a half.
  if (item.margin.has_value()) item.chance = 1.0 / static_cast<double>(answer["sums"].size());
  return item;
}

}  // namespace

absl::StatusOr<ScoredRun> ReadScoredRun(const std::string& path, const OnScoredAnswer& on_answer) {
  ASSIGN_OR_RETURN(RunFile opened, ReadRunFile(path));
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  file.seekg(opened.begin);
  const auto fault = [&](const absl::Status& status, const std::string& where) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", where, status.message()));
  };
  ScoredRun run = {std::move(opened.header), {}};
  const Json task = run.header.value("task", Json::object());
  const std::string prefix =
      CellText(run.header.value("options", Json::object()).value("prefix", Json()));
  const std::string name = task.value("name", "");
  const AnswerKind kind = {
      .are_pairs = name == "pairs" || name == "blimp" || name == "blimp_supplement",
      .rows_are_of_files = name == "entity_tracking",
      .values = run.header.value("convention", "") == "MINICONS_MEAN" ? "means" : "sums"};
  std::string line;
  while (std::getline(file, line)) {
    const std::string where = absl::StrCat("answer ", run.items.size() + 1, " ");
    const absl::StatusOr<Json> written = ParseLine(line);
    if (!written.ok()) return fault(written.status(), where);
    const Json answer = WithoutPrefix(prefix, *written);
    absl::StatusOr<ScoredItem> item = ItemOf(answer, kind);
    if (!item.ok()) return fault(item.status(), where);
    if (on_answer) on_answer(run.header, answer, *item);
    run.items.push_back(*std::move(item));
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path));
  return run;
}

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
  if (a.items.size() != b.items.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the first run has ", a.items.size(), " answers, the second ", b.items.size(),
                     ": the same command goes on with the shorter one"));
  }
  const auto has_shares = [](const ScoredItem& item) { return item.shares.has_value(); };
  if (std::none_of(a.items.begin(), a.items.end(), has_shares)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "items of the task have no scores of their own, only a correlation over all of them");
}

}  // namespace dyad::client
