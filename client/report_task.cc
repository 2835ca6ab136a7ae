// Rows of the runs side by side; everything that is drawn is also written.
#include "client/report_task.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/html.h"
#include "client/report_header.h"
#include "client/run_header.h"
#include "client/svg_chart.h"
#include "client/table.h"

namespace dyad::client {
namespace {

using Reports = std::vector<const TaskReport*>;

std::string Score(double score) { return absl::StrFormat("%.4f", score); }

// A row of the charts: the same name in every run.
struct SharedRow {
  std::string phenomenon, name;
  bool is_phenomenon = false;
  std::vector<const ReportRow*> runs;  // null where a run does not have it
};

// Phenomena by name, each with its rows, those first that the first run does best.
std::vector<SharedRow> SharedRows(const Reports& reports) {
  std::map<std::string, std::map<std::string, SharedRow>> shared;
  std::map<std::string, SharedRow> phenomena;
  const auto put = [&](SharedRow& row, size_t run, const ReportRow* values) {
    row.runs.resize(reports.size());
    row.runs[run] = values;
  };
  for (size_t run = 0; run < reports.size(); ++run) {
    for (const ReportPhenomenon& phenomenon : reports[run]->phenomena) {
      SharedRow& all = phenomena[phenomenon.all.name];
      all.phenomenon = all.name = phenomenon.all.name;
      all.is_phenomenon = true;
      put(all, run, &phenomenon.all);
      for (const ReportRow& row : phenomenon.rows) {
        SharedRow& one = shared[phenomenon.all.name][row.name];
        one.phenomenon = phenomenon.all.name;
        one.name = row.name;
        put(one, run, &row);
      }
    }
  }
  const auto first_score = [](const SharedRow& row) {
    return row.runs.front() == nullptr ? -1.0 : row.runs.front()->score();
  };
  std::vector<SharedRow> rows;
  for (auto& [name, phenomenon] : phenomena) {
    rows.push_back(std::move(phenomenon));
    std::vector<SharedRow> inside;
    for (auto& [row_name, row] : shared[name]) inside.push_back(std::move(row));
    std::stable_sort(inside.begin(), inside.end(), [&](const SharedRow& a, const SharedRow& b) {
      return first_score(a) > first_score(b);
    });
    for (SharedRow& row : inside) rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<Interval> IntervalOf(const Baseline& baseline) {
  if (!baseline.n.has_value()) return std::nullopt;
  return WilsonInterval(baseline.accuracy * static_cast<double>(*baseline.n), *baseline.n);
}

std::string BaselineText(const Baseline& baseline) {
  std::string text = absl::StrCat(baseline.source, " ", Score(baseline.accuracy));
  if (const auto interval = IntervalOf(baseline); interval.has_value()) {
    absl::StrAppend(&text, ", ", IntervalText(*interval), " (n = ", *baseline.n, ")");
  }
  return text;
}

std::string BaselinesHtml(const std::vector<Baseline>& baselines, const std::string& row) {
  std::vector<std::string> texts;
  for (const Baseline& baseline : baselines) {
    if (baseline.row == row) texts.push_back(Isolated(BaselineText(baseline)));
  }
  return absl::StrJoin(texts, "<br>");
}

DotRow DotsOf(const SharedRow& row, const std::vector<Baseline>& baselines) {
  DotRow dots = {.label = row.name,
                 .chance = {},
                 .marks = {},
                 .group = row.is_phenomenon || row.phenomenon == row.name ? "" : row.phenomenon};
  for (size_t run = 0; run < row.runs.size(); ++run) {
    const ReportRow* values = row.runs[run];
    if (values == nullptr) continue;
    dots.chance = values->chance();
    dots.marks.push_back({static_cast<int>(run), values->score(), values->interval(),
                          absl::StrCat(row.name, ", run ", run + 1, ": ", Score(values->score()),
                                       ", ", IntervalText(values->interval()))});
  }
  for (const Baseline& baseline : baselines) {
    if (baseline.row != row.name) continue;
    dots.marks.push_back({-1, baseline.accuracy, IntervalOf(baseline), BaselineText(baseline)});
  }
  return dots;
}

std::string DotsHtml(const std::string& title, const std::vector<const SharedRow*>& rows,
                     const std::vector<Baseline>& baselines) {
  std::vector<DotRow> dots;
  for (const SharedRow* row : rows) dots.push_back(DotsOf(*row, baselines));
  return DotChart(title, dots);
}

std::string RowsTable(const std::string& caption, const std::vector<const SharedRow*>& rows,
                      const Reports& reports, bool with_phenomenon) {
  HtmlTable table = {.caption = caption, .columns = {{"row"}}};
  if (with_phenomenon) table.columns.push_back({"phenomenon"});
  if (reports.size() > 1) table.columns.push_back({"run", true});
  for (const char* title : {"items", "ties", "accuracy", "95 % interval", "chance"}) {
    table.columns.push_back({title, true});
  }
  const std::vector<Baseline>& baselines = reports.front()->baselines;
  const bool has_baselines = std::any_of(rows.begin(), rows.end(), [&](const SharedRow* row) {
    return !BaselinesHtml(baselines, row->name).empty();
  });
  if (has_baselines) table.columns.push_back({"baselines"});
  for (const SharedRow* row : rows) {
    bool is_first = true;
    for (size_t run = 0; run < row->runs.size(); ++run) {
      const ReportRow* values = row->runs[run];
      if (values == nullptr) continue;
      std::vector<std::string> cells = {Isolated(row->name)};
      if (with_phenomenon) cells.push_back(Isolated(row->phenomenon));
      if (reports.size() > 1) cells.push_back(absl::StrCat(run + 1));
      for (std::string& cell : std::vector<std::string>{
               Grouped(values->items), Grouped(values->ties), Score(values->score()),
               IntervalText(values->interval()), absl::StrFormat("%.3g", values->chance())}) {
        cells.push_back(std::move(cell));
      }
      if (has_baselines) cells.push_back(is_first ? BaselinesHtml(baselines, row->name) : "");
      is_first = false;
      table.rows.push_back(std::move(cells));
    }
  }
  return TableHtml(table);
}

std::vector<std::string> NamesOf(const Reports& reports) {
  std::vector<Json> headers;
  for (const TaskReport* report : reports) headers.push_back(report->run.header);
  return RunNames(headers);
}

std::string MeansTable(const Reports& reports) {
  HtmlTable table = {.caption =
                         "Means: over rows (macro) with a bootstrap interval, over all items "
                         "(pooled) with Wilson's",
                     .columns = {{"run"},
                                 {"items", true},
                                 {"ties", true},
                                 {"macro", true},
                                 {"macro, 95 % interval", true},
                                 {"pooled", true},
                                 {"pooled, 95 % interval", true},
                                 {"failed", true}}};
  const std::vector<std::string> names = NamesOf(reports);
  for (size_t run = 0; run < reports.size(); ++run) {
    const TaskReport* report = reports[run];
    const ReportRow& pooled = report->pooled;
    const std::optional<ReportMean>& macro = report->macro;
    table.rows.push_back({Isolated(names[run]), Grouped(pooled.items), Grouped(pooled.ties),
                          macro.has_value() ? Score(macro->score) : "–",
                          macro.has_value() ? IntervalText(macro->interval) : "–",
                          pooled.items > 0 ? Score(pooled.score()) : "–",
                          pooled.items > 0 ? IntervalText(pooled.interval()) : "–",
                          Grouped(report->faults.count())});
  }
  std::string html = TableHtml(table);
  const std::vector<Baseline>& baselines = reports.front()->baselines;
  for (const Baseline& baseline : baselines) {
    if (baseline.row != "macro" && baseline.row != "pooled" && baseline.row != "overall") continue;
    absl::StrAppend(&html, "<p>", Escaped(baseline.row), ": ", Isolated(BaselineText(baseline)),
                    "</p>\n");
  }
  return html;
}

std::string MarginsHtml(const TaskReport& report, const std::string& name) {
  std::vector<double> margins;
  for (const ScoredItem& item : report.run.items) {
    if (item.score.has_value() && item.margin.has_value()) margins.push_back(*item.margin);
  }
  if (margins.empty()) return "";
  const MarginHistogram histogram = HistogramOf(margins);
  const bool is_mean = report.run.header.value("convention", "") == "MINICONS_MEAN";
  HtmlTable table = {.caption = "Margins" + name,
                     .columns = {{"from", true}, {"to", true}, {"items", true}}};
  const auto add = [&](const std::string& low, const std::string& high, int64_t items) {
    if (items > 0) table.rows.push_back({low, high, Grouped(items)});
  };
  for (size_t i = 0; i < histogram.bins.size(); ++i) {
    if (i == histogram.bins.size() / 2) add("0, a tie", "0", histogram.ties);
    const MarginBin& bin = histogram.bins[i];
    const bool is_first = i == 0, is_last = i + 1 == histogram.bins.size();
    add(is_first ? "below" : absl::StrFormat("%g", bin.low),
        is_last ? "above" : absl::StrFormat("%g", bin.high), bin.items);
  }
  if (histogram.bins.empty()) add("0, a tie", "0", histogram.ties);
  return absl::StrCat(
      HistogramChart(absl::StrCat("Margin of the right text over the best other one, nats",
                                  is_mean ? " a token" : "", name),
                     histogram),
      TableHtml(table));
}

std::string SharesHtml(const TaskReport& report) {
  std::vector<ScatterPoint> points;
  HtmlTable table = {.caption = "Shares of the first form",
                     .columns = {{"item", true}, {"people", true}, {"model", true}}};
  size_t items = 0;
  for (size_t i = 0; i < report.run.items.size(); ++i) {
    const auto& shares = report.run.items[i].shares;
    if (!shares.has_value() || ++items > kMaxPointsOnPage) continue;
    const std::string people = Score(shares->second), model = Score(shares->first);
    points.push_back({std::clamp(shares->second, 0.0, 1.0), shares->first,
                      absl::StrCat("item ", i + 1, ": people ", people, ", model ", model)});
    table.rows.push_back({absl::StrCat(i + 1), people, model});
  }
  if (points.empty()) return "";
  std::string html = ScatterChart("Each point is an item", "people's share of the first form",
                                  "model's share", points);
  if (items > kMaxPointsOnPage) {
    absl::StrAppend(&html, "<p>Shown are the first ", kMaxPointsOnPage, " of ", items,
                    " items.</p>\n");
  }
  return html + TableHtml(table);
}

std::string LegendHtml(const Reports& reports) {
  const std::vector<std::string> names = NamesOf(reports);
  std::string html = "<p class=\"legend\">";
  for (size_t run = 0; run < reports.size(); ++run) {
    absl::StrAppend(&html, MarkSymbol(static_cast<int>(run)), "run ", run + 1, ": ",
                    Isolated(names[run]), "<br>");
  }
  if (!reports.front()->baselines.empty()) {
    absl::StrAppend(&html, MarkSymbol(-1), "baselines<br>");
  }
  return html + "Bars are 95 % intervals (Wilson's); the dashed line is chance.</p>\n";
}

}  // namespace

std::string TaskSentence(const TaskReport& report) {
  const Json& header = report.run.header;
  const Json options = header.value("options", Json::object());
  std::string text = absl::StrCat(ModelName(header), " on ", TaskName(header));
  if (options.contains("limit")) {
    absl::StrAppend(&text, ", the first ", CellText(options["limit"]), " lines of each file");
  }
  absl::StrAppend(&text, ", convention ", header.value("convention", "-"), ": ");
  if (report.correlation.has_value()) {
    absl::StrAppend(&text, absl::StrFormat("Spearman's correlation with people's answers %.4f over "
                                           "%s items. ",
                                           *report.correlation, Grouped(report.run.items.size())));
  } else if (report.pooled.items == 0) {
    text += "no item has a score. ";
  } else {
    size_t rows = 0;
    for (const ReportPhenomenon& phenomenon : report.phenomena) rows += phenomenon.rows.size();
    if (report.macro.has_value()) {
      absl::StrAppend(&text, "mean accuracy over ", rows, rows == 1 ? " row " : " rows ",
                      Score(report.macro->score), " (95 % interval ",
                      IntervalText(report.macro->interval), ", stratified bootstrap); ");
    }
    absl::StrAppend(&text, Score(report.pooled.score()), " of ", Items(report.pooled.items),
                    " (95 % interval ", IntervalText(report.pooled.interval()), ", Wilson); ");
    const int64_t ties = report.pooled.ties;
    absl::StrAppend(&text, ties == 0 ? "no ties. "
                                     : absl::StrCat(Grouped(ties), ties == 1 ? " tie" : " ties",
                                                    ", won by the option that stands first. "));
  }
  absl::StrAppend(&text, "Run ", header.value("run", "-"), ".");
  return text;
}

std::string TaskHtml(const std::vector<const TaskReport*>& reports) {
  const std::vector<SharedRow> shared = SharedRows(reports);
  std::vector<const SharedRow*> phenomena, rows;
  for (const SharedRow& row : shared) (row.is_phenomenon ? phenomena : rows).push_back(&row);
  const std::vector<Baseline>& baselines = reports.front()->baselines;
  std::string html;
  for (const TaskReport* report : reports) {
    absl::StrAppend(&html, "<p class=\"quote\">", Escaped(TaskSentence(*report)), "</p>\n");
    if (report->correlation.has_value()) html += SharesHtml(*report);
  }
  if (rows.empty()) return html;
  html += MeansTable(reports);
  const bool has_phenomena = rows.size() > phenomena.size();
  const size_t all_rows = rows.size();
  rows.resize(std::min(rows.size(), kMaxRowsOnPage));
  phenomena.resize(std::min(phenomena.size(), kMaxRowsOnPage));
  html += LegendHtml(reports);
  if (has_phenomena) {
    absl::StrAppend(&html, DotsHtml("Accuracy by phenomenon", phenomena, baselines),
                    RowsTable("Phenomena, pooled over their rows", phenomena, reports, false));
  }
  absl::StrAppend(&html, DotsHtml("Accuracy of every row", rows, baselines),
                  RowsTable(has_phenomena ? "Every row, inside its phenomenon" : "Every row", rows,
                            reports, has_phenomena));
  if (all_rows > rows.size()) {
    absl::StrAppend(&html, "<p>Shown are ", rows.size(), " of ", all_rows, " rows.</p>\n");
  }
  for (size_t run = 0; run < reports.size(); ++run) {
    html += MarginsHtml(*reports[run], reports.size() > 1 ? absl::StrCat(", run ", run + 1) : "");
  }
  return html;
}

std::string NotesHtml(const std::string& name, const ReportFaults& faults, int64_t unlabelled,
                      int64_t answers, const Json& header) {
  std::vector<std::string> notes;
  for (const auto& [code, count] : faults.codes) {
    notes.push_back(
        absl::StrCat(Items(count), " failed with ", Escaped(code), ", without a score"));
  }
  if (unlabelled > 0) notes.push_back(absl::StrCat(Items(unlabelled), " without a label"));
  const Json input = header.value("input", Json::object());
  if (input.contains("items") && input["items"].get<int64_t>() > answers) {
    notes.push_back(absl::StrCat("the run is not finished: ", Grouped(answers), " of ",
                                 Grouped(input["items"].get<int64_t>()), " items have an answer"));
  }
  if (!input.contains("sha256")) notes.push_back("the input could be read only once: no digest");
  if (notes.empty()) return "";
  std::string html = absl::StrCat("<p>", Isolated(name), "</p><ul>\n");
  for (const std::string& note : notes) absl::StrAppend(&html, "<li>", note, "</li>\n");
  html += "</ul>\n";
  if (faults.first.empty()) return html;
  HtmlTable table = {
      .caption = faults.count() > static_cast<int64_t>(faults.first.size())
                     ? absl::StrCat("The first ", faults.first.size(), " that failed")
                     : "What failed",
      .columns = {{"answer", true}, {"code"}, {"message"}}};
  for (const ReportFault& fault : faults.first) {
    table.rows.push_back(
        {absl::StrCat(fault.answer), Escaped(fault.code), Isolated(fault.message)});
  }
  return html + TableHtml(table);
}

}  // namespace dyad::client
