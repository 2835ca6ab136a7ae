// Baselines: what is read, and what is shown.
#include "client/baselines.h"

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

constexpr char kColumns[] = "source,task,row,accuracy,n\n";

class BaselinesTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<Baseline>> Read(const std::string& rows,
                                             const std::string& columns = kColumns) {
    return ReadBaselines(folder_.Write("b.csv", columns + rows), "blimp");
  }
  testing::TemporaryFolder folder_;
};

TEST_F(BaselinesTest, RowsOfTheTaskAreRead) {
  const auto baselines =
      Read("people,blimp,x,0.9,20\npeople,ewok,x,0.8,\r\n\"gpt, 2\",blimp,macro,1,\n");
  ASSERT_OK(baselines);
  EXPECT_EQ(BaselinesJson(*baselines).dump(),
            R"([{"source":"people","row":"x","accuracy":0.9,"n":20},)"
            R"({"source":"gpt, 2","row":"macro","accuracy":1.0,"n":null}])");
}

TEST_F(BaselinesTest, FaultsNameLineAndColumn) {
  const auto fails = [&](const std::string& rows, const char* message) {
    EXPECT_THAT(Read(rows), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  fails("p,blimp,x,1.5,\n", "b.csv: line 2: column accuracy must be 0 to 1, found '1.5'");
  fails("p,blimp,x,nan,\n", "column accuracy must be 0 to 1");
  fails("p,ewok,x,,\n", "line 2: column accuracy must be 0 to 1, found ''");
  fails("p,blimp,x,1,0\n", "column n must be empty or 1 and above, found '0'");
  fails(",blimp,x,1,\n", "column source must be a name");
  fails("p,blimp,,1,\n", "column row must be a row of the task");
  fails("p,blimp,x,1,\np,blimp,x,1,\n", "line 3: row 'x' of 'p' stands twice");
  fails("p,blimp,x\n", "line 2, column 4: the record has 3 columns");
  EXPECT_THAT(Read("", "source,task,row,accuracy\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b.csv has no column n;")));
  EXPECT_THAT(ReadBaselines(folder_.Path("none.csv"), "blimp"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.csv")));
}

TEST(BaselineTableTest, EverySourceHasAColumn) {
  const std::vector<Baseline> baselines = {
      {"people", "x", 0.9, 20}, {"a longer name", "macro", 0.75, {}}, {"people", "z", 0.5, {}}};
  EXPECT_EQ(BaselineTable(baselines, {{"macro", 0.5}, {"x", 1}, {"y", 0.25}}),
            "baselines  this run    people  a longer name\n"
            "x            1.0000    0.9000              -\n"
            "macro        0.5000         -         0.7500\n"
            "baselines of rows that this run does not have: z\n");
  EXPECT_EQ(BaselineTable({}, {{"x", 1}}), "");
}

}  // namespace
}  // namespace dyad::client
