// Headers as a table and as names.
#include "client/report_header.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Json kDemo = {{"format", "dyad.run/1"},
                    {"run", "0123456789ab"},
                    {"model",
                     {{"name", "<demo>"},
                      {"digest", "aaaabbbbccccdddd"},
                      {"weight_dtype", "float32"},
                      {"arithmetic", "exact"}}},
                    {"task", {{"name", "ewok"}, {"variant", "paper"}}},
                    {"convention", "BABYLM"},
                    {"options", {{"limit", 3}}}};

TEST(ReportHeaderTest, EveryFieldHasARow) {
  const std::string html = HeaderHtml({{"a<b.jsonl", kDemo}});
  EXPECT_THAT(html, HasSubstr("<bdi>a&lt;b.jsonl</bdi>"));
  EXPECT_THAT(html,
              HasSubstr("model digest</th><td data-title=\"value\"><code><bdi>aaaabbbbccccdddd"));
  EXPECT_THAT(html, HasSubstr("<bdi>&lt;demo&gt;</bdi>"));
  EXPECT_THAT(html, HasSubstr("{&quot;limit&quot;:3}"));
  EXPECT_THAT(html, Not(HasSubstr("tokenizer digest")));  // no run has one
  EXPECT_THAT(HeaderHtml({{"a", kDemo}, {"b", Json::object()}}),
              HasSubstr("data-title=\"run 2\"></td>"));
}

TEST(ReportHeaderTest, EachConventionIsExplainedOnce) {
  const std::string html =
      ConventionsHtml({{"a", kDemo}, {"b", kDemo}, {"c", {{"convention", "<x>"}}}});
  EXPECT_EQ(html.find("<p>BABYLM, as BabyLM&#39;s pipeline: the model reads"), 0u);
  EXPECT_EQ(html.find("<p>", 1), std::string::npos);
  for (const char* name : {"LM_EVAL", "MINICONS_MEAN", "MINICONS_SUM", "CONDITIONAL"}) {
    EXPECT_THAT(ConventionsHtml({{"a", {{"convention", name}}}}), HasSubstr(name));
  }
}

TEST(ReportHeaderTest, NamesForSentences) {
  EXPECT_EQ(TaskName(kDemo), "ewok (paper)");
  EXPECT_EQ(ModelName(kDemo), "<demo> (digest aaaabbbbcccc, float32 weights, exact arithmetic)");
  EXPECT_EQ(TaskName(Json::object()), "?");
  EXPECT_EQ(ModelName(Json::object()), "A model");
}

}  // namespace
}  // namespace dyad::client
