// A run of a task as its report shows it: rows within their phenomena, means, what failed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/baselines.h"
#include "client/json_line.h"
#include "client/scored_run.h"
#include "client/statistics.h"

namespace dyad::client {

// Items that failed and are told one by one, at most.
inline constexpr size_t kMaxFaultsOnPage = 20;

struct ReportRow {
  std::string name = {};
  int64_t items = 0, ties = 0;         // with a score
  double sum = 0, sum_of_chances = 0;  // of scores; of what guessing scores

  void Add(const ScoredItem& item);
  // REQUIRES: items > 0.
  double score() const { return sum / static_cast<double>(items); }
  double chance() const { return sum_of_chances / static_cast<double>(items); }
  Interval interval() const { return WilsonInterval(sum, items); }
};

struct ReportPhenomenon {
  ReportRow all = {};                // pooled over its rows
  std::vector<ReportRow> rows = {};  // by name
};

struct ReportMean {
  double score = 0;
  Interval interval = {};
};

struct ReportFault {
  size_t answer = 0;  // from 1
  std::string code, message;
};

// What failed: how often by code, and the first ones.
struct ReportFaults {
  std::map<std::string, int64_t> codes = {};
  std::vector<ReportFault> first = {};

  void Add(size_t answer, const Json& error);
  int64_t count() const;
};

struct TaskReport {
  std::string path;
  ScoredRun run = {};
  std::vector<ReportPhenomenon> phenomena =
      {};  // by name; those whose items all failed are left out
  ReportRow pooled = {};
  std::optional<ReportMean> macro = {};    // over rows, as `evaluate` prints it; none without items
  std::optional<double> correlation = {};  // Spearman's, of the wug tasks
  ReportFaults faults = {};
  int64_t unlabelled = 0;
  std::vector<Baseline> baselines = {};
};

// `baselines`: a file of such (baselines.h), or empty. Errors: of ReadScoredRun and ReadBaselines.
absl::StatusOr<TaskReport> ReadTaskReport(const std::string& path, const std::string& baselines);

// The texts of some answers, by their numbers from 1: {{"good", ...}, {"bad", ...}}, or of other
// tasks what was compared, by option. Of an answer whose texts are not known nothing.
// Errors: the system's.
using AnswerTexts = std::vector<std::pair<std::string, std::string>>;
absl::StatusOr<std::map<size_t, AnswerTexts>> ReadAnswerTexts(const TaskReport& report,
                                                              const std::vector<size_t>& answers);

}  // namespace dyad::client
