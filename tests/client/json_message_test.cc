// JSON to messages: every type of field, and what each message says.
#include "client/json_message.h"

#include "dyad/v1/generation.pb.h"
#include "dyad/v1/scoring.pb.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::StatusIs;

absl::StatusOr<v1::GenerateRequest> Read(const std::string& text) {
  return MessageFromJson<v1::GenerateRequest>(*ParseLine(text));
}

TEST(JsonMessageTest, ReadsEveryTypeOfField) {
  const auto request = Read(
      R"({"text": "a", "max_new_tokens": 16.0, "temperature": 1, "seed": 18446744073709551615,
          "ignore_eos": true, "stop": ["x", "y"], "stop_ids": [1, 2], "special_tokens": "LITERAL",
          "logit_bias": {"17": -100, "3": 0.25}, "top_k": null})");
  ASSERT_OK(request);
  EXPECT_EQ(request->text(), "a");
  EXPECT_EQ(request->max_new_tokens(), 16);
  EXPECT_EQ(request->temperature(), 1.0f);
  EXPECT_EQ(request->seed(), 18446744073709551615u);
  EXPECT_TRUE(request->ignore_eos());
  EXPECT_THAT(request->stop(), ElementsAre("x", "y"));
  EXPECT_THAT(request->stop_ids(), ElementsAre(1, 2));
  EXPECT_EQ(request->special_tokens(), v1::SPECIAL_TOKENS_LITERAL);
  EXPECT_EQ(request->logit_bias().at(17), -100.0f);
  EXPECT_EQ(request->logit_bias().at(3), 0.25f);
  EXPECT_FALSE(request->has_top_k());
  EXPECT_THAT(Read(R"({"ids": [5, 6]})")->ids().ids(), ElementsAre(5, 6));
}

TEST(JsonMessageTest, SaysWhatAFieldMustBe) {
  const struct {
    const char* line;
    const char* message;
  } rows[] = {
      {R"({"seed": -1})", "seed is -1; it must be an integer from 0 to 18446744073709551615"},
      {R"({"seed": "7"})", "seed is \"7\"; it must be an integer from 0 to 18446744073709551615"},
      {R"({"n": 1.5})", "n is 1.5; it must be an integer from -2147483648 to 2147483647"},
      {R"({"n": 4294967296})",
       "n is 4294967296; it must be an integer from -2147483648 to 2147483647"},
      {R"({"n": -4294967296})",
       "n is -4294967296; it must be an integer from -2147483648 to 2147483647"},
      {R"({"n": 1e300})", "n is 1e+300; it must be an integer from -2147483648 to 2147483647"},
      {R"({"temperature": "hot"})",
       "temperature is \"hot\"; it must be a number of at most 3.4e38"},
      {R"({"temperature": 1e39})", "temperature is 1e+39; it must be a number of at most 3.4e38"},
      {R"({"echo": 1})", "echo is 1; it must be true or false"},
      {R"({"text": 7})", "text is 7; it must be a string"},
      {R"({"stop": "x"})", "stop is \"x\"; it must be a list"},
      {R"({"stop": ["x", 1]})", "stop[1] is 1; it must be a string"},
      {R"({"ids": 7})", "ids is 7; it must be a list"},
      {R"({"ids": [1, "x"]})",
       "ids[1] is \"x\"; it must be an integer from -2147483648 to 2147483647"},
      {R"({"special_tokens": "parse"})",
       "special_tokens is \"parse\"; it must be PARSE or LITERAL"},
      {R"({"special_tokens": 1})", "special_tokens is 1; it must be PARSE or LITERAL"},
      {R"({"logit_bias": [1]})", "logit_bias is [1]; it must be an object: {\"ID\": NUMBER}"},
      {R"({"logit_bias": {"x": 1}})", "a key of logit_bias is \"x\"; it must be a token id"},
      {R"({"logit_bias": {"7": "x"}})",
       "logit_bias[7] is \"x\"; it must be a number of at most 3.4e38"},
      {R"({"temprature": 1})", "no option temprature"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(Read(row.line), StatusIs(absl::StatusCode::kInvalidArgument, row.message));
  }
  const std::string long_text(1000, 'x');
  EXPECT_LT(Read("{\"n\": \"" + long_text + "\"}").status().message().size(), 200u);
}

TEST(JsonMessageTest, ConventionsGoByTheirShortWords) {
  const auto read = [](const char* word) {
    return MessageFromJson<v1::ScoreRequest>({{"convention", word}});
  };
  EXPECT_EQ(read("MINICONS_MEAN")->convention(), 3);
  EXPECT_THAT(
      read("lm_eval"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "convention is \"lm_eval\"; it must be LM_EVAL or BABYLM or MINICONS_MEAN or "
               "MINICONS_SUM or CONDITIONAL"));
  EXPECT_FALSE(read("CONVENTION_UNSPECIFIED").ok());
}

TEST(JsonMessageTest, NamesAllFields) {
  EXPECT_THAT(
      FieldNames<v1::ScoreRequest>(),
      ElementsAre("model", "items", "convention", "special_tokens", "top_n", "words", "window"));
  EXPECT_THAT(FieldNames<v1::GenerateRequest>(), Contains("max_new_tokens"));
}

}  // namespace
}  // namespace dyad::client
