// Records by their columns. What a record is says csv_test.cc.
#include "client/record_lines.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using testing::StatusIs;

RecordLines Records(std::string content) {
  return RecordLines("in.csv", ',', [content = std::move(content)](std::span<char> buffer) mutable {
    const size_t count = std::min(buffer.size(), content.size());
    std::copy_n(content.begin(), count, buffer.begin());
    content.erase(0, count);
    return absl::StatusOr<size_t>(count);
  });
}

TEST(RecordLinesTest, CellsHaveTheNamesOfTheFirstRecord) {
  RecordLines records = Records(
      "\xef\xbb\xbf"
      "a,b\r\n1,\"x\r\ny\"\r\n\r\n2,\r\n");
  EXPECT_THAT(*records.ReadColumns(), ElementsAre("a", "b"));
  EXPECT_EQ((*records.Next())->dump(), R"({"a":"1","b":"x\r\ny"})");
  EXPECT_EQ(records.line(), 2);
  EXPECT_EQ((*records.Next())->dump(), R"({"a":"2","b":""})");
  EXPECT_EQ(records.line(), 5);
  EXPECT_EQ(*records.Next(), std::nullopt);
}

TEST(RecordLinesTest, FaultsNameLineAndColumn) {
  const auto invalid = [](const char* message) {
    return StatusIs(absl::StatusCode::kInvalidArgument, message);
  };
  EXPECT_THAT(Records("").ReadColumns(),
              invalid("in.csv is empty: its first line must name the columns"));
  EXPECT_THAT(Records("a,b,a\n").ReadColumns(),
              invalid("in.csv: line 1, column 3: the name 'a' stands twice"));
  RecordLines more = Records("a,b\n1,2\n1,2,3\n");
  ASSERT_OK(more.ReadColumns());
  ASSERT_OK(more.Next());
  EXPECT_THAT(more.Next(), invalid("in.csv: line 3, column 3: the record has 3 columns, the first "
                                   "line 2"));
  RecordLines fewer = Records("a,b\n1\n");
  ASSERT_OK(fewer.ReadColumns());
  EXPECT_THAT(fewer.Next(), invalid("in.csv: line 2, column 2: the record has 1 columns, the first "
                                    "line 2"));
}

}  // namespace
}  // namespace dyad::client
