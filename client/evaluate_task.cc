// Layouts as the benchmarks define them; see docs/linguists.md.
#include "client/evaluate_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/answer_keys.h"
#include "server/base/message_text.h"

namespace dyad::client {
namespace {

constexpr size_t kMaxOptions = 64;

const std::vector<EvaluateTask>& Tasks() {
  static const std::vector<EvaluateTask> tasks = {
      {"choices", "", TaskKind::kChoices, {}},
      {"comps",
       "",
       TaskKind::kComps,
       {"prefix_acceptable", "prefix_unacceptable", "property_phrase"}},
      {"entity_tracking", "", TaskKind::kEntityTracking, {"input_prefix"}},
      {"ewok",
       "babylm",
       TaskKind::kEwokBabylm,
       {"Domain", "Context1", "Context2", "Target1", "Target2"}},
      {"ewok",
       "paper",
       TaskKind::kEwokPaper,
       {"Domain", "Context1", "Context2", "Target1", "Target2"}},
      {"wug_adj", "", TaskKind::kWug, {"sentences"}},
      {"wug_past", "", TaskKind::kWug, {"sentences"}}};
  return tasks;
}

std::string TextOf(const Json& line, const char* key) { return line[key].get<std::string>(); }

// A phrase that is compared, and what stands before it.
struct Phrase {
  std::optional<std::string> context;
  std::string text;
};

std::vector<Phrase> Phrases(const EvaluateTask& task, const Json& line) {
  const auto after = [&](const char* context, const char* target) {
    return Phrase{TextOf(line, context), " " + TextOf(line, target)};
  };
  std::vector<Phrase> phrases;
  switch (task.kind) {
    case TaskKind::kEwokBabylm:
      return {after("Context1", "Target1"), after("Context1", "Target2")};
    case TaskKind::kEwokPaper:
      return {after("Context1", "Target1"), after("Context2", "Target1"),
              after("Context2", "Target2"), after("Context1", "Target2")};
    case TaskKind::kComps:
      return {after("prefix_acceptable", "property_phrase"),
              after("prefix_unacceptable", "property_phrase")};
    case TaskKind::kWug:
      for (const absl::string_view form : absl::StrSplit(TextOf(line, "sentences"), '\t')) {
        phrases.push_back({std::nullopt, std::string(form)});
      }
      return phrases;
    case TaskKind::kEntityTracking:
    case TaskKind::kChoices:
      break;
  }
  const char* key = task.kind == TaskKind::kChoices ? "context" : "input_prefix";
  std::optional<std::string> context;
  if (line.contains(key) && !line[key].is_null()) context = TextOf(line, key);
  for (const Json& option : line["options"])
    phrases.push_back({context, option.get<std::string>()});
  return phrases;
}

std::string RowOf(const EvaluateTask& task, const Json& line) {
  const std::string file =
      line.contains("file") && line["file"].is_string() ? TextOf(line, "file") : "";
  switch (task.kind) {
    case TaskKind::kEwokBabylm:
    case TaskKind::kEwokPaper:
      return TextOf(line, "Domain");
    case TaskKind::kComps:  // comps_wugs_dist-before
      return absl::StrReplaceAll(file.substr(absl::StartsWith(file, "comps_") ? 6 : 0),
                                 {{"-", "_"}});
    case TaskKind::kEntityTracking:
      return absl::StrCat(file, "_", line["numops"].get<int64_t>(), "_ops");
    case TaskKind::kWug:
      return task.name;
    case TaskKind::kChoices:
      break;
  }
  return line.contains("group") && line["group"].is_string() ? TextOf(line, "group") : "all";
}

absl::Status KeyFault(const std::string& key, const Json& line, std::string_view expected) {
  if (!line.contains(key)) return absl::InvalidArgumentError(absl::StrCat("lacks the key ", key));
  return absl::InvalidArgumentError(
      Text(key, " must be ", expected, ", found: ", FormatLine(line[key]).substr(0, 80)));
}

bool IsText(const Json& line, const std::string& key) {
  return line.contains(key) && line[key].is_string();
}

absl::Status CheckOptions(const Json& line) {
  const bool fits = line.contains("options") && line["options"].is_array() &&
                    line["options"].size() >= 2 && line["options"].size() <= kMaxOptions &&
                    std::all_of(line["options"].begin(), line["options"].end(),
                                [](const Json& option) { return option.is_string(); });
  return fits ? absl::OkStatus() : KeyFault("options", line, "a list of 2 to 64 strings");
}

absl::Status CheckChoice(const Json& line) {
  for (const char* key : {"context", "group"}) {
    if (line.contains(key) && !line[key].is_null() && !IsText(line, key)) {
      return KeyFault(key, line, "a string");
    }
  }
  if (!line.contains("label") || line["label"].is_null()) return absl::OkStatus();
  const Json& label = line["label"];
  const bool fits = label.is_number_integer() && label.get<int64_t>() >= 0 &&
                    label.get<int64_t>() < static_cast<int64_t>(line["options"].size());
  return fits ? absl::OkStatus() : KeyFault("label", line, "the number of an option, from 0");
}

}  // namespace

std::vector<std::string> EvaluateTaskNames() {
  std::vector<std::string> names;
  for (const EvaluateTask& task : Tasks()) {
    if (names.empty() || names.back() != task.name) names.push_back(task.name);
  }
  return names;
}

absl::StatusOr<EvaluateTask> FindEvaluateTask(const std::string& name, const std::string& variant) {
  std::vector<std::string> variants;
  for (const EvaluateTask& task : Tasks()) {
    if (task.name != name) continue;
    if (variant.empty() || task.variant == variant) return task;
    variants.push_back(task.variant);
  }
  if (variants.empty()) {
    return absl::InvalidArgumentError(Text("the task ", Quoted(name),
                                           " is none of blimp, blimp_supplement, reading, ",
                                           absl::StrJoin(EvaluateTaskNames(), ", ")));
  }
  return absl::InvalidArgumentError(
      variants.front().empty()
          ? Text("the task ", name, " has no variants, found ", Quoted(variant))
          : Text("the variant ", Quoted(variant), " is none of ", absl::StrJoin(variants, ", ")));
}

absl::Status CheckTaskLine(const EvaluateTask& task, const Json& line, const std::string& prefix) {
  for (const std::string& key : task.texts) {
    if (!IsText(line, key)) return KeyFault(key, line, "a string");
  }
  absl::Status fault;
  if (task.kind == TaskKind::kEntityTracking || task.kind == TaskKind::kChoices) {
    fault.Update(CheckOptions(line));
  }
  if (task.kind == TaskKind::kChoices) {
    fault.Update(CheckChoice(line));
  } else if (line.contains("context")) {
    fault.Update(absl::InvalidArgumentError(
        absl::StrCat("has a context, which the task ", task.name, " does not have")));
  }
  if (task.kind == TaskKind::kEntityTracking &&
      !(line.contains("numops") && line["numops"].is_number_integer())) {
    fault.Update(KeyFault("numops", line, "an integer"));
  }
  if (task.kind == TaskKind::kWug) {
    const std::string forms = TextOf(line, "sentences");
    if (std::count(forms.begin(), forms.end(), '\t') != 1) {
      fault.Update(KeyFault("sentences", line, "two texts with a tab between"));
    }
    if (!line.contains("ratio") || !line["ratio"].is_number()) {
      fault.Update(KeyFault("ratio", line, "a number"));
    }
  }
  fault.Update(CheckOwnKeys(line, kTaskAnswerKeys, prefix));
  return fault;
}

std::vector<v1::ScoreItem> TaskItems(const EvaluateTask& task, v1::Convention convention,
                                     const Json& line) {
  std::vector<v1::ScoreItem> items;
  for (const Phrase& phrase : Phrases(task, line)) {
    v1::ScoreItem& item = items.emplace_back();
    if (!phrase.context.has_value()) {
      item.set_text(phrase.text);
    } else if (convention != v1::CONVENTION_BABYLM) {
      item.set_context_text(*phrase.context);
      item.set_text(phrase.text);
    } else {
      const std::string whole = *phrase.context + phrase.text;
      // The blank in front belongs to the first word's token.
      const size_t blanks = std::min(phrase.text.find_first_not_of(' '), phrase.text.size());
      item.set_text(whole);
      item.mutable_scored()->set_begin(static_cast<int>(phrase.context->size() + blanks));
      item.mutable_scored()->set_end(static_cast<int>(whole.size()));
    }
  }
  return items;
}

Json TaskAnswer(const EvaluateTask& task, v1::Convention convention, const Json& line,
                const v1::ScoreResponse& response) {
  Json answer = {{"row", RowOf(task, line)}};
  std::vector<double> values;
  for (const v1::TextScore& score : response.scores()) {
    answer["sums"].push_back(score.sum());
    answer["means"].push_back(score.mean());
    answer["scored_tokens"].push_back(score.scored_tokens());
    values.push_back(convention == v1::CONVENTION_MINICONS_MEAN ? score.mean() : score.sum());
  }
  if (task.kind == TaskKind::kEwokPaper) {
    answer["tie"] = values[0] == values[1] || values[2] == values[3];
    answer["score"] = (values[0] >= values[1] ? 0.5 : 0.0) + (values[2] >= values[3] ? 0.5 : 0.0);
    return answer;
  }
  const auto best = std::max_element(values.begin(), values.end());
  const auto number = best - values.begin();
  answer["best"] = number;
  answer["tie"] = std::count(values.begin(), values.end(), *best) > 1;
  if (task.kind == TaskKind::kWug) {
    answer["p_first"] = 1 / (1 + std::exp(values[1] - values[0]));
  } else if (task.kind == TaskKind::kChoices &&
             (!line.contains("label") || line["label"].is_null())) {
    answer["score"] = nullptr;
  } else {
    const int64_t label = task.kind == TaskKind::kChoices ? line["label"].get<int64_t>() : 0;
    answer["score"] = number == label ? 1.0 : 0.0;
  }
  return answer;
}

bool HasPredictions(const EvaluateTask& task) {
  return task.kind != TaskKind::kEwokPaper && task.kind != TaskKind::kChoices;
}

Json PredictionOf(const EvaluateTask& task, const Json& answer) {
  const Phrase chosen = Phrases(task, answer)[answer["best"].get<size_t>()];
  // Of comps the phrase is the same in both.
  const bool whole = task.kind == TaskKind::kComps;
  Json prediction = {{"pred", whole ? *chosen.context + chosen.text : chosen.text}};
  if (task.kind == TaskKind::kWug) prediction["prob"] = answer["p_first"];
  return prediction;
}

}  // namespace dyad::client
