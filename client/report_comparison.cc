// Numbers are those of `dyadctl compare`.
#include "client/report_comparison.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/comparison.h"
#include "client/html.h"
#include "client/report_header.h"
#include "client/report_task.h"
#include "client/run_header.h"
#include "client/svg_chart.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

std::string Signed(const Json& row, const char* key) {
  return absl::StrFormat("%+.4f", row[key].get<double>());
}

std::string Plain(const Json& row, const char* key) {
  return absl::StrFormat("%.4f", row[key].get<double>());
}

std::vector<std::string> RowCells(const std::string& name, const Json& row) {
  return {Isolated(name),
          Grouped(row["items"].get<int64_t>()),
          Plain(row, "first"),
          Plain(row, "second"),
          Signed(row, "difference"),
          absl::StrCat(Signed(row, "low"), " to ", Signed(row, "high")),
          Grouped(row["first_better"].get<int64_t>()),
          Grouped(row["second_better"].get<int64_t>()),
          PText(row["p"].get<double>()),
          row.contains("p_holm") ? PText(row["p_holm"].get<double>()) : "–"};
}

std::string RowsHtml(const Json& comparison) {
  HtmlTable table = {.caption =
                         "Rows: difference is second less first, with a paired bootstrap "
                         "interval; p is McNemar's, exact; Holm is p adjusted over all rows",
                     .columns = {{"row"}}};
  for (const char* title : {"items", "first", "second", "difference", "95 % interval",
                            "first better", "second better", "p", "Holm"}) {
    table.columns.push_back({title, true});
  }
  std::vector<ScatterPoint> points;
  for (const auto& [name, row] : comparison["rows"].items()) {
    if (table.rows.size() == kMaxRowsOnPage) break;
    table.rows.push_back(RowCells(name, row));
    points.push_back(
        {row["first"].get<double>(), row["second"].get<double>(),
         absl::StrCat(name, ": ", Plain(row, "first"), ", then ", Plain(row, "second"))});
  }
  if (comparison["pooled"].is_object()) {
    table.rows.push_back(RowCells("pooled", comparison["pooled"]));
  }
  return ScatterChart("Each point is a row; above the line the second run is better",
                      "accuracy, first run", "second run", points) +
         TableHtml(table);
}

std::string TextsHtml(const AnswerTexts& texts) {
  std::string html;
  for (const auto& [name, text] : texts) {
    absl::StrAppend(&html, html.empty() ? "" : "<br>", Escaped(name), ": ", Isolated(text));
  }
  return html;
}

absl::StatusOr<std::string> ChangesHtml(const Json& comparison, const TaskReport& first) {
  const Json changes = comparison.value("changes", Json::array());
  if (changes.empty()) return std::string("<p>No item changed its score.</p>\n");
  std::vector<size_t> answers;
  for (size_t i = 0; i < std::min(changes.size(), kMaxChangesOnPage); ++i) {
    answers.push_back(changes[i]["answer"].get<size_t>());
  }
  ASSIGN_OR_RETURN(const auto texts, ReadAnswerTexts(first, answers));
  HtmlTable table = {
      .caption = absl::StrCat("Items whose score changed, ", answers.size(), " of ",
                              Grouped(static_cast<int64_t>(changes.size())),
                              ", those first whose margin moved most"),
      .columns = {{"answer", true}, {"row"}, {"score", true}, {"margin", true}, {"texts"}}};
  for (size_t i = 0; i < answers.size(); ++i) {
    const Json& change = changes[i];
    const auto text = texts.find(answers[i]);
    table.rows.push_back(
        {absl::StrCat(answers[i]), Isolated(change["row"].get<std::string>()),
         absl::StrFormat("%g, then %g", change["first"].get<double>(),
                         change["second"].get<double>()),
         absl::StrCat(Signed(change, "first_margin"), ", then ", Signed(change, "second_margin")),
         text == texts.end() ? "" : TextsHtml(text->second)});
  }
  return TableHtml(table);
}

}  // namespace

absl::StatusOr<std::string> ComparisonHtml(const TaskReport& first, const TaskReport& second) {
  std::string html = "<section><h2>The two runs compared</h2>\n";
  if (const absl::Status status = CheckComparable(first.run, second.run); !status.ok()) {
    return absl::StrCat(html, "<p>They are not compared: ", Escaped(std::string(status.message())),
                        "</p></section>\n");
  }
  const Json comparison = ComparisonJson(first.run, second.run);
  const std::vector<std::string> names = RunNames({first.run.header, second.run.header});
  absl::StrAppend(&html, "<p>First: ", Isolated(names[0]), ".<br>Second: ", Isolated(names[1]),
                  ".</p>\n");
  if (const auto left_out = comparison["left_out"].get<int64_t>(); left_out > 0) {
    absl::StrAppend(&html, "<p>Left out: ", Items(left_out),
                    " without a score in one of the runs.</p>\n");
  }
  if (comparison["pooled"].is_null()) return html + "</section>\n";
  ASSIGN_OR_RETURN(const std::string changes, ChangesHtml(comparison, first));
  return absl::StrCat(html, RowsHtml(comparison), changes, "</section>\n");
}

}  // namespace dyad::client
