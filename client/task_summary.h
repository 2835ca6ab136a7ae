// What a task's answers come to: by row, and over all of them, with 95 % intervals.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/evaluate_task.h"
#include "client/json_line.h"
#include "client/statistics.h"

namespace dyad::client {

// One thread.
class TaskSummary {
 public:
  explicit TaskSummary(const EvaluateTask& task) : task_(task) {}

  // An answer of the output, with its line's own keys; an error counts as failed, one without score
  // as unlabelled.
  void Add(const Json& answer);

  // {"failed", "unlabelled", "rows": {name: {"items", "ties", "score", "low", "high"}}, "macro",
  // "pooled": {"items", "score", "low", "high"}}; of kWug {"items", "failed", "spearman"}. Macro is
  // the mean over the rows' means; of entity_tracking first over the rows of a file, then over
  // files. A score of no items is null.
  Json ToJson() const;

  // `json`, which is ToJson's, for people.
  std::string Table(const Json& json) const;

 private:
  struct Row {
    std::vector<double> scores;
    int64_t ties = 0;
    std::string file;
  };
  std::vector<Stratum> Strata() const;

  const EvaluateTask task_;
  std::map<std::string, Row> rows_;
  int64_t failed_ = 0, unlabelled_ = 0;
  std::vector<std::pair<double, double>> forms_;  // kWug: p_first and ratio
};

}  // namespace dyad::client
