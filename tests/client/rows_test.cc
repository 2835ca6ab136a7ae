// Rows written and read back in every format.
#include "client/rows.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

RowLayout LayoutOf(TableFormat format, const std::string& prefix = "") {
  return {.format = format, .own = {"id", "x"}, .columns = {"word", "surprisal"}, .prefix = prefix};
}

std::string TextOf(const RowLayout& layout) {
  const Json answer = {{{"word", "a,b"}, {"surprisal", 1.5}},
                       {{"word", "c"}, {"surprisal", nullptr}}};
  std::string text = HeadOfRows(layout);
  text += TextOfRows(layout, RowsOf(layout, 3, {{"id", "i1"}, {"x", 7}}, "r1", answer));
  text += TextOfRows(
      layout, RowsOf(layout, 5, {{"id", "i2"}}, "r1", absl::InvalidArgumentError("no \"text\"")));
  return text;
}

TEST(RowsTest, OwnColumnsComeFirstAndTheRunLast) {
  EXPECT_EQ(
      TextOf(LayoutOf(TableFormat::kJsonLines)),
      R"({"id":"i1","x":7,"item":3,"word":"a,b","surprisal":1.5,"run":"r1"})"
      "\n"
      R"({"id":"i1","x":7,"item":3,"word":"c","surprisal":null,"run":"r1"})"
      "\n"
      R"({"id":"i2","item":5,"run":"r1","error":{"code":"INVALID_ARGUMENT","message":"no \"text\""}})"
      "\n");
  EXPECT_EQ(TextOf(LayoutOf(TableFormat::kCsv)),
            "id,x,item,word,surprisal,run,error\n"
            "i1,7,3,\"a,b\",1.5,r1,\n"
            "i1,7,3,c,,r1,\n"
            "i2,,5,,,r1,\"INVALID_ARGUMENT: no \"\"text\"\"\"\n");
  EXPECT_THAT(TextOf(LayoutOf(TableFormat::kTsv, "d_")),
              HasSubstr("id\tx\td_item\td_word\td_surprisal\td_run\td_error\ni1\t7\t3\ta,b\t"));
}

TEST(RowsTest, AreReadBackWithTheirPlaces) {
  for (const TableFormat format : {TableFormat::kJsonLines, TableFormat::kCsv, TableFormat::kTsv}) {
    const RowLayout layout = LayoutOf(format, "d_");
    const std::string text = TextOf(layout);
    // Whatever byte a kill leaves as the last one.
    for (size_t bytes = HeadOfRows(layout).size(); bytes <= text.size(); ++bytes) {
      std::istringstream file(text.substr(0, bytes));
      std::vector<OldRow> rows;
      ASSERT_OK(ReadRows(file, 0, layout, "r1", [&](OldRow row) {
        rows.push_back(std::move(row));
        return absl::OkStatus();
      }));
      int64_t at = static_cast<int64_t>(HeadOfRows(layout).size());
      for (size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ(rows[i].item, i < 2 ? 3 : 5);
        EXPECT_EQ(rows[i].is_error, i == 2);
        EXPECT_EQ(rows[i].begin, at);
        at = rows[i].end;
      }
      EXPECT_LE(at, static_cast<int64_t>(bytes));
      EXPECT_EQ(rows.size(), static_cast<size_t>(bytes == text.size() ? 3
                                                 : rows.size() < 3    ? rows.size()
                                                                      : 99));
    }
  }
}

TEST(RowsTest, RowsOfAnotherRunAreRefused) {
  for (const TableFormat format : {TableFormat::kJsonLines, TableFormat::kCsv}) {
    const RowLayout layout = LayoutOf(format);
    std::istringstream file(TextOf(layout));
    EXPECT_THAT(ReadRows(file, 0, layout, "r2", [](OldRow) { return absl::OkStatus(); }),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("none of this run")));
  }
  std::istringstream ragged("id,x,item,word,surprisal,run,error\na,b\n");
  EXPECT_THAT(ReadRows(ragged, 0, LayoutOf(TableFormat::kCsv), "r1",
                       [](OldRow) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("row 1 is none")));
}

TEST(RowsTest, AColumnThatIsOursTooIsRefused) {
  EXPECT_THAT(AnswerColumns(LayoutOf(TableFormat::kCsv), {"id", "word"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the column 'word' is the input's and the answer's; --prefix")));
  EXPECT_OK(AnswerColumns(LayoutOf(TableFormat::kCsv, "d_"), {"id", "word"}));
}

TEST(RowsTest, AWrittenRowIsWhatIsReadBack) {
  const RowLayout layout = LayoutOf(TableFormat::kCsv);
  EXPECT_EQ(FormatLine(WrittenRow(layout, {{"x", 7}, {"surprisal", 1.5}})),
            R"({"id":"","x":"7","item":"","word":"","surprisal":"1.5","run":"","error":""})");
}

}  // namespace
}  // namespace dyad::client
