// The command line: what is wrong with it, and what its commands print.
#include "server/tools/convert.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/server/tools/convert_run.h"
#include "tests/support/paths.h"

namespace dyad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::RunConvert;
using ::testing::StartsWith;

std::string FixtureAt(const std::string& name) { return (testing::FixturesDir() / name).string(); }

TEST(ConvertTest, HelpAndVersion) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--help"}, {"-h"}, {"help"}}) {
    const auto run = RunConvert(words);
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, AllOf(HasSubstr("inspect"), HasSubstr("densify")));
  }
  EXPECT_THAT(RunConvert({"--version"}).out, StartsWith("dyad-convert "));
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"densify", "--help"}, {"help", "densify"}, {"densify", "-h"}}) {
    const auto run = RunConvert(words);
    EXPECT_EQ(run.status, 0);
    EXPECT_THAT(run.out, AllOf(HasSubstr("IN"), HasSubstr("--dtype")));
  }
}

TEST(ConvertTest, AWrongCommandLineIsOneLineAndStatus2) {
  const struct {
    std::vector<std::string> words;
    std::string says;
  } cases[] = {
      {{"inspct"}, "no command 'inspct'; the nearest is inspect"},
      {{"inspect"}, "FOLDER is required"},
      {{"densify", "a"}, "OUT is required"},
      {{"densify", "a", "b", "c"}, "takes no 'c'"},
      {{"inspect", "a", "--jsom"}, "unknown flag '--jsom'; the nearest is --json"},
      {{"inspect", "a", "--dtype=stored"}, "unknown flag '--dtype'"},
      {{"densify", "a", "b", "--dtype=int8"}, "--dtype: must be float32 or stored, not 'int8'"},
      {{"densify", "a", "b", "--dtype"}, "--dtype"}};
  for (const auto& [words, says] : cases) {
    const auto run = RunConvert(words);
    EXPECT_EQ(run.status, 2) << says;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr(says));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
  EXPECT_EQ(RunConvert({}).status, 2);
}

TEST(ConvertTest, WhatFailsIsOneLineAndStatus1) {
  const testing::ScratchFolder folder;
  const struct {
    std::vector<std::string> words;
    std::string says;
  } cases[] = {
      {{"inspect", folder.path() + "/none"}, "NOT_FOUND"},
      {{"inspect", FixtureAt("bad/config-missing")}, "config.json"},
      {{"densify", FixtureAt("bad/st-truncated-data"), folder.path() + "/out"}, "DATA_LOSS"},
      {{"densify", FixtureAt("opt-bttmoe"), folder.path() + "/out"}, "rows choose"}};
  for (const auto& [words, says] : cases) {
    const auto run = RunConvert(words);
    EXPECT_EQ(run.status, 1) << says;
    EXPECT_THAT(run.err, AllOf(StartsWith("dyad-convert " + words[0] + ": "), HasSubstr(says)));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ConvertTest, PrintsWhatItDid) {
  const testing::ScratchFolder folder;
  const auto run = RunConvert({"densify", FixtureAt("opt-lowrank"), folder.path() + "/out"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("/out: 37 tensors, 0.5 MiB of weights in 1 files\n"));
  EXPECT_EQ(run.err, "");  // no progress where nobody watches
}

}  // namespace
}  // namespace dyad
