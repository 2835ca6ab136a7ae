// Text of a page: escaped, bounded, in tables that fit any width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dyad::client {

// A text of a file on a page, at most so many bytes of it.
inline constexpr size_t kMaxTextOnPage = 16'384;

// Safe between tags and in quoted attributes: & < > " ' are escaped; what is no UTF-8, and control
// characters but tab and line feed, become U+FFFD. A text of more than kMaxTextOnPage bytes is cut
// between characters, and says so.
std::string Escaped(std::string_view text);

// The same, set apart so that its direction of writing does not reach beyond it.
std::string Isolated(std::string_view text);

// "67,000".
std::string Grouped(int64_t number);

// A p-value: "0.0432"; "< 0.0001" below that.
std::string PText(double p);

// "1 item", "67,000 items".
std::string Items(int64_t count);

struct HtmlTable {
  struct Column {
    std::string title = {};
    bool is_number = false;
  };
  std::string caption = {};  // plain text
  std::vector<Column> columns = {};
  std::vector<std::vector<std::string>> rows = {};  // cells are HTML
};

// Where the page is narrow a table of more than three columns has a block for each row, a line for
// each cell; up to three columns of numbers take no more room than they need. The first column is
// the row's head.
std::string TableHtml(const HtmlTable& table);

}  // namespace dyad::client
