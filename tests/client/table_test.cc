// Tables in every format, and what is refused before anything is answered.
#include "client/table.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/archives.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

std::vector<std::string> RecordsOf(LineInput& input) {
  std::vector<std::string> lines;
  while (auto line = input.next()) lines.push_back(*std::move(line));
  EXPECT_OK(input.fault());
  return lines;
}

TEST(TableTest, RecordsBecomeObjectsOfStrings) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  const std::string csv = "\xef\xbb\xbfid,text\r\n7,\"a, \"\"b\"\"\r\nc\"\r\n\r\n8,\r\n";
  for (const auto& [name, content] : {std::pair(std::string("in.csv"), csv),
                                      std::pair(std::string("in.csv.gz"), testing::Gzip(csv))}) {
    ASSERT_EQ(FormatOfName(name), TableFormat::kCsv);
    auto table = OpenTable(folder.Write(name, content), TableFormat::kCsv, unused);
    ASSERT_OK(table);
    EXPECT_THAT(table->columns, ElementsAre("id", "text"));
    EXPECT_EQ(table->lines.total, 2);
    EXPECT_THAT(RecordsOf(table->lines),
                ElementsAre(R"({"id":"7","text":"a, \"b\"\r\nc"})", R"({"id":"8","text":""})"));
  }
  std::istringstream piped("a\tb\n1\t2\n");
  auto table = OpenTable("-", TableFormat::kTsv, piped);
  ASSERT_OK(table);
  EXPECT_EQ(table->lines.total, std::nullopt);
  EXPECT_THAT(RecordsOf(table->lines), ElementsAre(R"({"a":"1","b":"2"})"));
}

TEST(TableTest, OfJsonLinesTheFirstNamesTheColumns) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  auto table = OpenTable(folder.Write("in", "{\"b\":1,\"a\":2}\n{\"c\":3}\n"),
                         TableFormat::kJsonLines, unused);
  ASSERT_OK(table);
  EXPECT_THAT(table->columns, ElementsAre("b", "a"));
  EXPECT_THAT(RecordsOf(table->lines), ElementsAre("{\"b\":1,\"a\":2}", "{\"c\":3}"));
  EXPECT_TRUE(OpenTable(folder.Write("in", ""), TableFormat::kJsonLines, unused)->columns.empty());
}

TEST(TableTest, RefusesWithLineAndColumn) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  const std::pair<const char*, const char*> rows[] = {
      {"a,b\n1,2\n\"x\ny\"\n", "line 3, column 2: the record has 1 columns, the first line 2"},
      {"a,b\n1,2,3\n", "line 2, column 3: the record has 3 columns, the first line 2"},
      {"a,b,a\n", "line 1, column 3: the name 'a' stands twice"},
      {"a\n\"x\n", "line 3, column 1: the quote that opens on line 2 does not close"},
      {"", "is empty: its first line must name the columns"}};
  for (const auto& [text, message] : rows) {
    const std::string path = folder.Write("in.csv", text);
    EXPECT_THAT(OpenTable(path, TableFormat::kCsv, unused),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
}

TEST(TableTest, FormatsGoBySuffix) {
  EXPECT_EQ(FormatOfName("a/b.jsonl"), TableFormat::kJsonLines);
  EXPECT_EQ(FormatOfName("b.tsv.gz"), TableFormat::kTsv);
  for (const char* name : {"-", "csv", "a.csv/b", "a.txt", "a.gz", ""}) {
    EXPECT_EQ(FormatOfName(name), std::nullopt) << name;
  }
}

TEST(TableTest, CellsAreStringsAsTheyAreAndTheRestIsJson) {
  EXPECT_EQ(CellText(Json()), "");
  EXPECT_EQ(CellText("a \"b\""), "a \"b\"");
  EXPECT_EQ(CellText(1.5), "1.5");
  EXPECT_EQ(CellText(Json{{"a", {1}}}), R"({"a":[1]})");
}

}  // namespace
}  // namespace dyad::client
