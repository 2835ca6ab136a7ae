// An output of `surprisal` as its report shows it: sentences as strips of words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/json_line.h"
#include "client/report_run.h"

namespace dyad::client {

// Sentences and words on a page, at most.
inline constexpr size_t kMaxSentencesOnPage = 100;
inline constexpr size_t kMaxWordsOnPage = 10'000;

struct ReportWord {
  std::string text = {};
  int64_t tokens = 0;
  std::optional<double> value = {};  // in the run's unit
};

struct ReportSentence {
  int64_t item = 0;  // of the input, from 0
  std::vector<ReportWord> words = {};
};

struct WordsReport {
  std::string path;
  Json header = {};
  std::vector<ReportSentence> sentences = {};  // the first ones
  int64_t all_sentences = 0, all_words = 0, without_value = 0;
  ReportFaults faults = {};
};

// Whether a header is that of an output of `surprisal`.
bool IsWordsRun(const Json& header);

// Errors: those of ReadRunFile (client/run_file.h); FailedPrecondition for rows that are none of
// the run.
absl::StatusOr<WordsReport> ReadWordsReport(const std::string& path);

// A legend, a strip for each sentence, and a table of sentences.
std::string WordsHtml(const WordsReport& report);

}  // namespace dyad::client
