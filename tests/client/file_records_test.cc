// The same records from every format.
#include "client/file_records.h"

#include "client/line_input.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

// "place: text", of what is no JSON object "place! text".
absl::StatusOr<std::vector<std::string>> Read(std::string_view content, TableFormat format) {
  std::vector<std::string> records;
  absl::Status status = ReadFileRecords(
      "in", content, format, {"options", "label", "ratio"},
      [&](FileRecord record) -> absl::StatusOr<bool> {
        records.push_back(record.place + (record.json.ok() ? ": " : "! ") + record.text);
        return true;
      });
  if (!status.ok()) return status;
  return records;
}

TEST(FileRecordsTest, JsonIsLinesOrAnArray) {
  EXPECT_THAT(*Read("\xef\xbb\xbf{\"a\": 1}\r\n\r\n{\"dyad_run\":{}}\nno\n{\"b\":2}",
                    TableFormat::kJsonLines),
              ElementsAre("line 1: {\"a\": 1}\r", "line 4! no", "line 5: {\"b\":2}"));
  EXPECT_THAT(*Read("\n [{\"a\": 1},\n  {\"b\": [2]}]\n", TableFormat::kJsonLines),
              ElementsAre("item 1: {\"a\":1}", "item 2: {\"b\":[2]}"));
  EXPECT_TRUE(Read("[]", TableFormat::kJsonLines)->empty());
  EXPECT_TRUE(Read("", TableFormat::kJsonLines)->empty());
}

TEST(FileRecordsTest, CellsOfNumbersAndListsAreJson) {
  EXPECT_THAT(
      *Read("options,label,x\n\"[\"\"a\"\",\"\"b, c\"\"]\",1,1\n\"[1]\",,\n", TableFormat::kCsv),
      ElementsAre(R"(line 2: {"options":["a","b, c"],"label":1,"x":"1"})",
                  R"(line 3: {"options":[1],"label":null,"x":""})"));
  EXPECT_THAT(*Read("ratio\tx\n0.5\ta,b\n", TableFormat::kTsv),
              ElementsAre(R"(line 2: {"ratio":0.5,"x":"a,b"})"));
}

TEST(FileRecordsTest, FaultsNameThePlace) {
  const auto fails = [](std::string_view content, TableFormat format, const char* message) {
    EXPECT_THAT(Read(content, format),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  fails("[{\"a\":1}, 7]", TableFormat::kJsonLines,
        "in: item 2: must be a JSON object, found: number");
  fails("[{\"a\":1},", TableFormat::kJsonLines, "in: not JSON at byte 9, the end");
  fails(std::string_view("{\"a\":1}\n\0", 9), TableFormat::kJsonLines,
        "in: has a zero byte: a binary file, or UTF-16");
  fails(std::string_view("a,b\n1,\0\n", 8), TableFormat::kCsv, "in: line 2, column 2: a zero byte");
  fails("a,label\n1,no\n", TableFormat::kCsv,
        "in: line 2: the column label must hold JSON, found 'no': not JSON at byte");
  fails("[" + std::string(kMaxLineBytes, ' ') + "]", TableFormat::kJsonLines,
        "in: a JSON array of more than");
}

TEST(FileRecordsTest, StopsWhenItIsTold) {
  int64_t count = 0;
  ASSERT_OK(
      ReadFileRecords("in", "a\n1\n2\n3\n", TableFormat::kCsv, {},
                      [&](const FileRecord&) -> absl::StatusOr<bool> { return ++count < 2; }));
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace dyad::client
