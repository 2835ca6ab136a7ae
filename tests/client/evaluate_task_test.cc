// What each task compares, and what its answers count.
#include "client/evaluate_task.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

const Json kEwok = {{"Domain", "social"},
                    {"Context1", "He smiles."},
                    {"Context2", "He cries."},
                    {"Target1", "Glad."},
                    {"Target2", "Sad."}};

// "context|text" or, of a phrase that is scored within its text, "text[phrase]".
std::vector<std::string> Shown(const EvaluateTask& task, v1::Convention convention,
                               const Json& line) {
  std::vector<std::string> shown;
  for (const v1::ScoreItem& item : TaskItems(task, convention, line)) {
    std::string text = item.text();
    if (item.has_context_text()) text = item.context_text() + "|" + text;
    if (item.has_scored()) {
      const auto& scored = item.scored();
      text += "[" + item.text().substr(scored.begin(), scored.end() - scored.begin()) + "]";
    }
    shown.push_back(text);
  }
  return shown;
}

v1::ScoreResponse Sums(const std::vector<double>& sums) {
  v1::ScoreResponse response;
  for (const double sum : sums) {
    v1::TextScore& score = *response.add_scores();
    score.set_sum(sum);
    score.set_mean(-sum);
    score.set_scored_tokens(2);
  }
  return response;
}

Json AnswerOf(const EvaluateTask& task, const Json& line, const std::vector<double>& sums) {
  return TaskAnswer(task, v1::CONVENTION_BABYLM, line, Sums(sums));
}

TEST(EvaluateTaskTest, EwokComparesTargetsOrContexts) {
  const EvaluateTask babylm = *FindEvaluateTask("ewok", ""),
                     paper = *FindEvaluateTask("ewok", "paper");
  EXPECT_THAT(Shown(babylm, v1::CONVENTION_BABYLM, kEwok),
              ElementsAre("He smiles. Glad.[Glad.]", "He smiles. Sad.[Sad.]"));
  EXPECT_THAT(Shown(babylm, v1::CONVENTION_LM_EVAL, kEwok),
              ElementsAre("He smiles.| Glad.", "He smiles.| Sad."));
  EXPECT_THAT(
      Shown(paper, v1::CONVENTION_LM_EVAL, kEwok),
      ElementsAre("He smiles.| Glad.", "He cries.| Glad.", "He cries.| Sad.", "He smiles.| Sad."));
  EXPECT_EQ(
      FormatLine(AnswerOf(babylm, kEwok, {-2, -3})),
      R"({"row":"social","sums":[-2.0,-3.0],"means":[2.0,3.0],"scored_tokens":[2,2],"best":0,)"
      R"("tie":false,"score":1.0})");
  for (const auto& [sums, score] : {std::pair(std::vector<double>{-1, -2, -1, -2}, 1.0),
                                    {{-1, -2, -2, -1}, 0.5},
                                    {{-2, -1, -2, -1}, 0.0},
                                    {{-1, -1, -2, -1}, 0.5}}) {
    const Json answer = AnswerOf(paper, kEwok, sums);
    EXPECT_EQ(answer["score"], score);
    EXPECT_EQ(answer["tie"], sums[0] == sums[1]);
    EXPECT_FALSE(answer.contains("best"));
  }
}

TEST(EvaluateTaskTest, CompsAndEntityTrackingTakeTheirRowsFromFiles) {
  const Json comps = {{"prefix_acceptable", "A robin"},
                      {"prefix_unacceptable", "A cup"},
                      {"property_phrase", "can fly."},
                      {"file", "comps_wugs_dist-in-between"}};
  const EvaluateTask task = *FindEvaluateTask("comps", "");
  EXPECT_THAT(Shown(task, v1::CONVENTION_BABYLM, comps),
              ElementsAre("A robin can fly.[can fly.]", "A cup can fly.[can fly.]"));
  EXPECT_EQ(AnswerOf(task, comps, {-1, -2})["row"], "wugs_dist_in_between");
  const Json boxes = {{"input_prefix", "Box 0 contains"},
                      {"options", {" a car.", " a hat.", " tea."}},
                      {"numops", 3},
                      {"file", "regular"}};
  const EvaluateTask entities = *FindEvaluateTask("entity_tracking", "");
  EXPECT_OK(CheckTaskLine(entities, boxes));
  EXPECT_THAT(Shown(entities, v1::CONVENTION_BABYLM, boxes),
              ElementsAre("Box 0 contains a car.[a car.]", "Box 0 contains a hat.[a hat.]",
                          "Box 0 contains tea.[tea.]"));
  const Json answer = AnswerOf(entities, boxes, {-3, -1, -1});
  EXPECT_EQ(answer["row"], "regular_3_ops");
  EXPECT_EQ(answer["best"], 1);  // of equals the first
  EXPECT_EQ(answer["tie"], true);
  EXPECT_EQ(answer["score"], 0.0);
}

TEST(EvaluateTaskTest, WugsHaveTheSoftmaxOfTheirForms) {
  const Json line = {{"sentences", "one wug\ttwo wugs"}, {"ratio", 0.4}};
  const EvaluateTask task = *FindEvaluateTask("wug_adj", "");
  EXPECT_OK(CheckTaskLine(task, line));
  EXPECT_THAT(Shown(task, v1::CONVENTION_BABYLM, line), ElementsAre("one wug", "two wugs"));
  const Json answer = AnswerOf(task, line, {-10, -11});
  EXPECT_NEAR(answer["p_first"].get<double>(), std::exp(1.0) / (std::exp(1.0) + 1), 1e-15);
  EXPECT_FALSE(answer.contains("score"));
  EXPECT_EQ(AnswerOf(task, line, {-1000, 0})["p_first"], 0.0);
}

TEST(EvaluateTaskTest, ChoicesMayHaveContextLabelAndGroup) {
  const EvaluateTask task = *FindEvaluateTask("choices", "");
  const Json bare = {{"options", {"a", "b"}}};
  EXPECT_OK(CheckTaskLine(task, bare));
  EXPECT_THAT(Shown(task, v1::CONVENTION_BABYLM, bare), ElementsAre("a", "b"));
  EXPECT_TRUE(AnswerOf(task, bare, {-1, -2})["score"].is_null());
  EXPECT_EQ(AnswerOf(task, bare, {-1, -2})["row"], "all");
  const Json full = {
      {"context", "Two"}, {"options", {" cat", " cats"}}, {"label", 1}, {"group", "g"}};
  EXPECT_THAT(Shown(task, v1::CONVENTION_LM_EVAL, full), ElementsAre("Two| cat", "Two| cats"));
  EXPECT_EQ(AnswerOf(task, full, {-2, -1})["score"], 1.0);
  EXPECT_EQ(AnswerOf(task, full, {-2, -1})["row"], "g");
  EXPECT_EQ(TaskAnswer(task, v1::CONVENTION_MINICONS_MEAN, full, Sums({-2, -1}))["best"], 0);
}

TEST(EvaluateTaskTest, LinesThatLackAKeyAreRefusedByIt) {
  const auto fails = [](const std::string& name, Json line, const std::string& text) {
    EXPECT_THAT(CheckTaskLine(*FindEvaluateTask(name, ""), line),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
  };
  Json line = kEwok;
  line.erase("Target2");
  fails("ewok", line, "lacks the key Target2");
  line["Target2"] = 7;
  fails("ewok", line, "Target2 must be a string, found: 7");
  line = kEwok;
  line["context"] = "";
  fails("ewok", line, "has a context, which the task ewok does not have");
  line = kEwok;
  line["score"] = 1;
  fails("ewok", line, "has the key score, which the answer has too");
  EXPECT_OK(CheckTaskLine(*FindEvaluateTask("ewok", ""), line, "x_"));
  line["x_tie"] = 1;
  EXPECT_THAT(CheckTaskLine(*FindEvaluateTask("ewok", ""), line, "x_"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has the key x_tie")));
  fails("wug_past", {{"sentences", "a"}, {"ratio", 1}}, "two texts with a tab between");
  fails("wug_past", {{"sentences", "a\tb"}, {"ratio", "1"}}, "ratio must be a number");
  fails("entity_tracking", {{"input_prefix", "x"}, {"options", {"a", "b"}}},
        "lacks the key numops");
  fails("choices", {{"options", {"a"}}}, "a list of 2 to 64 strings");
  fails("choices", {{"options", {"a", 1}}}, "a list of 2 to 64 strings");
  fails("choices", {{"options", {"a", "b"}}, {"label", 2}}, "the number of an option, from 0");
  fails("choices", {{"options", {"a", "b"}}, {"group", 2}}, "group must be a string");
}

TEST(EvaluateTaskTest, UnknownTasksAndVariantsAreNamed) {
  EXPECT_THAT(FindEvaluateTask("glue", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'glue' is none of blimp,")));
  EXPECT_THAT(FindEvaluateTask("ewok", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none of babylm, paper")));
  EXPECT_THAT(FindEvaluateTask("comps", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("comps has no variants")));
  EXPECT_THAT(EvaluateTaskNames(),
              ElementsAre("choices", "comps", "entity_tracking", "ewok", "wug_adj", "wug_past"));
}

}  // namespace
}  // namespace dyad::client
