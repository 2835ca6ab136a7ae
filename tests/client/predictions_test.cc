// Files as BabyLM's pipeline writes them.
#include "client/predictions.h"

#include <filesystem>
#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

TEST(PredictionsTest, ItemsOfARowAreCountedInTheirOrder) {
  Predictions predictions;
  predictions.Add(2, "b", {{"pred", "third"}});
  predictions.Add(0, "b", {{"pred", "first"}, {"prob", 0.5}});
  predictions.Add(1, "a", {{"pred", "second"}});
  EXPECT_EQ(predictions.ToJson().dump(),
            R"({"b":{"predictions":[{"id":"b_0","pred":"first","prob":0.5},)"
            R"({"id":"b_1","pred":"third"}]},"a":{"predictions":[{"id":"a_0","pred":"second"}]}})");
}

TEST(PredictionsTest, FilesLieWhereTheCollationLooks) {
  const testing::TemporaryFolder folder;
  const std::string results = folder.Path("results/main/zero_shot/causal");
  folder.Write("blimp_filtered/a.jsonl", "");
  std::ostringstream err;
  for (const auto& [task, input, file] :
       {std::tuple{"blimp", folder.Path("blimp_filtered"), "blimp/blimp_filtered"},
        {"blimp_supplement", folder.Path("blimp_filtered/../supplement.tar.gz"),
         "blimp/supplement"},
        {"ewok", folder.Path("blimp_filtered/"), "ewok/blimp_filtered"},
        {"reading", folder.Path("reading_data.csv"), "reading"}}) {
    ASSERT_OK(WritePredictions(results, task, input, Json::object(), 0, err));
    EXPECT_EQ(
        folder.Read("results/main/zero_shot/causal/" + std::string(file) + "/predictions.json"),
        "{}\n");
  }
  EXPECT_EQ(err.str(), "");
  ASSERT_OK(WritePredictions(folder.Path("failed"), "ewok", "x", Json::object(), 1, err));
  EXPECT_EQ(err.str(), "dyadctl: no predictions are written, as items failed\n");
  EXPECT_FALSE(std::filesystem::exists(folder.Path("failed")));
  EXPECT_FALSE(
      WritePredictions(folder.Write("file", ""), "ewok", "x", Json::object(), 0, err).ok());
}

}  // namespace
}  // namespace dyad::client
