// How many pairs a model decides rightly: by paradigm, by phenomenon, overall.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/json_line.h"
#include "client/statistics.h"

namespace dyad::client {

struct Tally {
  int64_t pairs = 0;    // with a result
  int64_t correct = 0;  // ties included
  int64_t ties = 0;

  std::optional<double> accuracy() const {  // none without pairs
    if (pairs == 0) return std::nullopt;
    return static_cast<double>(correct) / static_cast<double>(pairs);
  }
  void Add(const Tally& other);
};

// The phenomenon that a pair counts under: its "linguistics_term" (BLiMP; 13 terms in the files,
// but s-selection belongs to argument_structure, which makes the published 12), else its
// "phenomenon", else its "UID" (the supplements of BLiMP have no more), else "all".
std::string PhenomenonOf(const Json& line);
// The pair's "UID" (BLiMP's 67 paradigms), else its phenomenon.
std::string ParadigmOf(const Json& line);

// One thread.
class Accuracy {
 public:
  // An answer as PairAnswer makes it; an error object counts as failed, under no phenomenon.
  void Add(const Json& answer);

  Tally overall() const;
  int64_t failed() const { return failed_; }
  // Phenomenon -> paradigm -> tally, both in alphabetical order.
  const std::map<std::string, std::map<std::string, Tally>>& phenomena() const { return tallies_; }

  // Of each phenomenon and paradigm that has pairs, and "overall" and "macro".
  std::map<std::string, double> Scores() const;

  // {"pairs", "failed", "correct", "ties", "accuracy", "low", "high", "macro": {"paradigms",
  // "accuracy", "low", "high"}, "phenomena": {name: {"paradigms", "pairs", ...}}, "paradigms":
  // {name: {"phenomenon", ...}}}. "low" and "high" are ends of 95 % intervals: Wilson's, of the
  // macro mean over paradigms the bootstrap's (statistics.h). "accuracy" is null where there are no
  // pairs.
  Json ToJson() const;

  // The table for people: one row per phenomenon, the overall row last, then the macro mean if
  // there are several paradigms; "-" for the accuracy of no pairs.
  std::string Table() const;

 private:
  // For the macro mean, in the order of their names.
  std::vector<Stratum> Paradigms() const;

  std::map<std::string, std::map<std::string, Tally>> tallies_;
  int64_t failed_ = 0;
};

}  // namespace dyad::client
