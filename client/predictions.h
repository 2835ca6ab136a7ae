// The prediction files of BabyLM's evaluation pipeline (2025), for its collation and leaderboard.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/json_line.h"

namespace dyad::client {

// One thread. Answers may come in any order.
class Predictions {
 public:
  // What the item of this number chose: {"pred": text}, of the wug tasks also "prob".
  void Add(int64_t number, const std::string& row, Json prediction);

  // {row: {"predictions": [{"id": "row_0", "pred": ...}, ...]}}, each row's items in their order.
  Json ToJson() const;

 private:
  struct Prediction {
    std::string row;
    Json values;
  };
  std::map<int64_t, Prediction> predictions_;
};

// DIR/TASK/NAME/predictions.json, made with its folders; NAME is the last part of the input's path,
// without endings, and blimp_supplement a set of blimp's, as the pipeline has it. Of the task
// reading DIR/reading/predictions.json. If items failed nothing is written, and `err` is told: the
// pipeline counts them. Errors: the system's, naming the path.
absl::Status WritePredictions(const std::string& folder, const std::string& task,
                              const std::string& input, const Json& predictions, int64_t failed,
                              std::ostream& err);

}  // namespace dyad::client
