// --columns; the other flags are tested with the commands that have them.
#include "client/task_flags.h"

#include "gtest/gtest.h"
#include "server/base/command_line.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(TaskFlagsTest, ColumnsAreReadByKey) {
  EXPECT_THAT(*ParseColumns("", {}), ElementsAre());
  EXPECT_THAT(*ParseColumns("b=x=y,a=z", {}), ElementsAre(Pair("a", "z"), Pair("b", "x=y")));
  for (const auto& [text, keys, message] :
       {std::tuple<const char*, std::set<std::string>, const char*>{
            "a", {}, "--columns: 'a' is no KEY=COLUMN"},
        {"a=", {}, "'a=' is no KEY=COLUMN"},
        {"=b", {}, "'=b' is no KEY=COLUMN"},
        {"c=x", {"a", "b"}, "'c=x' is no KEY=COLUMN with KEY one of a, b"},
        {"a=x,a=y", {}, "'a=y' repeats a name"},
        {"a=x,b=x", {}, "'b=x' repeats a name"}}) {
    const auto columns = ParseColumns(text, keys);
    EXPECT_TRUE(IsUsageError(columns.status())) << text;
    EXPECT_THAT(std::string(columns.status().message()), HasSubstr(message));
  }
}

TEST(TaskFlagsTest, OptionsAreWhatChangesTheLines) {
  EXPECT_EQ(TaskFlags().Options().dump(), "{}");
  const TaskFlags flags = {.limit = 3,
                           .format = "tsv",
                           .columns = "a=b",
                           .baselines = "people.csv",
                           .predictions = "out"};
  EXPECT_EQ(flags.Options().dump(), R"({"limit":3,"format":"tsv","columns":"a=b"})");
  const auto reading = flags.Reading();
  ASSERT_OK(reading);
  EXPECT_EQ(reading->format, TableFormat::kTsv);
  EXPECT_EQ(reading->limit, 3);
  EXPECT_THAT(reading->columns, ElementsAre(Pair("a", "b")));
}

}  // namespace
}  // namespace dyad::client
