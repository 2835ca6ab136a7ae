// Sums by row, then statistics of them.
#include "client/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "client/statistics.h"

namespace dyad::client {
namespace {

struct PairedTally {
  double sum_a = 0, sum_b = 0;
  int64_t only_a = 0, only_b = 0;   // items whose score is larger there
  std::vector<double> differences;  // second less first
};

struct Change {
  size_t number;
  const ScoredItem* a;
  const ScoredItem* b;
  double size() const { return std::abs(b->margin.value_or(0) - a->margin.value_or(0)); }
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

}  // namespace

Json ComparisonJson(const ScoredRun& a, const ScoredRun& b) {
  const Comparison comparison = Compare(a, b);
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
                               {"first_margin", change.a->margin.value_or(0)},
                               {"second_margin", change.b->margin.value_or(0)}});
  }
  return json;
}

}  // namespace dyad::client
