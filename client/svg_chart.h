// Charts as inline SVG and HTML, without any script. Positions are shares of the width, so that
// text keeps its size on every screen; colours are classes of the page's style (report_style.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/statistics.h"

namespace dyad::client {

// Of points, in the order of series: circle, square, diamond, triangle, again from the fifth on.
// `series` from 0; negative: a baseline, hollow.
struct DotMark {
  int series = 0;
  double value = 0;  // 0 … 1
  std::optional<Interval> interval = {};
  std::string title = {};  // plain text: what is told about it
};

struct DotRow {
  std::string label = {};             // plain text
  std::optional<double> chance = {};  // a dashed line across
  std::vector<DotMark> marks = {};
  std::string group = {};  // plain text: a heading above the first row of a group
};

// A row each, one mark below the other, on an axis from 0 to 1.
std::string DotChart(const std::string& title, const std::vector<DotRow>& rows);

// One mark by itself, for legends.
std::string MarkSymbol(int series);

struct MarginBin {
  double low = 0, high = 0;  // low <= margin < high; below 0 the other way round
  int64_t items = 0;
};
struct MarginHistogram {
  std::vector<MarginBin> bins = {};  // ascending; the ends hold what lies beyond, too
  int64_t ties = 0;                  // margins of exactly 0
};

// Bins of one width, 1, 2 or 5 times a power of ten, symmetric about 0, at most 48. An empty one if
// there are no margins.
MarginHistogram HistogramOf(const std::vector<double>& margins);
std::string HistogramChart(const std::string& title, const MarginHistogram& histogram);

struct ScatterPoint {
  double x = 0, y = 0;  // 0 … 1
  std::string title = {};
};
// A square with the diagonal.
std::string ScatterChart(const std::string& title, const std::string& x_label,
                         const std::string& y_label, const std::vector<ScatterPoint>& points);

}  // namespace dyad::client
