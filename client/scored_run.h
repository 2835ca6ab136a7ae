// An output of a task, read back: what each item scored.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/json_line.h"

namespace dyad::client {

struct ScoredItem {
  std::string row = {};
  std::string phenomenon = {};       // that the row belongs to; the row itself where there is none
  std::optional<double> score = {};  // none: it failed, or has no label
  std::optional<double> margin =
      {};  // of the right text over the best other one: by sum, of MINICONS_MEAN by mean
  double chance = 0.5;  // what guessing scores
  bool tie = false;
  // Of the wug tasks: the model's and people's share of the first form. Those have no score.
  std::optional<std::pair<double, double>> shares = {};
};

struct ScoredRun {
  Json header = {};
  std::vector<ScoredItem> items = {};
};

using OnScoredAnswer =
    std::function<void(const Json& header, const Json& answer, const ScoredItem& item)>;

// `on_answer` sees each answer, errors too. Errors: the system's; FailedPrecondition, naming path
// and answer, for a file without header and an answer that is none of pairs or of a task of
// `evaluate`.
absl::StatusOr<ScoredRun> ReadScoredRun(const std::string& path,
                                        const OnScoredAnswer& on_answer = {});

// Whether both are answers to the same items, with scores. Errors: FailedPrecondition with what
// differs.
absl::Status CheckComparable(const ScoredRun& a, const ScoredRun& b);

}  // namespace dyad::client
