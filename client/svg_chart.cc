// Each chart is a figure with a title for those who cannot see it; its table stands beside it.
#include "client/svg_chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/html.h"

namespace dyad::client {
namespace {

constexpr int kMarkHeight = 16;        // pixels of a mark's line
constexpr int kHistogramHeight = 160;  // of the highest bar
constexpr double kMaxBinsOfOneSide = 24;
constexpr std::array<double, 5> kTicks = {0, 0.25, 0.5, 0.75, 1};

// A share of 0 … 1 as a place on the axis; marks at its ends are whole.
std::string Place(double share) {
  return absl::StrFormat("%.2f%%", 2 + 96 * std::clamp(share, 0.0, 1.0));
}

std::string Line(const std::string& kind, const std::string& x1, double y1, const std::string& x2,
                 double y2) {
  return absl::StrFormat("<line class=\"%s\" x1=\"%s\" y1=\"%.4g\" x2=\"%s\" y2=\"%.4g\"/>", kind,
                         x1, y1, x2, y2);
}

std::string Shape(int series) {
  if (series < 0) return "<path class=\"base\" d=\"M0-5L5 0L0 5L-5 0Z\"/>";
  constexpr std::array<const char*, 4> kShapes = {
      "<circle class=\"s0\" r=\"4.5\"/>", "<path class=\"s1\" d=\"M-4-4H4V4H-4Z\"/>",
      "<path class=\"s2\" d=\"M0-5.5L5.5 0L0 5.5L-5.5 0Z\"/>",
      "<path class=\"s3\" d=\"M0-5L5 4H-5Z\"/>"};
  return kShapes[static_cast<size_t>(series) % kShapes.size()];
}

std::string MarkSvg(const DotMark& mark, double y) {
  std::string svg = absl::StrCat("<g><title>", Escaped(mark.title), "</title>");
  if (mark.interval.has_value()) {
    const int colour = mark.series < 0 ? -1 : mark.series % 4;
    svg += Line(colour < 0 ? "base" : absl::StrCat("s", colour), Place(mark.interval->low), y,
                Place(mark.interval->high), y);
  }
  return svg + absl::StrFormat("<svg x=\"%s\" y=\"%.4g\" overflow=\"visible\">%s</svg></g>",
                               Place(mark.value), y, Shape(mark.series));
}

std::string AxisSvg() {
  std::string svg = "<svg class=\"axis\" width=\"100%\" height=\"18\" aria-hidden=\"true\">";
  for (const double tick : kTicks) {
    absl::StrAppend(&svg, absl::StrFormat("<text x=\"%s\" y=\"13\">%g</text>", Place(tick), tick));
  }
  return svg + "</svg>";
}

std::string RowSvg(const DotRow& row) {
  const double height = kMarkHeight * static_cast<double>(std::max(size_t{1}, row.marks.size()));
  std::string svg = absl::StrFormat(
      "<svg width=\"100%%\" height=\"%.4g\" role=\"img\" overflow=\"visible\">", height);
  for (const double tick : kTicks) svg += Line("grid", Place(tick), 0, Place(tick), height);
  if (row.chance.has_value()) {
    svg += Line("chance", Place(*row.chance), 0, Place(*row.chance), height);
  }
  for (size_t i = 0; i < row.marks.size(); ++i) {
    svg += MarkSvg(row.marks[i], kMarkHeight * (static_cast<double>(i) + 0.5));
  }
  return svg + "</svg>";
}

// 1, 2 or 5 times a power of ten, at least `size`.
double NiceStep(double size) {
  const double power = std::pow(10, std::floor(std::log10(size)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= size) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::string DotChart(const std::string& title, const std::vector<DotRow>& rows) {
  std::string html =
      absl::StrCat("<figure class=\"dots\"><figcaption>", Escaped(title),
                   "</figcaption>\n<div class=\"dot\"><span></span>", AxisSvg(), "</div>\n");
  std::string group;
  for (const DotRow& row : rows) {
    if (row.group != group) {
      absl::StrAppend(&html, "<div class=\"dot group\"><span>", Isolated(row.group),
                      "</span></div>\n");
    }
    group = row.group;
    absl::StrAppend(&html, "<div class=\"dot\"><span>", Isolated(row.label), "</span>", RowSvg(row),
                    "</div>\n");
  }
  return html + "</figure>\n";
}

std::string MarkSymbol(int series) {
  return absl::StrCat("<svg class=\"key\" width=\"14\" height=\"14\" aria-hidden=\"true\">",
                      "<svg x=\"50%\" y=\"50%\" overflow=\"visible\">", Shape(series),
                      "</svg></svg>");
}

MarginHistogram HistogramOf(const std::vector<double>& margins) {
  MarginHistogram histogram;
  std::vector<double> sizes;
  for (const double margin : margins) {
    if (std::isfinite(margin) && margin != 0) sizes.push_back(std::abs(margin));
    if (margin == 0) ++histogram.ties;
  }
  if (sizes.empty()) return histogram;
  // A few far ones would leave the others in one bin.
  std::sort(sizes.begin(), sizes.end());
  const double most = sizes[(sizes.size() - 1) * 99 / 100];
  const double step = NiceStep(most / kMaxBinsOfOneSide);
  const int side =
      std::clamp(static_cast<int>(std::ceil(most / step)), 1, static_cast<int>(kMaxBinsOfOneSide));
  for (int i = -side; i < side; ++i) histogram.bins.push_back({step * i, step * (i + 1)});
  for (const double margin : margins) {
    if (!std::isfinite(margin) || margin == 0) continue;
    const double at = std::clamp(std::floor(std::abs(margin) / step), 0.0, side - 1.0);
    const double bin = margin > 0 ? side + at : side - 1 - at;
    ++histogram.bins[static_cast<size_t>(bin)].items;
  }
  return histogram;
}

std::string HistogramChart(const std::string& title, const MarginHistogram& histogram) {
  int64_t most = std::max<int64_t>(1, histogram.ties);
  for (const MarginBin& bin : histogram.bins) most = std::max(most, bin.items);
  // Ties have a bar of their own in the middle.
  const size_t half = histogram.bins.size() / 2, bars = histogram.bins.size() + 1;
  std::string svg =
      absl::StrFormat("<svg width=\"100%%\" height=\"%d\" role=\"img\">", kHistogramHeight + 24);
  const auto bar = [&](size_t place, int64_t items, const char* kind, const std::string& text) {
    const double width = 100.0 / static_cast<double>(bars);
    const double height = kHistogramHeight * static_cast<double>(items) / static_cast<double>(most);
    absl::StrAppend(&svg,
                    absl::StrFormat("<rect class=\"%s\" x=\"%.3f%%\" width=\"%.3f%%\" "
                                    "y=\"%.2f\" height=\"%.2f\"><title>%s</title></rect>",
                                    kind, width * (static_cast<double>(place) + 0.06), width * 0.88,
                                    kHistogramHeight - height, height, Escaped(text)));
  };
  for (size_t i = 0; i < histogram.bins.size(); ++i) {
    const MarginBin& bin = histogram.bins[i];
    bar(i < half ? i : i + 1, bin.items, i < half ? "wrong" : "right",
        absl::StrFormat("%g to %g: %d items", bin.low, bin.high, bin.items));
  }
  bar(half, histogram.ties, "tie", absl::StrFormat("ties: %d items", histogram.ties));
  const auto text = [&](const char* x, const char* anchor, const std::string& words) {
    absl::StrAppend(&svg, absl::StrFormat("<text x=\"%s\" y=\"%d\" text-anchor=\"%s\">%s</text>", x,
                                          kHistogramHeight + 16, anchor, words));
  };
  absl::StrAppend(&svg, Line("base", "0%", kHistogramHeight, "100%", kHistogramHeight));
  if (!histogram.bins.empty()) {
    text("0%", "start", absl::StrFormat("%g", histogram.bins.front().low));
    text("100%", "end", absl::StrFormat("%g", histogram.bins.back().high));
  }
  const std::string ties =
      absl::StrCat(Grouped(histogram.ties), histogram.ties == 1 ? " tie" : " ties");
  text("50%", "middle", histogram.ties > 0 ? absl::StrCat("0 (", ties, ")") : "0");
  return absl::StrCat("<figure><figcaption>", Escaped(title), "</figcaption>\n", svg,
                      "</svg></figure>\n");
}

std::string ScatterChart(const std::string& title, const std::string& x_label,
                         const std::string& y_label, const std::vector<ScatterPoint>& points) {
  constexpr double kLeft = 34, kTop = 8, kSide = 280;
  const auto x_of = [](double share) { return kLeft + kSide * share; };
  const auto y_of = [](double share) { return kTop + kSide * (1 - share); };
  std::string svg = "<svg class=\"scatter\" viewBox=\"0 0 326 330\" role=\"img\">";
  for (const double tick : kTicks) {
    absl::StrAppend(&svg,
                    absl::StrFormat("<path class=\"grid\" d=\"M%g %gH%g M%g %gV%g\"/>", x_of(0),
                                    y_of(tick), x_of(1), x_of(tick), y_of(0), y_of(1)),
                    absl::StrFormat("<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%g</text>",
                                    kLeft - 5, y_of(tick) + 4, tick),
                    absl::StrFormat("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%g</text>",
                                    x_of(tick), y_of(0) + 16, tick));
  }
  absl::StrAppend(&svg, absl::StrFormat("<path class=\"chance\" d=\"M%g %gL%g %g\"/>", x_of(0),
                                        y_of(0), x_of(1), y_of(1)));
  for (const ScatterPoint& point : points) {
    absl::StrAppend(&svg, absl::StrFormat("<circle class=\"s0\" cx=\"%.2f\" cy=\"%.2f\" r=\"3.5\">"
                                          "<title>%s</title></circle>",
                                          x_of(point.x), y_of(point.y), Escaped(point.title)));
  }
  absl::StrAppend(&svg,
                  absl::StrFormat("<text x=\"%g\" y=\"326\" text-anchor=\"middle\">%s</text>",
                                  x_of(0.5), Escaped(x_label)),
                  absl::StrFormat("<text x=\"%g\" y=\"%g\" text-anchor=\"start\">%s ↑</text>",
                                  x_of(0.02), y_of(0.95), Escaped(y_label)));
  return absl::StrCat("<figure><figcaption>", Escaped(title), "</figcaption>\n", svg,
                      "</svg></figure>\n");
}

}  // namespace dyad::client
