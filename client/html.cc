// One pass over the characters of a text.
#include "client/html.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/message_text.h"
#include "server/text/utf8.h"

namespace dyad::client {

std::string Escaped(std::string_view text) {
  const size_t whole = text.size();
  std::string escaped;
  text = text.substr(0, kMaxTextOnPage);
  while (!text.empty()) {
    const Utf8Step step = ReadUtf8(text);
    if (step.state == Utf8State::kIncomplete && whole > kMaxTextOnPage) break;
    const std::string_view character = text.substr(0, static_cast<size_t>(step.length));
    const char32_t code = step.code_point;
    text.remove_prefix(character.size());
    const bool is_control =
        code < 0x20 ? code != '\t' && code != '\n' : code >= 0x7f && code < 0xa0;
    if (step.state != Utf8State::kValid || is_control) {
      escaped += kReplacementCharacter;
    } else if (code == '&') {
      escaped += "&amp;";
    } else if (code == '<') {
      escaped += "&lt;";
    } else if (code == '>') {
      escaped += "&gt;";
    } else if (code == '"') {
      escaped += "&quot;";
    } else if (code == '\'') {
      escaped += "&#39;";
    } else {
      escaped += character;
    }
  }
  if (whole > kMaxTextOnPage) {
    absl::StrAppend(&escaped, " … (cut: ", whole, " bytes in all)");
  }
  return escaped;
}

std::string Isolated(std::string_view text) { return "<bdi>" + Escaped(text) + "</bdi>"; }

std::string Grouped(int64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t left = digits.size() - i;
    const bool is_inside = !grouped.empty() && grouped.back() != '-';
    if (is_inside && left % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string PText(double p) { return p < 0.0001 ? "< 0.0001" : absl::StrFormat("%.4f", p); }

std::string Items(int64_t count) {
  return absl::StrCat(Grouped(count), count == 1 ? " item" : " items");
}

std::string TableHtml(const HtmlTable& table) {
  const bool is_narrow = std::all_of(table.columns.begin(), table.columns.end(),
                                     [](const auto& column) { return column.is_number; });
  std::string html = table.columns.size() > 3 ? "<table class=\"stacks\">"
                     : is_narrow              ? "<table class=\"narrow\">"
                                              : "<table>";
  if (!table.caption.empty())
    absl::StrAppend(&html, "<caption>", Escaped(table.caption), "</caption>");
  html += "<thead><tr>";
  const auto kind = [&](size_t column) {
    return table.columns[column].is_number ? " class=\"n\"" : "";
  };
  for (size_t i = 0; i < table.columns.size(); ++i) {
    absl::StrAppend(&html, "<th scope=\"col\"", kind(i), ">", Escaped(table.columns[i].title),
                    "</th>");
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    html += "<tr>";
    for (size_t i = 0; i < std::min(row.size(), table.columns.size()); ++i) {
      if (i == 0) {
        absl::StrAppend(&html, "<th scope=\"row\"", kind(i), ">", row[i], "</th>");
      } else {
        absl::StrAppend(&html, "<td", kind(i), " data-title=\"", Escaped(table.columns[i].title),
                        "\">", row[i], "</td>");
      }
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table>\n";
}

}  // namespace dyad::client
