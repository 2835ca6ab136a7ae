// Lines of files and of standard input.
#include "client/line_input.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(LineInputTest, EmptyLinesAndALastLineWithoutLineFeedCount) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  auto input = LineInput::Open(folder.Write("in", "a\n\nb"), unused);
  ASSERT_OK(input);
  EXPECT_EQ(input->total, 3);
  EXPECT_EQ(input->next(), "a");
  EXPECT_EQ(input->next(), "");
  EXPECT_EQ(input->next(), "b");
  EXPECT_EQ(input->next(), std::nullopt);
}

TEST(LineInputTest, AnEmptyFileHasNoLines) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  auto input = LineInput::Open(folder.Write("in", ""), unused);
  EXPECT_EQ(input->total, 0);
  EXPECT_EQ(input->next(), std::nullopt);
}

TEST(LineInputTest, StandardInputHasNoTotal) {
  std::istringstream standard_input("x\ny\n");
  auto input = LineInput::Open("-", standard_input);
  EXPECT_EQ(input->total, std::nullopt);
  EXPECT_EQ(input->next(), "x");
  EXPECT_EQ(input->next(), "y");
  EXPECT_EQ(input->next(), std::nullopt);
}

TEST(LineInputTest, LinesMayComeFromMemory) {
  LineInput input = LineInput::Of({"x", "", "y"});
  EXPECT_EQ(input.total, 3);
  EXPECT_EQ(input.next(), "x");
  EXPECT_EQ(input.next(), "");
  EXPECT_EQ(input.next(), "y");
  EXPECT_EQ(input.next(), std::nullopt);
  EXPECT_EQ(input.next(), std::nullopt);
}

TEST(LineInputTest, NamesAFileThatIsNotThereOrIsAFolder) {
  const testing::TemporaryFolder folder;
  std::istringstream unused;
  EXPECT_THAT(LineInput::Open(folder.Path("none"), unused),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_EQ(LineInput::Open(folder.Path(""), unused).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace dyad::client
