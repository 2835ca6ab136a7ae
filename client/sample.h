// Answers of an earlier run, to be compared with those that the same lines get now.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/json_line.h"
#include "client/table.h"

namespace dyad::client {

struct Sample {
  Json header = {};                      // of the earlier run
  std::map<int64_t, Json> answers = {};  // by number; a run over a sample asks for these alone
  // Of rows: how they stand in the file. The answers are then {"row 1": row, ...}.
  TableFormat format = TableFormat::kJsonLines;
  // What differs: "answer 17: sum is -3.5 there and -3.4 now". Written by the run.
  std::vector<std::string> differences = {};
  int64_t compared = 0;
};

// Adds to `sample` each key of answer `number` whose value is another now. Keys that the earlier
// answer does not have are passed over: a later version may say more.
void CompareWith(Sample& sample, int64_t number, const Json& answer);

}  // namespace dyad::client
