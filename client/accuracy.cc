// Counting pairs; see the header for what counts where.
#include "client/accuracy.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dyad::client {
namespace {

std::string TextField(const Json& line, const char* key) {
  const auto field = line.find(key);
  return field != line.end() && field->is_string() ? field->get<std::string>() : std::string();
}

bool IsTrue(const Json& line, const char* key) {
  const auto field = line.find(key);
  return field != line.end() && field->is_boolean() && field->get<bool>();
}

Tally Sum(const std::map<std::string, Tally>& paradigms) {
  Tally sum;
  for (const auto& [name, tally] : paradigms) sum.Add(tally);
  return sum;
}

void AppendTally(const Tally& tally, Json& json) {
  json["pairs"] = tally.pairs;
  json["correct"] = tally.correct;
  json["ties"] = tally.ties;
  const std::optional<double> accuracy = tally.accuracy();
  json["accuracy"] = accuracy.has_value() ? Json(*accuracy) : Json();
  if (!accuracy.has_value()) return;
  const Interval interval = WilsonInterval(static_cast<double>(tally.correct), tally.pairs);
  json["low"] = interval.low;
  json["high"] = interval.high;
}

}  // namespace

void Tally::Add(const Tally& other) {
  pairs += other.pairs;
  correct += other.correct;
  ties += other.ties;
}

std::string PhenomenonOf(const Json& line) {
  std::string name = TextField(line, "linguistics_term");
  if (name == "s-selection") return "argument_structure";
  if (name.empty()) name = TextField(line, "phenomenon");
  if (name.empty()) name = TextField(line, "UID");
  return name.empty() ? "all" : name;
}

std::string ParadigmOf(const Json& line) {
  const std::string uid = TextField(line, "UID");
  return uid.empty() ? PhenomenonOf(line) : uid;
}

// Takes answers, not results, so that those of an output that is gone on with count too.
void Accuracy::Add(const Json& answer) {
  if (answer.contains("error")) {
    ++failed_;
    return;
  }
  Tally pair = {.pairs = 1};
  pair.correct = IsTrue(answer, "correct") ? 1 : 0;
  pair.ties = IsTrue(answer, "tie") ? 1 : 0;
  tallies_[PhenomenonOf(answer)][ParadigmOf(answer)].Add(pair);
}

Tally Accuracy::overall() const {
  Tally sum;
  for (const auto& [name, paradigms] : tallies_) sum.Add(Sum(paradigms));
  return sum;
}

std::vector<Stratum> Accuracy::Paradigms() const {
  std::vector<Stratum> strata;
  for (const auto& [phenomenon, paradigms] : tallies_) {
    for (const auto& [paradigm, tally] : paradigms) {
      Stratum& stratum = strata.emplace_back();
      stratum.scores.resize(static_cast<size_t>(tally.pairs));
      std::fill_n(stratum.scores.begin(), tally.correct, 1.0);
    }
  }
  for (Stratum& stratum : strata) stratum.weight = 1 / static_cast<double>(strata.size());
  return strata;
}

std::map<std::string, double> Accuracy::Scores() const {
  std::map<std::string, double> scores;
  const auto add = [&](const std::string& name, const Tally& tally) {
    if (tally.accuracy().has_value()) scores[name] = *tally.accuracy();
  };
  for (const auto& [phenomenon, paradigms] : tallies_) {
    add(phenomenon, Sum(paradigms));
    for (const auto& [paradigm, tally] : paradigms) add(paradigm, tally);
  }
  add("overall", overall());
  if (!tallies_.empty()) scores["macro"] = WeightedMean(Paradigms());
  return scores;
}

Json Accuracy::ToJson() const {
  Json json = {{"failed", failed_}};
  AppendTally(overall(), json);
  const std::vector<Stratum> strata = Paradigms();
  json["macro"] = {{"paradigms", strata.size()}, {"accuracy", nullptr}};
  if (!strata.empty()) {
    const Interval interval = BootstrapInterval(strata);
    json["macro"]["accuracy"] = WeightedMean(strata);
    json["macro"]["low"] = interval.low;
    json["macro"]["high"] = interval.high;
  }
  Json& phenomena = json["phenomena"] = Json::object();
  Json paradigms_json = Json::object();
  for (const auto& [phenomenon, paradigms] : tallies_) {
    phenomena[phenomenon] = {{"paradigms", paradigms.size()}};
    AppendTally(Sum(paradigms), phenomena[phenomenon]);
    for (const auto& [paradigm, tally] : paradigms) {
      paradigms_json[paradigm] = {{"phenomenon", phenomenon}};
      AppendTally(tally, paradigms_json[paradigm]);
    }
  }
  json["paradigms"] = std::move(paradigms_json);
  return json;
}

std::string Accuracy::Table() const {
  size_t width = std::string_view("phenomenon").size();
  for (const auto& [name, paradigms] : tallies_) width = std::max(width, name.size());
  const int name_width = static_cast<int>(width);
  std::string table = absl::StrFormat("%-*s  paradigms   pairs   ties  accuracy  95 %% interval\n",
                                      name_width, "phenomenon");
  const auto row = [&](const std::string& name, size_t paradigms, const Tally& tally) {
    const std::optional<double> accuracy = tally.accuracy();
    absl::StrAppend(
        &table,
        absl::StrFormat("%-*s  %9d  %6d  %5d  %8s  %s\n", name_width, name, paradigms, tally.pairs,
                        tally.ties, accuracy.has_value() ? absl::StrFormat("%.4f", *accuracy) : "-",
                        accuracy.has_value() ? IntervalText(WilsonInterval(
                                                   static_cast<double>(tally.correct), tally.pairs))
                                             : "-"));
  };
  size_t all_paradigms = 0;
  for (const auto& [name, paradigms] : tallies_) {
    row(name, paradigms.size(), Sum(paradigms));
    all_paradigms += paradigms.size();
  }
  row("overall", all_paradigms, overall());
  if (const std::vector<Stratum> strata = Paradigms(); strata.size() > 1) {
    absl::StrAppend(&table,
                    absl::StrFormat("mean of %d paradigms %.4f, %s\n", strata.size(),
                                    WeightedMean(strata), IntervalText(BootstrapInterval(strata))));
  }
  if (failed_ > 0) absl::StrAppend(&table, failed_, " pairs failed and count nowhere\n");
  return table;
}

}  // namespace dyad::client
