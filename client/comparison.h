// Two runs over the same items, item by item. Formulas: docs/linguists.md.
#pragma once

#include "client/json_line.h"
#include "client/scored_run.h"

namespace dyad::client {

// {"left_out", "rows": {name: {"items", "first", "second", "difference", "first_better",
// "second_better", "p", "low", "high", "p_holm"}}, "pooled": the same without p_holm, or null,
// "changes": [{"answer" (from 1), "row", "first", "second", "first_margin", "second_margin"}]}.
// Differences are second less first, with a paired bootstrap interval; p is McNemar's, exact.
// Changes are items whose score is another, those first whose margin moved most; a margin that a
// task does not have counts as 0. Items without a score in one of the runs are left out, and
// counted. REQUIRES: CheckComparable.
Json ComparisonJson(const ScoredRun& a, const ScoredRun& b);

}  // namespace dyad::client
