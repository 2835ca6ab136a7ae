// Outputs of runs, written by hand.
#pragma once

#include <string>

#include "client/json_line.h"

namespace dyad::testing {

// The header of a run over an input of this digest.
inline std::string RunHeaderLine(const std::string& task, const std::string& sha256 = "s",
                                 const std::string& convention = "BABYLM") {
  using client::Json;
  const Json header = {{"run", "0123456789ab"},
                       {"model", {{"name", "demo"}, {"digest", "ddddeeeeffff0000"}}},
                       {"task", {{"name", task}}},
                       {"convention", convention},
                       {"options", Json::object()},
                       {"unit", "bits"},
                       {"input", {{"name", "in.jsonl"}, {"sha256", sha256}}}};
  return client::FormatLine({{"dyad_run", header}}) + "\n";
}

inline std::string PairLine(const std::string& row, const std::string& phenomenon, double margin) {
  return client::FormatLine({{"sentence_good", "good " + row},
                             {"sentence_bad", "bad " + row},
                             {"UID", row},
                             {"phenomenon", phenomenon},
                             {"margin", margin},
                             {"tie", margin == 0},
                             {"correct", margin >= 0}}) +
         "\n";
}

}  // namespace dyad::testing
