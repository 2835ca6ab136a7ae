// Shades are ten steps of two bits each, whatever the unit, so that strips of all runs compare.
#include "client/report_words.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <numbers>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/html.h"
#include "client/rows.h"
#include "client/run_file.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

constexpr int kShades = 10;
constexpr double kBitsOfShade = 2;

std::string UnitOf(const Json& header) { return header.value("unit", std::string("bits")); }

int ShadeOf(double value, const std::string& unit) {
  const double bits = unit == "bits"      ? value
                      : unit == "logprob" ? -value / std::numbers::ln2
                                          : value / std::numbers::ln2;
  return static_cast<int>(std::clamp(std::floor(bits / kBitsOfShade), 0.0, kShades - 1.0));
}

std::optional<double> NumberOf(const Json& row, const std::string& column) {
  double number = 0;
  if (!row.contains(column) || !absl::SimpleAtod(CellText(row[column]), &number) ||
      !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

class WordCollector {
 public:
  WordCollector(const RowLayout& layout, WordsReport& report) : layout_(layout), report_(report) {}

  absl::Status Add(const OldRow& row) {
    if (row.item != item_) {
      item_ = row.item;
      ++report_.all_sentences;
      const bool fits = report_.sentences.size() < kMaxSentencesOnPage && words_ < kMaxWordsOnPage;
      if (fits && !row.is_error) report_.sentences.push_back({row.item, {}});
      shown_ = fits && !row.is_error;
    }
    if (row.is_error) {
      const Json& error = row.row[layout_.Name("error")];
      report_.faults.Add(static_cast<size_t>(row.item) + 1,
                         error.is_object() ? error : Coded(error));
      return absl::OkStatus();
    }
    const std::string kind = row.row.contains(layout_.Name("region")) ? "region" : "word";
    const Json& row_json = row.row;
    ReportWord word = {.text = CellText(row_json.value(layout_.Name(kind), Json())),
                       .value = NumberOf(row_json, layout_.Name("surprisal"))};
    word.tokens = static_cast<int64_t>(NumberOf(row_json, layout_.Name("tokens")).value_or(0));
    ++report_.all_words;
    report_.without_value += word.value.has_value() ? 0 : 1;
    if (!shown_ || words_ >= kMaxWordsOnPage) return absl::OkStatus();
    ++words_;
    report_.sentences.back().words.push_back(std::move(word));
    return absl::OkStatus();
  }

 private:
  // "CODE: message", as a cell has it.
  static Json Coded(const Json& cell) {
    const std::string text = CellText(cell);
    const size_t colon = std::min(text.find(": "), text.size());
    return {{"code", text.substr(0, colon)},
            {"message", colon == text.size() ? "" : text.substr(colon + 2)}};
  }

  const RowLayout& layout_;
  WordsReport& report_;
  int64_t item_ = -1;
  bool shown_ = false;
  size_t words_ = 0;
};

std::string StripHtml(const ReportSentence& sentence, const std::string& unit) {
  std::string html =
      absl::StrCat("<p class=\"strip\"><span class=\"item\">", sentence.item, "</span>");
  for (const ReportWord& word : sentence.words) {
    const std::string shade =
        word.value.has_value() ? absl::StrCat(" w", ShadeOf(*word.value, unit)) : "";
    absl::StrAppend(&html, "<span class=\"word", shade, "\">", Isolated(word.text), "<small>",
                    word.value.has_value() ? absl::StrFormat("%.2f", *word.value) : "–",
                    "</small></span>");
  }
  return html + "</p>\n";
}

}  // namespace

bool IsWordsRun(const Json& header) {
  return header.value("task", Json::object()).value("name", "") == "surprisal";
}

absl::StatusOr<WordsReport> ReadWordsReport(const std::string& path) {
  WordsReport report = {.path = path, .header = {}, .sentences = {}};
  ASSIGN_OR_RETURN(RunFile run, ReadRunFile(path));
  report.header = std::move(run.header);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  file.seekg(run.begin);
  WordCollector words(run.layout, report);
  const absl::Status status = ReadRows(file, run.begin, run.layout, report.header.value("run", ""),
                                       [&](const OldRow& row) { return words.Add(row); });
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  return report;
}

std::string WordsHtml(const WordsReport& report) {
  const std::string unit = UnitOf(report.header);
  std::string html = absl::StrCat("<figure><figcaption>Surprisal of words (", Escaped(unit),
                                  "); a stronger colour is more surprising, a step for every two "
                                  "bits</figcaption>\n<p class=\"legend\">");
  for (int shade = 0; shade < kShades; ++shade) {
    absl::StrAppend(&html, "<span class=\"word w", shade, "\">", shade * 2,
                    shade + 1 == kShades ? "+" : absl::StrCat("–", shade * 2 + 2), "</span>");
  }
  html += " bits; – no value</p>\n";
  for (const ReportSentence& sentence : report.sentences) html += StripHtml(sentence, unit);
  html += "</figure>\n";
  HtmlTable table = {.caption = absl::StrCat("Sentences, ", unit),
                     .columns = {{"item", true},
                                 {"words", true},
                                 {"tokens", true},
                                 {"sum", true},
                                 {"mean of a word", true},
                                 {"without value", true}}};
  for (const ReportSentence& sentence : report.sentences) {
    int64_t tokens = 0, without = 0;
    double sum = 0;
    for (const ReportWord& word : sentence.words) {
      tokens += word.tokens;
      without += word.value.has_value() ? 0 : 1;
      sum += word.value.value_or(0);
    }
    const auto valued = static_cast<int64_t>(sentence.words.size()) - without;
    table.rows.push_back(
        {absl::StrCat(sentence.item), Grouped(sentence.words.size()), Grouped(tokens),
         absl::StrFormat("%.3f", sum),
         valued == 0 ? "–" : absl::StrFormat("%.3f", sum / static_cast<double>(valued)),
         Grouped(without)});
  }
  html += TableHtml(table);
  const auto shown = static_cast<int64_t>(report.sentences.size());
  if (shown + report.faults.count() < report.all_sentences) {
    absl::StrAppend(&html, "<p>Shown are the first ", shown, " of ", Grouped(report.all_sentences),
                    " sentences; all are in the file.</p>\n");
  }
  return html;
}

}  // namespace dyad::client
