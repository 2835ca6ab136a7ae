// Flags and positional words of a command line.
#include "client/arguments.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr Flag kFlags[] = {{"model", FlagKind::kValue, "NAME", "A model."},
                           {"json", FlagKind::kSwitch, "", "Print JSON."},
                           {"stop", FlagKind::kRepeated, "TEXT", "End here."}};

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words) {
  return Arguments::Parse(words, kFlags);
}

TEST(ArgumentsTest, ReadsBothFormsOfAValue) {
  EXPECT_EQ(Parse({"--model=a=b"})->Text("model", ""), "a=b");
  EXPECT_EQ(Parse({"--model", "-3"})->Text("model", ""), "-3");
  EXPECT_EQ(Parse({})->Text("model", "none"), "none");
}

TEST(ArgumentsTest, SwitchesAreOnOffOrAbsent) {
  EXPECT_TRUE(Parse({"--json"})->On("json"));
  EXPECT_FALSE(Parse({"--json=false"})->On("json"));
  EXPECT_FALSE(Parse({})->On("json"));
  EXPECT_THAT(Parse({"--json=yes"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--json is yes")));
}

TEST(ArgumentsTest, ASwitchDoesNotEatTheNextWord) {
  const auto arguments = Parse({"--json", "some text"});
  EXPECT_THAT(arguments->positional(), ElementsAre("some text"));
}

TEST(ArgumentsTest, RepeatedFlagsKeepTheirOrder) {
  EXPECT_THAT(Parse({"--stop=b", "--stop", "a"})->All("stop"), ElementsAre("b", "a"));
}

TEST(ArgumentsTest, TwoDashesEndTheFlags) {
  EXPECT_THAT(Parse({"a", "--", "--json"})->positional(), ElementsAre("a", "--json"));
  EXPECT_THAT(Parse({"-1"})->positional(), ElementsAre("-1"));
}

TEST(ArgumentsTest, NamesWhatItRefuses) {
  const auto refused = [](const std::vector<std::string>& words) {
    return std::string(Parse(words).status().message());
  };
  EXPECT_EQ(refused({"--modle=x"}), "unknown flag --modle");
  EXPECT_EQ(refused({"--model"}), "--model needs a value");
  EXPECT_EQ(refused({"--model=a", "--model=b"}), "--model is given twice");
}

TEST(ArgumentsTest, IntegersHaveARange) {
  const auto arguments = Parse({"--model=17"});
  EXPECT_EQ(arguments->Integer("model", 1, {1, 17}).value(), 17);
  EXPECT_THAT(arguments->Integer("model", 1, {1, 16}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--model is 17; it must be a whole number from 1 to 16")));
  EXPECT_EQ(Parse({"--model=x"})->Integer("model", 1, {1, 16}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Parse({})->Integer("model", 5, {1, 16}).value(), 5);
}

TEST(ArgumentsTest, HelpIsOneLinePerFlagInOneColumn) {
  EXPECT_EQ(FlagsHelp(kFlags),
            "  --model=NAME  A model.\n"
            "  --json        Print JSON.\n"
            "  --stop=TEXT   End here.\n");
}

}  // namespace
}  // namespace dyad::client
