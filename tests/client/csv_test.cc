// Records of real files: byte order marks, CRLF, line breaks in quotes, and what is refused where.
// The texts of the round trip were compared with Python's csv module.
#include "client/csv.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;
using Record = std::vector<std::string>;

// The source gives `step` bytes at a time.
CsvReader Reader(const std::string& text, char separator = ',', size_t step = 1) {
  return CsvReader(
      "t.csv", separator,
      [text, step, at = size_t{0}](std::span<char> buffer) mutable -> absl::StatusOr<size_t> {
        const size_t count = std::min({step, text.size() - at, buffer.size()});
        std::copy_n(text.begin() + static_cast<long>(at), count, buffer.begin());
        at += count;
        return count;
      });
}

absl::StatusOr<std::vector<Record>> All(const std::string& text, char separator = ',') {
  CsvReader reader = Reader(text, separator);
  std::vector<Record> records;
  while (true) {
    auto record = reader.Next();
    if (!record.ok()) return record.status();
    if (!record->has_value()) return records;
    records.push_back(**std::move(record));
  }
}

TEST(CsvTest, ReadsQuotesLineBreaksAndEmptyCells) {
  EXPECT_THAT(
      *All("a,b\n1,\"x, \"\"y\"\"\nz\"\n,\n\"\",2"),
      ElementsAre(Record{"a", "b"}, Record{"1", "x, \"y\"\nz"}, Record{"", ""}, Record{"", "2"}));
}

TEST(CsvTest, AByteOrderMarkAndCarriageReturnsAreNoText) {
  EXPECT_THAT(*All("\xef\xbb\xbf\"a\",b\r\n1,\"2\r\n3\"\r\n"),
              ElementsAre(Record{"a", "b"}, Record{"1", "2\r\n3"}));
  EXPECT_THAT(*All("\xef\xbb\xbf"), ElementsAre());
  EXPECT_THAT(*All(""), ElementsAre());
}

TEST(CsvTest, TabsMayStandBetweenColumns) {
  EXPECT_THAT(*All("a,x\tb\n\"1\t2\"\t3\n", '\t'),
              ElementsAre(Record{"a,x", "b"}, Record{"1\t2", "3"}));
}

TEST(CsvTest, BlankLinesAreNoRecordsButAnEmptyQuotedCellIsOne) {
  EXPECT_THAT(*All("\na\n\n\r\n\"\"\nb\n\n"), ElementsAre(Record{"a"}, Record{""}, Record{"b"}));
}

TEST(CsvTest, KnowsWhereEachRecordEnds) {
  CsvReader reader = Reader("a\n\"x\ny\"\nlast", ',', 3);
  const std::tuple<int64_t, int64_t, bool> ends[] = {{1, 2, true}, {2, 8, true}, {4, 12, false}};
  for (const auto& [line, bytes, ended] : ends) {
    ASSERT_TRUE(reader.Next()->has_value());
    EXPECT_EQ(reader.line(), line);
    EXPECT_EQ(reader.bytes(), bytes);
    EXPECT_EQ(reader.ended(), ended);
  }
  EXPECT_FALSE(reader.Next()->has_value());
}

TEST(CsvTest, RefusesWithLineAndColumn) {
  const std::pair<std::string, const char*> rows[] = {
      {"a,b\n1,2\"3\n", "t.csv: line 2, column 2: a quote in a cell that does not begin with one"},
      {"a\n\"x\"y\n", "t.csv: line 2, column 1: text behind the quote that ends the cell"},
      {"a\n1,\"x\ny\n", "t.csv: line 4, column 2: the quote that opens on line 2 does not close"},
      {"a\rb\n", "line 1, column 1: a carriage return without line feed"},
      {"a,\xff\n", "line 1, column 2: no UTF-8"},
      {std::string("a,\0b\n", 5), "line 1, column 2: a zero byte"}};
  for (const auto& [text, message] : rows) {
    EXPECT_THAT(All(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
}

TEST(CsvTest, WhatIsWrittenReadsBack) {
  const std::vector<Record> records = {
      {"a", "b"}, {"", ""}, {"1,2", "\"q\""}, {"line\nbreak", "\r"}, {" x ", "\t"}, {"é", ""}};
  for (const char separator : {',', '\t'}) {
    std::string text;
    for (const Record& record : records) text += CsvRecord(record, separator);
    EXPECT_EQ(*All(text, separator), records);
  }
  EXPECT_EQ(CsvRecord({"a", "b,c", "d\"e", ""}, ','), "a,\"b,c\",\"d\"\"e\",\n");
  EXPECT_EQ(CsvRecord({""}, ','), "\"\"\n");
  EXPECT_EQ(CsvRecord({"", ""}, ','), ",\n");
}

}  // namespace
}  // namespace dyad::client
