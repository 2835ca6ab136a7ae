// The part of a report about two runs over the same items.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/report_run.h"

namespace dyad::client {

// Items of which the score changed, that are told one by one, at most.
inline constexpr size_t kMaxChangesOnPage = 50;

// Scatter and table of rows with intervals and tests, and the changed items with their texts, those
// first whose margin moved most. Where the runs do not compare, why not.
// Errors: those of reading the files again, for the texts.
absl::StatusOr<std::string> ComparisonHtml(const TaskReport& first, const TaskReport& second);

}  // namespace dyad::client
