// The part of a report about runs of one task over the same items.
#pragma once

#include <string>
#include <vector>

#include "client/report_run.h"

namespace dyad::client {

// Rows of charts and tables, and points of a scatter, at most; what is left out is told.
inline constexpr size_t kMaxRowsOnPage = 2'000;
inline constexpr size_t kMaxPointsOnPage = 2'000;

// "A sentence that a paper may have": model, task, convention, means with intervals, ties.
std::string TaskSentence(const TaskReport& report);

// Legend, means, chart and table of phenomena, of rows inside them, histograms of margins; of the
// wug tasks the scatter. REQUIRES: at least one; all over the same items.
std::string TaskHtml(const std::vector<const TaskReport*>& reports);

// What failed, has no label, or is missing; empty if nothing is.
std::string NotesHtml(const std::string& name, const ReportFaults& faults, int64_t unlabelled,
                      int64_t answers, const Json& header);

}  // namespace dyad::client
