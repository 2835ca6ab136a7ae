// What the commands `pairs` and `blimp` share: flags, options, the summary.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "client/accuracy.h"
#include "client/command.h"
#include "client/pair_run.h"

namespace dyad::client {

std::vector<Flag> PairFlags();

// Without --output, answers go nowhere: the summary is what is asked for.
absl::StatusOr<PairRunOptions> PairRunFrom(const Arguments& arguments);

// Table and speed on the console's `out`; with --json one object that also has every paradigm.
void PrintSummary(const Accuracy& accuracy, const PairRunResult& result, const Arguments& arguments,
                  const Console& console);

}  // namespace dyad::client
